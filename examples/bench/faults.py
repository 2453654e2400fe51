"""Scenarios in which something is killed or frozen while a run goes on."""

import json
import os
import signal
import time

from measure import Bench
from processes import command_line, processes, tree
from scenarios import APPS
from sut import Sut


def _observe(bench: Bench, sut: Sut, run, name: str, t0: float, wait: float, **more):
    """Report how a run went on after a fault at time t0."""
    end = run.wait_event("server-end", wait)
    rows = run.events("server-round")
    bench.emit(
        fault=name,
        rounds=[
            {
                "round": r["round"],
                "after_fault_s": round(r["t"] - t0, 1),
                "wall": round(r["wall"], 1),
                "replies": r["replies"],
                "errors": r["errors"],
            }
            for r in rows
        ],
        finished=bool(end),
        status=_status(sut, run),
        observed_s=round(time.time() - t0, 1),
        **more,
    )
    run.abandon()


def _status(sut: Sut, run) -> str:
    """Status of the run, from `flwr list`."""
    try:
        text = sut.flwr("list", sut.spec["flwr"]["name"], "--format", "json")
        data = json.loads(text[text.index("{") :])
        for row in data["runs"]:
            if str(row.get("run-id")) == run.run_id():
                return str(row.get("status"))
        return "run not listed"
    except Exception as err:  # pylint: disable=broad-except
        return f"unknown ({type(err).__name__})"


def _begin(bench: Bench, n: int = 2, sleep: float = 8.0, rounds_: int = 3, **config):
    """A SUT with an echo run whose clients are asleep in round 1."""
    sut = bench.sut(n)
    time.sleep(2)
    run = sut.run(
        APPS / "echo",
        {"rounds": rounds_, "nodes": n, "client-sleep": sleep, **config},
    )
    for _ in range(n):
        if not run.wait_event("client-sleep", 60, round=1):
            raise TimeoutError("clients did not start")
    time.sleep(1.5)
    return sut, run


def _child(sut: Sut, name: str, text: str) -> list[int]:
    """Descendants of a root process whose command line contains `text`."""
    pids = tree(processes(), sut.procs[name].pid)
    return [pid for pid in pids if text in command_line(pid)]


def fault_node(bench: Bench) -> None:
    """kill -9 of a supernode with all its children, mid-round, never restarted."""
    sut, run = _begin(bench)
    try:
        sut.kill("supernode1", whole_tree=True)
        _observe(bench, sut, run, "kill -9 supernode tree mid-round", time.time(), 240)
    finally:
        bench.done(sut)


def fault_restart(bench: Bench) -> None:
    """kill -9 of a supernode mid-round, restarted 2 s later."""
    sut, run = _begin(bench)
    try:
        t0 = time.time()
        sut.kill("supernode1", whole_tree=True)
        sut.forget("supernode1")
        time.sleep(2)
        sut.log_file("supernode1").unlink()
        sut.start_supernode(1, 2)
        sut.wait_supernodes([1])
        _observe(
            bench, sut, run, "kill -9 supernode mid-round, restart", t0, 240,
            online_again_s=round(time.time() - t0, 1),
        )
    finally:
        bench.done(sut)


def fault_clientapp(bench: Bench) -> None:
    """kill -9 of one ClientApp process mid-round (subprocess isolation)."""
    sut, run = _begin(bench)
    try:
        pids = _child(sut, "supernode1", "clientapp")
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        _observe(
            bench, sut, run, "kill -9 ClientApp process", time.time(), 240, killed=len(pids)
        )
    finally:
        bench.done(sut)


def fault_superlink(bench: Bench) -> None:
    """kill -9 of the superlink mid-round, restarted 2 s later on the same state."""
    sut, run = _begin(bench)
    try:
        t0 = time.time()
        sut.kill("superlink")
        sut.forget("superlink")
        time.sleep(2)
        ready = sut.start_superlink()
        time.sleep(75)
        alive = sum(p.poll() is None for k, p in sut.procs.items() if k != "superlink")
        again = sut.run(APPS / "echo", {"rounds": 1, "nodes": 2})
        second = again.result(90)
        again.abandon()
        _observe(
            bench, sut, run, "kill -9 superlink, restart", t0, 30,
            superlink_ready_s=round(ready, 1),
            supernodes_alive_after_75s=alive,
            new_run_ok=second is not None,
            new_run_nodes=second["nodes"] if second else 0,
            old_run_tail=[line for _, line in run.lines[-3:]],
        )
    finally:
        bench.done(sut)


def _freeze(bench: Bench, names, seconds: float, label: str) -> None:
    sut, run = _begin(bench, sleep=4.0, rounds_=10)
    try:
        t0 = time.time()
        for name in names:
            sut.kill(name, signal.SIGSTOP, whole_tree=name != "superlink")
        time.sleep(seconds)
        for name in names:
            sut.kill(name, signal.SIGCONT, whole_tree=name != "superlink")
        _observe(bench, sut, run, label, t0, 200)
    finally:
        bench.done(sut)


def fault_freeze_superlink(bench: Bench) -> None:
    """SIGSTOP of the superlink for 30 s (like a network cut of all nodes)."""
    _freeze(bench, ["superlink"], 30, "superlink frozen 30 s")


def fault_freeze_node(bench: Bench) -> None:
    """SIGSTOP of one supernode tree for 90 s (like a long network cut of one node)."""
    _freeze(bench, ["supernode1"], 90, "supernode tree frozen 90 s")


