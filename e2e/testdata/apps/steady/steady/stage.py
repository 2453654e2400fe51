"""How a test steers the app: files in one folder."""

import os
import time


class Stage:
    """The folder; without one the app runs by itself."""

    def __init__(self, path: str) -> None:
        self.path = path

    def note(self, event: str) -> None:
        """Append an event with the process that it happened in."""
        if self.path:
            with open(os.path.join(self.path, "events"), "a", encoding="utf-8") as file:
                file.write(f"{event} {os.getpid()}\n")

    def hold(self, point: str) -> None:
        """Wait here for as long as the test has a file of that name."""
        if not self.path:
            return
        barrier = os.path.join(self.path, f"hold-{point}")
        if os.path.exists(barrier):
            self.note(f"held-{point}")
        while os.path.exists(barrier):
            time.sleep(0.02)

    def result(self, text: str) -> None:
        """Leave the result, whole or not at all."""
        if self.path:
            target = os.path.join(self.path, "result")
            with open(target + ".new", "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(target + ".new", target)
