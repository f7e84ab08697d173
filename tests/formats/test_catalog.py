import dataclasses
from typing import ClassVar

import pytest

from tensornet_keras import formats
from tensornet_keras.formats import CATALOG, Format, TensorTrain


@pytest.fixture
def catalog():
    """The catalog, as it was before once the test is over."""
    before = dict(CATALOG)
    yield CATALOG
    CATALOG.clear()
    CATALOG.update(before)


@dataclasses.dataclass(frozen=True, repr=False)
class Ring(TensorTrain):
    """A format of a user's own."""

    name: ClassVar[str] = "ring"


def test_a_name_gives_the_format_with_its_arguments():
    assert formats.get("tt", rank=8) == TensorTrain(rank=8)


def test_a_format_is_its_own_identifier():
    train = TensorTrain(rank=8)
    assert formats.get(train) is train


def test_a_dict_gives_the_format_it_was_made_from():
    train = TensorTrain(0.25, (3, 4), (5, 2)).bind((12,), (10,))
    assert formats.get(train.to_config()) == train


def test_a_dict_may_leave_out_what_is_default():
    assert formats.get({"name": "tt", "rank": 3}) == TensorTrain(3)


@pytest.mark.usefixtures("catalog")
def test_a_format_of_ones_own_is_found_once_registered():
    assert formats.register(Ring) is Ring
    assert formats.register(Ring) is Ring
    assert formats.get("ring", rank=2) == Ring(2)
    bound = Ring(2).bind((4,), (4,))
    assert formats.get(bound.to_config()) == bound


@pytest.mark.usefixtures("catalog")
def test_a_name_that_is_taken_is_refused():
    Other = type("Other", (Ring,), {"name": "tt"})
    with pytest.raises(ValueError, match="'tt', which TensorTrain has already"):
        formats.register(Other)
    assert CATALOG["tt"] is TensorTrain


@pytest.mark.parametrize("value", [TensorTrain(3), dict, "tt"], ids=str)
def test_only_format_classes_are_registered(value):
    with pytest.raises(TypeError, match="Only subclasses of Format"):
        formats.register(value)


@pytest.mark.parametrize("identifier", ["ttt", {"name": "ttt", "rank": 2}])
def test_an_unknown_name_lists_the_known_ones(identifier):
    with pytest.raises(
        ValueError, match=r"\['.*'tt'.*\].*Received: format='ttt'"
    ):
        formats.get(identifier)


@pytest.mark.parametrize("identifier", [8, None, {"rank": 8}, TensorTrain])
def test_what_is_no_format_is_refused(identifier):
    with pytest.raises(TypeError, match="A format must be a Format"):
        formats.get(identifier)


def test_arguments_beside_a_format_are_refused():
    with pytest.raises(
        TypeError, match=r"with a catalog name only.*\['rank'\]"
    ):
        formats.get(TensorTrain(3), rank=8)


def test_an_unknown_argument_of_a_dict_is_named():
    with pytest.raises(ValueError, match=r"Received: \['ranks'\]"):
        formats.get({"name": "tt", "ranks": 8})


def test_the_base_class_is_abstract():
    with pytest.raises(TypeError, match="abstract"):
        Format()
