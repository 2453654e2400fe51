"""Digits that are made up: ten prototypes with noise, from a seed."""

import numpy as np


def digits(partition: int, partitions: int, size: int = 4000):
    """Features and labels of one partition."""
    rng = np.random.default_rng(7)
    prototypes = rng.random((10, 64))
    labels = rng.integers(0, 10, size)
    features = prototypes[labels] + rng.normal(0, 0.3, (size, 64))
    mine = slice(partition, None, partitions)
    return features[mine], labels[mine]
