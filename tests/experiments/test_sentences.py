"""The sentence encoder: its tokens, its size, its mask, its weights."""

import keras
import numpy as np
import pytest

from experiments.datasets.text import SentenceBatches, WordPieces
from experiments.models.minilm import fill_minilm, minilm
from experiments.probes import ridge

PIECES = WordPieces(
    ["[CLS]", "[SEP]", "[UNK]", "film", "##s", "a", "cafe", "!", "_", "un"]
    + ["##film", "##ed"]
)


def test_words_are_split_from_the_left_into_the_longest_pieces():
    assert PIECES.ids("a film") == [0, 5, 3, 1]
    assert PIECES.ids("Films!") == [0, 3, 4, 7, 1]
    assert PIECES.ids("unfilmed") == [0, 9, 10, 11, 1]


def test_accents_go_and_strange_words_are_unknown():
    assert PIECES.ids("café_a") == [0, 6, 8, 5, 1]
    assert PIECES.ids("filmz a") == [0, 2, 5, 1]


def test_a_long_sentence_keeps_its_end():
    batch = PIECES.batch(["a a a a a", "a"], 4)
    np.testing.assert_array_equal(batch["ids"], [[0, 5, 5, 1], [0, 5, 1, 0]])
    np.testing.assert_array_equal(batch["mask"], [[1, 1, 1, 1], [1, 1, 1, 0]])


@pytest.mark.parametrize("seed", [None, 0])
def test_batches_hold_every_sentence_once_and_little_padding(seed):
    texts = ["a", "a a a a", "a a", "a a a a a a", "film", "a film"]
    whole = PIECES.batch(texts, 6)
    batches = SentenceBatches(PIECES, texts, 6, 2, seed)
    assert len(batches) == 3
    assert sorted(np.concatenate(batches.chosen)) == list(range(6))
    for number, chosen in enumerate(batches.chosen):
        batch = batches[number]
        assert batch["mask"].sum(1).max() == batch["ids"].shape[1]
        for name, array in batch.items():
            longest = array.shape[1]
            np.testing.assert_array_equal(array, whole[name][chosen, :longest])
            assert not whole["mask"][chosen, longest:].any()


def test_a_probe_finds_what_is_linear():
    rows = np.random.default_rng(0).normal(size=(400, 8))
    wanted = rows @ np.arange(8.0)
    guess = ridge(rows[:300], np.sign(wanted[:300]), rows[300:])
    assert (np.sign(guess) == np.sign(wanted[300:])).mean() > 0.9


def test_it_has_the_parameters_of_the_original():
    # 22,713,216 with the pooler, whose 147,840 weights no embedding uses.
    assert minilm().count_params() == 22_713_216 - 147_840


def test_what_is_behind_the_end_does_not_matter():
    keras.utils.set_random_seed(0)
    model = minilm(6, depth=1, words=12)
    ids = np.array([[0, 5, 3, 1, 0, 0], [0, 5, 3, 1, 7, 8]], "int32")
    mask = np.array([[1, 1, 1, 1, 0, 0]] * 2, "float32")
    one, two = keras.ops.convert_to_numpy(model({"ids": ids, "mask": mask}))
    np.testing.assert_allclose(one, two, atol=1e-5)


def test_pretrained_arrays_go_to_their_layers():
    """Every array has a number of its own, which its layer gets."""
    model = minilm(4, words=30)
    shapes = {
        "LayerNorm": (384,),
        "query": (384, 384),
        "key": (384, 384),
        "value": (384, 384),
        "attention.output.dense": (384, 384),
        "intermediate.dense": (1536, 384),
        "output.dense": (384, 1536),
    }
    arrays = {
        "embeddings.word_embeddings.weight": np.full((30, 384), 1.0),
        "embeddings.position_embeddings.weight": np.full((512, 384), 2.0),
        "embeddings.token_type_embeddings.weight": np.full((2, 384), 3.0),
    }
    names = ["embeddings.LayerNorm"]
    for number in range(6):
        own = f"encoder.layer.{number}"
        names += [
            f"{own}.attention.self.{x}" for x in ("query", "key", "value")
        ]
        names += [f"{own}.attention.output.dense", f"{own}.intermediate.dense"]
        names += [f"{own}.attention.output.LayerNorm", f"{own}.output.dense"]
        names += [f"{own}.output.LayerNorm"]
    for value, name in enumerate(names, start=10):
        kind = next(x for x in shapes if name.endswith(x))
        arrays[f"{name}.weight"] = np.full(shapes[kind], float(value))
        arrays[f"{name}.bias"] = np.full(shapes[kind][:1], value + 0.5)
    fill_minilm(model, arrays)
    attention = model.get_layer("layer2.attention").get_weights()
    assert [float(x.flat[0]) for x in attention] == [
        value
        for part in ("query", "key", "value")
        for value in _values(arrays, f"encoder.layer.2.attention.self.{part}")
    ] + _values(arrays, "encoder.layer.2.attention.output.dense")
    inner = model.get_layer("layer5.inner").get_weights()
    assert [float(x.flat[0]) for x in inner] == _values(
        arrays, "encoder.layer.5.intermediate.dense"
    )
    assert inner[0].shape == (384, 1536)


def _values(arrays, name):
    return [float(arrays[f"{name}.{x}"].flat[0]) for x in ("weight", "bias")]
