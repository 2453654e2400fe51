"""Many imitated nodes: the process of fakenode/ and what it reports."""

import json
import statistics
import subprocess
import time

from processes import processes
from sut import Sut


class Fakes:
    """A running fakenode. It is a context manager, which ends it."""

    def __init__(self, sut: Sut, n: int, limit: float) -> None:
        self.n, self.log = n, sut.work / "fakenode.log"
        command = sut.spec["fake"]["cmd"] + [
            "-n", str(n), "-ramp", str(max(10, n / 50)),
            "-duration", f"{limit}s", "-report", "5s",
        ]
        with open(self.log, "wb") as file:
            self.proc = subprocess.Popen(
                [sut.fill(word) for word in command],
                env=sut.env,
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> "Fakes":
        return self

    def __exit__(self, *_) -> None:
        self.proc.terminate()
        self.proc.wait()

    def reports(self) -> list[dict]:
        """Its report lines so far."""
        return [json.loads(x) for x in self.log.read_text().splitlines() if x[:1] == "{"]

    def wait_online(self, limit: float) -> int:
        """Wait until all nodes are connected; returns how many are."""
        end, rows = time.time() + limit, []
        while time.time() < end and self.proc.poll() is None:
            rows = self.reports()
            if rows and rows[-1]["online"] >= self.n:
                break
            time.sleep(1)
        if not rows:
            raise RuntimeError(f"fakenode says nothing, see {self.log}")
        return rows[-1]["online"]

    def cpu(self) -> float:
        """CPU seconds it has used."""
        return processes()[self.proc.pid]["own"]

    def digest(self, skip: int) -> dict:
        """Medians over the report intervals after the first `skip`."""
        rows = self.reports()[skip:]
        errors: dict[str, int] = {}
        for row in rows:
            for key, value in row["errors"].items():
                errors[key] = errors.get(key, 0) + value

        def median(kind: str, figure: str):
            values = [r["latency"][kind][figure] for r in rows if kind in r["latency"]]
            return statistics.median(values) if values else None

        return {
            "requests_per_s": statistics.median([r["requests_per_s"] for r in rows] or [0]),
            "poll_p50_ms": median("pull-messages", "p50_ms"),
            "poll_p99_ms": median("pull-messages", "p99_ms"),
            "answer_p50_ms": median("offer-to-ack", "p50_ms"),
            "answer_p99_ms": median("offer-to-ack", "p99_ms"),
            "errors": errors,
        }
