"""Events that a test reads."""

import os
import time


def note(path: str, name: str) -> None:
    """Append an event."""
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"{name} {time.time():.6f} {os.getpid()}\n")
