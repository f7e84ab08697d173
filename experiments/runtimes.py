"""Exported files in their runtimes: functions to time."""

import contextlib

import keras


def litert(path, inputs, threads):
    """A function that runs a LiteRT file once.

    Args:
        path: The file.
        inputs: An array, or arrays by the names of the inputs.
        threads: How many threads the runtime may use.
    """
    from ai_edge_litert.interpreter import Interpreter

    # The runtime writes its greeting past Python.
    with contextlib.redirect_stderr(None):
        interpreter = Interpreter(model_path=str(path), num_threads=threads)
        details = interpreter.get_input_details()
        arrays = _by_detail(details, inputs)
        for detail, array in arrays:
            interpreter.resize_tensor_input(detail["index"], array.shape)
        interpreter.allocate_tensors()

    def call():
        for detail, array in arrays:
            interpreter.set_tensor(detail["index"], array)
        interpreter.invoke()

    return call


def onnx(path, inputs, threads):
    """A function that runs an ONNX file once.

    Args:
        path: The file.
        inputs: As for `litert`.
        threads: As for `litert`.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"]
    )
    if not isinstance(inputs, dict):
        (only,) = session.get_inputs()
        inputs = {only.name: inputs}
    return lambda: session.run(None, inputs)


def in_keras(model, inputs):
    """A function that runs a compiled model once.

    Args:
        model: A Keras model.
        inputs: What it takes.
    """
    from tensornet_keras import backend

    run = backend.compiled(lambda x: model(x, training=False))
    inputs = keras.tree.map_structure(keras.ops.convert_to_tensor, inputs)
    return lambda: backend.synchronize(keras.tree.flatten(run(inputs))[0])


RUNTIMES = {"litert": (".tflite", litert), "onnx": (".onnx", onnx)}


def _by_detail(details, inputs):
    """Pairs of what the runtime says of an input and its array."""
    if not isinstance(inputs, dict):
        return [(details[0], inputs)]
    # Such as `serving_default_ids:0`.
    return [
        (next(each for each in details if f"_{name}:" in each["name"]), array)
        for name, array in inputs.items()
    ]
