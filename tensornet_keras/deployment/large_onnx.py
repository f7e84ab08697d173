"""ONNX files of large models, which tf2onnx holds in memory many times over.

VGG-16, of 0.55 GB, takes more than 22 GB with its weights in the graph, and 18
with the weights aside, as tf2onnx keeps those of models that no single file can
hold. Here they are put back into one file afterwards.
"""

from __future__ import annotations

import contextlib
import functools
import os
import zipfile
from collections.abc import Iterator

from tensornet_keras.deployment.parity import ExportError

# From so many numbers on weights are kept aside.
LARGE = 2**24
# What the format of ONNX files can hold in one file.
MOST_BYTES = 2**31
MODEL = "__MODEL_PROTO.onnx"


@contextlib.contextmanager
def weights_aside(path: str) -> Iterator[None]:
    """Context in which tf2onnx keeps weights aside and writes one file.

    Args:
        path: The file that is written inside.

    Raises:
        ExportError: If one file cannot hold the model.
    """
    from tf2onnx import convert

    aside = f"{path}.zip"
    function = convert.from_function

    @functools.wraps(function)
    def from_function(*arguments, **named):
        named |= {"large_model": True, "output_path": aside}
        return function(*arguments, **named)

    convert.from_function = from_function
    try:
        yield
        _put_together(aside, path)
    finally:
        convert.from_function = function
        with contextlib.suppress(FileNotFoundError):
            os.remove(aside)


def _put_together(aside: str, path: str) -> None:
    """Writes a model and the weights beside it in an archive as one file."""
    import onnx

    with zipfile.ZipFile(aside) as archive:
        size = sum(member.file_size for member in archive.infolist())
        if size >= MOST_BYTES:
            raise ExportError(
                "An ONNX file holds less than 2 GiB. Received: a model of "
                f"{size:,} bytes. Try another format."
            )
        model = onnx.load_model_from_string(archive.read(MODEL))
        for weight in model.graph.initializer:
            if weight.data_location != onnx.TensorProto.EXTERNAL:
                continue
            place = {one.key: one.value for one in weight.external_data}
            weight.raw_data = archive.read(place["location"])
            weight.data_location = onnx.TensorProto.DEFAULT
            del weight.external_data[:]
    onnx.save_model(model, path)
