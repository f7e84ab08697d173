"""A small language model of characters: attention and dense layers.

The decoder of Vaswani et al. 2017 (arXiv 1706.03762), with the normalizations
in front of attention and of the dense layers.
"""

import keras
from keras import layers, ops


def language_model(vocabulary, length, width=192, heads=6, depth=2):
    """Builds the model.

    Input shape: `(batch, length)`, numbers of characters.
    Output shape: `(batch, length, vocabulary)`, logits of the next one.

    Args:
        vocabulary: How many characters there are.
        length: Characters of an example.
        width: Features of a character.
        heads: Heads of each attention.
        depth: How many pairs of attention and dense layers.

    Returns:
        A built Functional model.
    """
    ids = keras.Input((length,), dtype="int32", name="ids")
    places = ops.cumsum(ops.ones_like(ids), axis=1) - 1
    x = layers.Add(name="embeddings")(
        [
            layers.Embedding(vocabulary, width, name="characters")(ids),
            layers.Embedding(length, width, name="places")(places),
        ]
    )
    for number in range(depth):
        name = f"layer{number}"
        y = layers.LayerNormalization(name=f"{name}.attention.norm")(x)
        y = layers.MultiHeadAttention(
            heads, width // heads, name=f"{name}.attention"
        )(y, y, use_causal_mask=True)
        x = layers.Add(name=f"{name}.attention.add")([x, y])
        y = layers.LayerNormalization(name=f"{name}.norm")(x)
        y = layers.Dense(4 * width, activation="gelu", name=f"{name}.inner")(y)
        y = layers.Dense(width, name=f"{name}.outer")(y)
        x = layers.Add(name=f"{name}.add")([x, y])
    x = layers.LayerNormalization(name="norm")(x)
    logits = layers.Dense(vocabulary, name="head")(x)
    return keras.Model(ids, logits, name="language_model")
