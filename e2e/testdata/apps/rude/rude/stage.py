"""How a test hears of the app and ends it: files in one folder."""

import os
import time

# Nobody waits for a test that has died.
LIMIT = 300


class Stage:
    """The folder."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.limit = time.monotonic() + LIMIT

    def note(self, event: str) -> None:
        """Leave a file of this name."""
        with open(os.path.join(self.path, event), "w", encoding="utf-8"):
            pass

    def goes_on(self) -> bool:
        """Whether the test has not seen enough."""
        return time.monotonic() < self.limit and not os.path.exists(os.path.join(self.path, "enough"))


def print_much(who: str) -> None:
    """Print 100 MB in lines."""
    for number in range(100_000):
        print(f"{who} {number:06} " + "x" * 980)
