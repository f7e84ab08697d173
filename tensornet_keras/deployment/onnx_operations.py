"""Operations that tf2onnx does not know and trained networks have."""

from __future__ import annotations

import functools

import numpy as np


@functools.cache
def teach() -> None:
    """Tells tf2onnx of the complementary error function.

    Keras' exact GELU has it on TensorFlow, so that a transformer could not be
    exported.
    """
    from tf2onnx import utils
    from tf2onnx.handler import tf_op

    def as_one_minus_erf(graph, node, **_):
        (source,), (target,) = node.input, node.output
        kind, shape = graph.get_dtype(target), graph.get_shape(target)
        number = utils.map_onnx_to_numpy_type(kind)
        one = graph.make_const(utils.make_name("one"), np.ones((), number))
        graph.remove_node(node.name)
        erf = graph.make_node("Erf", [source], dtypes=[kind], shapes=[shape])
        graph.make_node(
            "Sub",
            [one.output[0], erf.output[0]],
            outputs=[target],
            name=node.name,
            dtypes=[kind],
            shapes=[shape],
        )

    # ONNX has had `Erf` since its ninth set of operations.
    tf_op.register_handler(as_one_minus_erf, 9, ["Erfc"], "", {})
