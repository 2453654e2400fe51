"""What makes the messages of each run its own."""

import hashlib

import numpy as np
from flwr.app import ArrayRecord


class Mask:
    """Weights on the wire, mixed with noise of the run.

    Runs with the same weights would have the same objects, and each would find in stores what
    another has brought there, instead of bringing it over its own line.
    """

    def __init__(self, salt: str) -> None:
        self.seed = list(hashlib.sha256(salt.encode()).digest())

    def pack(self, weights: np.ndarray) -> ArrayRecord:
        """Mix."""
        return ArrayRecord([self._mix(weights.view(np.uint8))])

    def unpack(self, arrays: ArrayRecord) -> np.ndarray:
        """Take the noise out again."""
        (mixed,) = arrays.to_numpy_ndarrays()
        return self._mix(mixed).view(np.float64)

    def _mix(self, data: np.ndarray) -> np.ndarray:
        noise = np.random.default_rng(self.seed).integers(0, 256, data.size, dtype=np.uint8)
        return data ^ noise
