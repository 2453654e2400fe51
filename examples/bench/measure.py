"""What a scenario measures, and the record of it."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from processes import TICK, processes
from sut import Sut

MB = 1 << 20


def machine_busy() -> float:
    """CPU seconds used on the whole machine so far."""
    with open("/proc/stat", encoding="ascii") as file:
        field = [int(v) for v in file.readline().split()[1:9]]
    return (sum(field) - field[3] - field[4]) / TICK


class Meter:
    """CPU seconds used between construction and `stop()`, by role."""

    def __init__(self, sut: Sut) -> None:
        self.sut, self.t, self.cpu, self.busy = sut, time.time(), sut.cpu(), machine_busy()

    def stop(self) -> dict:
        wall, now = time.time() - self.t, self.sut.cpu()
        diff = {k: v - self.cpu.get(k, 0.0) for k, v in now.items()}
        nodes = [k for k in diff if k.startswith("supernode") and "." not in k]
        link = diff.get("superlink", 0.0)
        own = sum(diff[k] for k in nodes)
        all_nodes = sum(diff[f"{k}.tree"] for k in nodes)
        total = sum(v for k, v in diff.items() if k.endswith(".tree"))
        return {
            "wall": round(wall, 2),
            "cpu_superlink": round(link, 2),
            "cpu_superlink_children": round(diff.get("superlink.tree", 0) - link, 2),
            "cpu_supernodes": round(own, 2),
            "cpu_supernode_children": round(all_nodes - own, 2),
            "cpu_apart": round(sum(v for k, v in diff.items() if k.endswith(".apart")), 2),
            # CPUs kept busy by anything that is not the SUT (noise, and `flwr` itself)
            "other_cpus": round((machine_busy() - self.busy - total) / wall, 2),
        }


class Waker:
    """A process that wakes once a second and does nothing: what a wake costs this machine."""

    def __enter__(self) -> "Waker":
        code = "import time\nwhile True:\n    time.sleep(1)"
        self.process = subprocess.Popen([sys.executable, "-c", code])
        time.sleep(2)  # its start is over
        self.t, self.cpu = time.time(), self._cpu()
        return self

    def __exit__(self, *_) -> None:
        self.process.kill()
        self.process.wait()

    def _cpu(self) -> float:
        return processes()[self.process.pid]["own"]

    def cpu_per_min(self) -> float:
        return (self._cpu() - self.cpu) * 60 / (time.time() - self.t)


def peaks(sut: Sut) -> dict:
    """Peak RSS in MiB, the maximum over the supernodes."""
    peak = sut.peaks()
    names = [k for k in peak if k.startswith("supernode")]

    def top(suffix: str) -> float:
        if suffix:
            values = [peak[k] for k in names if k.endswith(suffix)]
        else:
            values = [peak[k] for k in names if "." not in k]
        return round(max(values, default=0) / MB)

    return {
        "superlink": round(peak.get("superlink", 0) / MB),
        "superlink_child": round(peak.get("superlink.child", 0) / MB),
        "supernode": top(""),
        "supernode_child": top(".child"),
        "total": round(peak.get("total", 0) / MB),
    }


def phases(events: list[dict]) -> list[dict]:
    """Where the time of each send/receive goes, along the slowest client.

    dispatch: message sent -> ClientApp process started; startup: process started -> the
    app's handler entered; compute: in the handler; collect: handler left -> the
    ServerApp has all replies. A process that is started before there is a message for it
    has no start-up of its own: then all until the handler is dispatch.
    """
    rows = []
    for sent in (e for e in events if e["ev"] == "server-send"):
        key = (sent["round"], sent.get("kind"))

        def same(e, key=key):
            return (e.get("round"), e.get("kind")) == key

        got = next((e for e in events if e["ev"] == "server-got" and same(e)), None)
        clients = [e for e in events if e["ev"] == "client" and same(e)]
        if not got or not clients:
            continue
        last = max(clients, key=lambda e: e["end"])
        ahead = last["proc_start"] < sent["t"]
        started = last["start"] if ahead else last["proc_start"]
        rows.append(
            {
                "dispatch": started - sent["t"],
                "startup": last["start"] - started,
                "compute": last["end"] - last["start"],
                "collect": got["t"] - last["end"],
                "total": got["t"] - sent["t"],
            }
        )
    return rows


def spread(values) -> dict:
    """Median, minimum, maximum and count."""
    values = [v for v in values if v is not None]
    if not values:
        return {}
    return {
        "median": round(statistics.median(values), 3),
        "min": round(min(values), 3),
        "max": round(max(values), 3),
        "n": len(values),
    }


def spread_rows(rows: list[dict]) -> dict:
    return {k: spread([r[k] for r in rows]) for k in (rows[0] if rows else {})}


class Bench:
    """Options shared by all scenarios, and the record of results."""

    def __init__(self, args) -> None:
        self.args, self.count = args, 0
        self.rows: list[dict] = []

    def sut(self, n: int | None = None, debug: bool = False) -> Sut:
        """A fresh SUT; started with n supernodes unless n is None."""
        self.count += 1
        work = Path(self.args.work) / f"{self.args.label}-{os.getpid()}-{self.count}"
        shutil.rmtree(work, ignore_errors=True)
        sut = Sut(
            self.args.sut,
            work,
            self.args.port,
            venv=self.args.venv,
            rhizome=self.args.rhizome,
            fakenode=self.args.fakenode,
        )
        if self.args.db:
            sut.spec["superlink"]["cmd"] += sut.spec["superlink"]["db_args"]
        if debug:
            sut.env.update(sut.spec["superlink"].get("debug_env", {}))
        if n is not None:
            try:
                sut.start(n)
            except BaseException:
                sut.stop()
                raise
        return sut

    def done(self, sut: Sut) -> None:
        sut.stop()
        if not self.args.keep:
            shutil.rmtree(sut.work, ignore_errors=True)

    def emit(self, **row) -> None:
        """Print one result and append it to --out."""
        row = {
            "sut": self.args.label,
            "db": self.args.db,
            "scenario": self.args.scenario,
            **row,
            "load1": round(os.getloadavg()[0], 1),
        }
        self.rows.append(row)
        text = json.dumps(row)
        if not self.args.quiet:
            print(text, flush=True)
        if self.args.out:
            with open(self.args.out, "a", encoding="utf-8") as file:
                file.write(text + "\n")
