"""Linear probes: what can be read off the outputs of a network."""

import numpy as np

# Weight of the ridge, for rows of norm 1.
RIDGE = 1.0


def ridge(train, targets, test):
    """Predictions of a ridge regression on rows of norm 1.

    Args:
        train: Array `(n, features)`.
        targets: What it is to predict, `(n,)` or `(n, outputs)`.
        test: Array `(m, features)`.

    Returns:
        The predictions for `test`.
    """
    train, test = (_unit(x) for x in (train, test))
    mean, offset = train.mean(0), targets.mean(0)
    x = train - mean
    gram = x.T @ x + RIDGE * np.eye(x.shape[1])
    weights = np.linalg.solve(gram, x.T @ (targets - offset))
    return (test - mean) @ weights + offset


def _unit(rows):
    rows = rows.astype(np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
