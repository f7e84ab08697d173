"""What a Keras model takes: shapes, types and arrays to try it on."""

import re

import keras
import numpy as np

_SEED = 0


def input_specs(model, sample=None):
    """The inputs a built model declares, in the structure that it takes them.

    A Functional or Sequential model says so itself; a subclassed one only
    remembers the shape it was first called with, or is told by `sample`.
    Names are made of letters, digits and underscores, for the SavedModel
    format knows inputs by no others.

    Args:
        model: A built Keras model.
        sample: Input data as the model takes it, or `None`.

    Returns:
        A `keras.InputSpec`, or the list, tuple or dict of them that the model
        takes. The batch is `None` unless the model fixes it.

    Raises:
        TypeError: If `model` is no Keras model.
        ValueError: If it is not built, or does not say what it takes.

    Example:
        >>> import keras
        >>> from tensornet_keras.model_inputs import input_specs
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.ReLU()])
        >>> input_specs(model).shape
        (None, 4)
    """
    _check_built(model)
    if isinstance(model, keras.Sequential):
        declared = model.inputs[0]
    elif getattr(model, "inputs", None):
        declared = model.input
    elif sample is not None:
        declared = _undeclared(model, sample)
    else:
        declared = _remembered(model)
    return _named(declared)


def random_inputs(specs, batch_size):
    """Standard normal numbers for float inputs and zeros for integer ones.

    The same arguments give the same numbers.

    Args:
        specs: What `input_specs` returned.
        batch_size: The number of examples.

    Returns:
        NumPy arrays in the structure of `specs`.

    Raises:
        ValueError: If an input is neither floats nor integers, or leaves a
            size other than the batch open.
    """
    generator = np.random.default_rng(_SEED)

    def draw(spec):
        if None in spec.shape[1:]:
            raise ValueError(
                "Random inputs need every size but the batch. Received: "
                f"input {spec.name!r} of shape {spec.shape}. "
                "Pass sample=, an array of the sizes to try."
            )
        shape = (batch_size, *spec.shape[1:])
        if is_float(spec):
            return generator.standard_normal(shape).astype(spec.dtype)
        if "int" in spec.dtype or spec.dtype == "bool":
            return np.zeros(shape, spec.dtype)
        raise ValueError(
            "Inputs can be drawn for numbers only. Received: input "
            f"{spec.name!r} of type {spec.dtype}. Pass sample=."
        )

    return keras.tree.map_structure(draw, specs)


def sample_inputs(specs, sample, name="sample"):
    """`sample` as arrays of the types and sizes that the model takes.

    Args:
        specs: What `input_specs` returned.
        sample: Arrays in the structure of `specs`, each with a batch axis;
            a dict by the names of the inputs, or a list of the only one, will
            do too, as in Keras.
        name: What the caller's argument is called.

    Returns:
        NumPy arrays in the structure of `specs`.

    Raises:
        ValueError: If the structure or a shape does not fit the model, or the
            inputs do not hold equally many examples.
    """
    sample = _structured(specs, sample)
    if not is_built_as(specs, sample):
        raise ValueError(
            f"`{name}` must be built as the model's inputs. Received: "
            f"{name}={_outline(sample)}; the model takes {_outline(specs)}. "
            "Pass an array, or arrays in a list or dict, as the model takes "
            "them."
        )
    flat = zip(
        keras.tree.flatten(specs), keras.tree.flatten(sample), strict=True
    )
    arrays = [_fitted(spec, array, name) for spec, array in flat]
    lengths = {len(array) for array in arrays}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(
            f"`{name}` must hold the same number of examples, at least one, "
            f"for every input. Received: {_outline(sample)}. "
            "Pass arrays with equal first sizes."
        )
    return keras.tree.pack_sequence_as(specs, arrays)


def is_built_as(specs, sample) -> bool:
    """Whether inputs are built as a model takes them, whatever their shapes.

    Args:
        specs: What `input_specs` returned.
        sample: As in `sample_inputs`.
    """
    try:
        keras.tree.assert_same_structure(
            keras.tree.lists_to_tuples(specs),
            keras.tree.lists_to_tuples(_structured(specs, sample)),
        )
    except (ValueError, TypeError):
        return False
    return True


