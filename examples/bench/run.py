"""One `flwr run` against a system under test."""

import json
import re
import subprocess
import threading
import time
from pathlib import Path


class Run:
    """One `flwr run`: its output with timestamps and the events of the app."""

    count = 0

    def __init__(self, sut, app: Path, config: dict, stream: bool) -> None:
        Run.count += 1
        self.sut = sut
        self.events_file = sut.work / f"events-{Run.count}.jsonl"
        self.events_file.write_text("")
        pairs = {**config, "events": str(self.events_file)}
        text = " ".join(f"{k}={json.dumps(v)}" for k, v in pairs.items())
        args = ["flwr", "run", str(app), sut.spec["flwr"]["name"], "--run-config", text]
        self.lines: list[tuple[float, str]] = []
        self.start = time.time()
        self.proc = subprocess.Popen(
            args + (["--stream"] if stream else []),
            env=sut.env,
            cwd=sut.work,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.exit_time = 0.0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.proc.stdout:
            self.lines.append((time.time(), line.rstrip()))
        self.proc.wait()
        self.exit_time = time.time()

    def events(self, kind: str | None = None) -> list[dict]:
        """Events the app has written so far."""
        rows = []
        for line in self.events_file.read_text().splitlines():
            try:
                rows.append(json.loads(line))
            except ValueError:
                pass
        return [r for r in rows if kind in (None, r["ev"])]

    def wait_event(self, kind: str, timeout: float, **match) -> dict | None:
        """Wait for an event; None on timeout."""
        end = time.time() + timeout
        while time.time() < end:
            for row in self.events(kind):
                if all(row.get(k) == v for k, v in match.items()):
                    return row
            time.sleep(0.05)
        return None

    def seen(self, text: str) -> float | None:
        """When a line with `text` first came out of `flwr run`."""
        return next((t for t, line in self.lines if text in line), None)

    def run_id(self) -> str:
        for _, line in self.lines:
            if found := re.search(r"started run (\d+)", line):
                return found.group(1)
        return ""

    def result(self, timeout: float) -> dict | None:
        """Final JSON of the ServerApp; waits for `flwr run` to end too."""
        row = self.wait_event("server-end", timeout)
        self._reader.join(30 if row else 1)
        return row["result"] if row else None

    def abandon(self) -> None:
        """End the local `flwr run` process (not the run itself)."""
        if self.proc.poll() is None:
            self.proc.terminate()
            self.proc.wait()
