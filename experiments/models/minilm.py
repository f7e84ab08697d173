"""The encoder of all-MiniLM-L6-v2: BERT with six layers of width 384.

Devlin et al. 2019 (arXiv 1810.04805) for the encoder, Wang et al. 2020 (arXiv
1909.10351) for the small ones; a sentence is the mean over its tokens
(Reimers and Gurevych 2019, arXiv 1908.10084).
"""

import keras
import numpy as np
from keras import layers, ops

DEPTH, WIDTH, HEADS, INNER = 6, 384, 12, 1536
WORDS, PLACES, KINDS = 30522, 512, 2
_EPSILON = 1e-12


def minilm(length=None, depth=DEPTH, words=WORDS):
    """Builds the encoder, without trained weights.

    Input shape: `{"ids": (batch, length), "mask": (batch, length)}`, where
    the mask is 1 at tokens and 0 behind the end.
    Output shape: `(batch, 384)`, the embeddings of the sentences.

    Args:
        length: Tokens of a sentence, None for any number.
        depth: Number of encoder layers.
        words: Size of the vocabulary.

    Returns:
        A built Functional model.
    """
    ids = keras.Input((length,), dtype="int32", name="ids")
    mask = keras.Input((length,), name="mask")
    places = ops.cumsum(ops.ones_like(ids), axis=1) - 1
    x = layers.Add(name="embeddings")(
        [
            layers.Embedding(words, WIDTH, name="words")(ids),
            layers.Embedding(PLACES, WIDTH, name="places")(places),
            layers.Embedding(KINDS, WIDTH, name="kinds")(ops.zeros_like(ids)),
        ]
    )
    x = _norm("embeddings.norm")(x)
    seen = ops.cast(mask[:, None, :], "bool")
    for number in range(depth):
        x = _encoder_layer(x, seen, f"layer{number}")
    weights = mask[:, :, None]
    total = ops.sum(x * weights, axis=1)
    mean = total / ops.maximum(ops.sum(weights, axis=1), 1.0)
    return keras.Model({"ids": ids, "mask": mask}, mean, name="minilm")


def _encoder_layer(x, seen, name):
    attention = layers.MultiHeadAttention(
        HEADS, WIDTH // HEADS, name=f"{name}.attention"
    )
    attended = attention(x, x, attention_mask=seen)
    x = _norm(f"{name}.attention.norm")(
        layers.Add(name=f"{name}.attention.add")([x, attended])
    )
    inner = layers.Dense(INNER, name=f"{name}.inner")(x)
    inner = layers.Activation(_gelu, name=f"{name}.gelu")(inner)
    outer = layers.Dense(WIDTH, name=f"{name}.outer")(inner)
    added = layers.Add(name=f"{name}.add")([x, outer])
    return _norm(f"{name}.norm")(added)


@keras.saving.register_keras_serializable("tensornet_experiments", "gelu")
def _gelu(x):
    """The Gaussian error linear unit itself, not its approximation."""
    return ops.gelu(x, approximate=False)


def _norm(name):
    return layers.LayerNormalization(epsilon=_EPSILON, name=name)


def fill_minilm(model, arrays):
    """Gives the encoder the pretrained weights of its PyTorch version.

    Args:
        model: What `minilm` returned.
        arrays: Arrays by the names of PyTorch.
    """

    def array(name):
        return np.asarray(arrays[name], "float32")

    def affine(name, *shape):
        """A matrix and a bias, in the shapes of a projection of Keras."""
        kernel, bias = array(f"{name}.weight").T, array(f"{name}.bias")
        return (kernel.reshape(shape) if shape else kernel), bias

    def norm(name, source):
        model.get_layer(name).set_weights(
            [array(f"{source}.weight"), array(f"{source}.bias")]
        )

    for name, source in (
        ("words", "word"),
        ("places", "position"),
        ("kinds", "token_type"),
    ):
        model.get_layer(name).set_weights(
            [array(f"embeddings.{source}_embeddings.weight")]
        )
    norm("embeddings.norm", "embeddings.LayerNorm")
    split = HEADS, WIDTH // HEADS
    for number in range(DEPTH):
        name, source = f"layer{number}", f"encoder.layer.{number}"
        weights = []
        for part in ("query", "key", "value"):
            kernel, bias = affine(f"{source}.attention.self.{part}")
            weights += [kernel.reshape(WIDTH, *split), bias.reshape(split)]
        weights += affine(f"{source}.attention.output.dense", *split, WIDTH)
        model.get_layer(f"{name}.attention").set_weights(weights)
        norm(f"{name}.attention.norm", f"{source}.attention.output.LayerNorm")
        for part, own in (("inner", "intermediate"), ("outer", "output")):
            model.get_layer(f"{name}.{part}").set_weights(
                affine(f"{source}.{own}.dense")
            )
        norm(f"{name}.norm", f"{source}.output.LayerNorm")