def is_float(spec):
    """Whether an input holds floating-point numbers."""
    return "float" in spec.dtype


def _check_built(model):
    if not isinstance(model, keras.Model):
        raise TypeError(
            "`model` must be a Keras model. Received: "
            f"model={model!r} (a {type(model).__name__}). "
            "Wrap a single layer in keras.Sequential."
        )
    if not model.built:
        raise ValueError(
            "The model must be built. Received: "
            f"model={model.name!r}, which has no weights yet. "
            "Call it once on data, or start it with keras.Input."
        )


def _undeclared(model, sample):
    def spec(array):
        array = np.asarray(array)
        real = np.issubdtype(array.dtype, np.floating)
        return keras.InputSpec(
            shape=(None, *array.shape[1:]),
            dtype=model.input_dtype if real else str(array.dtype),
        )

    return keras.tree.map_structure(spec, sample)


def _remembered(model):
    """What a subclassed model was built with, by its own account."""
    shapes = (model.get_build_config() or {}).get("input_shape")
    if shapes is None:
        raise ValueError(
            "The model must say what it takes. Received: "
            f"model={model.name!r}, which declares no inputs. "
            "Pass sample=, input data as the model takes it."
        )

    def spec(shape):
        return keras.InputSpec(
            shape=(None, *shape[1:]), dtype=model.input_dtype
        )

    return keras.tree.map_shape_structure(spec, shapes)


def _named(declared):
    taken = set()

    def name(path, tensor):
        given = tensor.name or "_".join(map(str, path)) or "inputs"
        clean = re.sub(r"\W", "_", given)
        while clean in taken:
            clean += "_"
        taken.add(clean)
        return clean

    named = [
        keras.InputSpec(
            shape=tuple(tensor.shape),
            dtype=keras.backend.standardize_dtype(tensor.dtype),
            name=name(path, tensor),
        )
        for path, tensor in keras.tree.flatten_with_path(declared)
    ]
    return keras.tree.pack_sequence_as(declared, named)


def _structured(specs, sample):
    """Inputs by name, or in a list of one, in the model's structure."""
    names = [spec.name for spec in keras.tree.flatten(specs)]
    if isinstance(sample, dict) and not isinstance(specs, dict):
        if set(names) != set(sample):
            return sample
        arrays = [sample[name] for name in names]
        return keras.tree.pack_sequence_as(specs, arrays)
    if isinstance(specs, keras.InputSpec) and isinstance(sample, (list, tuple)):
        is_one = len(sample) == 1 and np.ndim(sample[0]) == len(specs.shape)
        return sample[0] if is_one else sample
    if isinstance(specs, (list, tuple)) and len(specs) == 1:
        # As Keras, an array for a list of the only one.
        return sample if isinstance(sample, (list, tuple, dict)) else [sample]
    return sample


def _fitted(spec, array, name):
    array = np.asarray(array)
    fits = array.ndim == len(spec.shape) and all(
        wanted in (None, size)
        for wanted, size in zip(spec.shape, array.shape, strict=True)
    )
    if not fits:
        raise ValueError(
            f"`{name}` must have the shapes that the model takes. Received: "
            f"shape {array.shape} for the input {spec.name!r} of shape "
            f"{spec.shape}. Pass data with a batch axis in front."
        )
    if is_float(spec):
        return array.astype(spec.dtype)
    with np.errstate(invalid="ignore"):
        fitted = array.astype(spec.dtype)
    if "float" in array.dtype.name and not np.array_equal(fitted, array):
        raise ValueError(
            f"`{name}` must hold whole numbers, as the model takes them. "
            f"Received: {array.dtype} with others or NaN for the input "
            f"{spec.name!r} of type {spec.dtype}. Pass {spec.dtype}."
        )
    return fitted


def _outline(structure):
    """A structure with each array told by its shape."""
    return keras.tree.map_structure(
        lambda leaf: tuple(getattr(leaf, "shape", np.shape(leaf))), structure
    )
