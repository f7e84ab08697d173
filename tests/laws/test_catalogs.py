from tensornet_keras import registration
from tensornet_keras.formats import CATALOG
from tensornet_keras.formats.spectrum_preserving import PaperMethod
from tests.laws.examples import LAYERS, a_selection_of_layers
from tests.laws.format_examples import AS_WRITTEN, FORMATS


def test_every_format_of_the_catalog_has_examples():
    assert set(FORMATS) == set(AS_WRITTEN) == set(CATALOG)
    for name, examples in FORMATS.items():
        kinds = {type(example) for example in examples}
        # Bound, a method of a paper is a format of another class.
        assert kinds == {CATALOG[name]} or name == PaperMethod.name
        assert all(example.is_bound for example in examples)
        assert not AS_WRITTEN[name].is_bound


def test_every_format_has_examples_of_matrices_and_of_kernels():
    for examples in FORMATS.values():
        windows = {len(example.window) for example in examples}
        assert windows == {0, 1, 2, 3}


def test_every_layer_has_examples():
    assert set(LAYERS) == set(registration.LAYERS)
    assert all(LAYERS.values())


def test_the_selection_has_every_format_and_every_layer():
    selection = a_selection_of_layers()
    assert {example.layer for example in selection} == set(registration.LAYERS)
    formats = [example.arguments.get("format") for example in selection]
    assert set(AS_WRITTEN.values()) <= set(formats)
