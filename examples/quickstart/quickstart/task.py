"""Model and data: softmax regression on scikit-learn's 8x8 digits.

Everything is a function of its arguments: each client seeds with the round and with the
number of its partition, so that a run gives the same weights wherever it runs.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

CLASSES = 10
BATCH = 32


def load_data(partition: int, partitions: int):
    """Training and test data of one client: every `partitions`-th sample is its own."""
    x, y = load_digits(return_X_y=True)
    mine = slice(partition, None, partitions)
    return train_test_split(x[mine] / 16.0, y[mine], test_size=0.2, random_state=0)


def initial_weights() -> list[np.ndarray]:
    """Weights and biases of an untrained model."""
    return [np.zeros((64, CLASSES)), np.zeros(CLASSES)]


def predict(weights: list[np.ndarray], x: np.ndarray) -> np.ndarray:
    """Probability of each class, a row for each sample."""
    scores = x @ weights[0] + weights[1]
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return scores / scores.sum(axis=1, keepdims=True)


def train(weights, x, y, epochs: int, rate: float, seed: int):
    """Stochastic gradient descent; returns new weights and the training loss."""
    w, b = (array.copy() for array in weights)
    rng = np.random.default_rng(seed)
    for _ in range(epochs):
        order = rng.permutation(len(y))
        for start in range(0, len(y), BATCH):
            rows = order[start : start + BATCH]
            error = predict([w, b], x[rows])
            error[np.arange(len(rows)), y[rows]] -= 1.0
            w -= rate * x[rows].T @ error / len(rows)
            b -= rate * error.mean(axis=0)
    return [w, b], evaluate([w, b], x, y)[0]


def evaluate(weights, x, y) -> tuple[float, float]:
    """Loss and accuracy."""
    probabilities = predict(weights, x)
    loss = log_loss(y, probabilities, labels=range(CLASSES))
    return float(loss), float((probabilities.argmax(axis=1) == y).mean())
