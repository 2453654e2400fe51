"""Measure stock Flower and Rhizome in one run, interleaved, and print one table.

Each line of the plan runs a scenario on stock Flower, then on Rhizome, then again, so
that whatever else the machine does falls on both. See README.md.
"""

import argparse
import os
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Callable

import scenarios
from bench import HERE, common
from measure import Bench

# What `fedavg` computes with 2 nodes and 3 rounds on every correct system.
WEIGHTS = "b10687501d3adbae"


@dataclass
class Row:
    """One line of the table."""

    title: str
    unit: str
    target: str  # what Rhizome is to reach (issue 6), in the unit
    values: Callable[[list[dict]], list[float]]  # from what the scenario emitted


@dataclass
class Step:
    """A scenario with its options and what is read off it."""

    scenario: Callable
    rows: list[Row]
    options: dict = field(default_factory=dict)
    repeat: int = 2
    stock_repeat: int = 0  # 0: as often as Rhizome
    full: bool = False  # only in the full benchmark
    sut: str = "rhizome.toml"
    alone: bool = False  # stock has no such thing


def walls(emitted: list[dict]) -> list[float]:
    """Round times of all runs."""
    return [w for row in emitted for w in row.get("walls", [])]


def one(*path) -> Callable:
    """A function that takes one figure from each emitted row that has it."""

    def take(emitted: list[dict]) -> list[float]:
        found = []
        for row in emitted:
            value = row
            for key in path:
                value = value.get(key) if isinstance(value, dict) else None
            if value is not None:
                found.append(value)
        return found

    return take


def fedavg(bench: Bench) -> None:
    """FedAvg, refusing a system whose result is another one."""
    scenarios.fedavg(bench)
    wrong = {row["weights"] for row in bench.rows} - {WEIGHTS}
    if wrong:
        raise SystemExit(f"{bench.args.label}: weights {wrong}, want {WEIGHTS}")


def payload_rows(size: int, down: str, up: str) -> list[Step]:
    """Steps for one size, each way."""
    name = {"down": down, "up": up}
    return [
        Step(
            scenarios.payload,
            [
                Row(f"{size} MB {way}, N=2, per round", "s", target, walls),
                Row(f"... peak RSS of the link, {way}", "MB", "150", one("peak_rss_mb", "superlink")),
                Row(f"... peak RSS of a node, {way}", "MB", "100", one("peak_rss_mb", "supernode")),
            ],
            {"nodes": [2], "sizes": [size], "directions": [way], "rounds": 3},
            repeat=1,
            full=size > 100,
        )
        for way, target in name.items()
    ]


def round_step(n: int, target: str, **more) -> Step:
    return Step(
        scenarios.rounds,
        [Row(f"empty round, N={n}", "s", target, walls)],
        {"nodes": [n], "rounds": 3},
        **more,
    )


def fake_step(n: int, target: str, **more) -> Step:
    return Step(
        scenarios.fake,
        [
            Row(f"empty round, {n} imitated nodes", "s", target, lambda e: walls(e)[1:]),
            Row(f"... link idle with {n} sessions", "CPUs", "", one("superlink_cpus")),
            Row("... peak RSS of the link", "MB", "", one("peak_rss_mb")),
        ],
        {"nodes": [n], "rounds": 3, "seconds": 20},
        repeat=1,
        **more,
    )


PLAN = [
    Step(
        scenarios.startup,
        [
            Row("start of link", "s", "0.2", one("superlink_ready_s")),
            Row("start of node, to session", "s", "0.3", one("supernode_ready_s")),
        ],
        {"repeat": 1},
        repeat=3,
    ),
    round_step(2, "0.2"),
    Step(
        fedavg,
        [
            Row("3-round FedAvg, `flwr run` to exit", "s", "3.5", one("total")),
            Row("... of it until the run id is printed", "s", "", one("line", "submit (flwr run prints run id)")),
            Row("... of it after the ServerApp's end", "s", "", one("line", "end (ServerApp end to flwr run exit)")),
        ],
        {"nodes": [2], "rounds": 3, "repeat": 1},
    ),
    round_step(10, "0.6", stock_repeat=1),
    round_step(30, "1.8", repeat=1, full=True),
    *payload_rows(100, "2.0", "2.5"),
    *payload_rows(500, "7", "9"),
    Step(
        lambda bench: scenarios.idle_use(bench, bench.args.nodes[0]),
        [
            Row("idle: link with 10 nodes, CPU per minute", "s", "0.1", one("cpu_per_min", "cpu_superlink")),
            Row("idle: link, RSS", "MB", "80", one("rss_mb", "superlink")),
            Row("idle: node and its SuperExec, CPU per minute", "s", "0.05", one("cpu_per_min", "node_with_superexec")),
            Row("idle: node and its SuperExec, RSS", "MB", "60", one("rss_mb", "node_with_superexec")),
            Row("... its fork server and the app that it has forked ahead, RSS", "MB", "", one("rss_mb", "node_apart")),
            Row("... a process that only wakes once a second, CPU per minute", "s", "", one("cpu_per_min", "waker")),
        ],
        {"nodes": [10], "seconds": 40},
        repeat=1,
    ),
    fake_step(100, "0.5"),
    fake_step(300, "", full=True),
    fake_step(1000, "3", full=True, alone=True),
    Step(
        scenarios.rounds,
        [Row("empty round, N=2, through a relay", "s", "", walls)],
        {"nodes": [2], "rounds": 3},
        repeat=1,
        sut="relayed.toml",
        alone=True,
    ),
    Step(
        scenarios.payload,
        [Row("100 MB down, N=2, through a relay", "s", "", walls)],
        {"nodes": [2], "sizes": [100], "directions": ["down"], "rounds": 2},
        repeat=1,
        full=True,
        sut="relayed.toml",
        alone=True,
    ),
    Step(
        scenarios.rounds,
        [Row("empty round, N=2, stock nodes on a Rhizome link", "s", "3.5", walls)],
        {"nodes": [2], "rounds": 3},
        repeat=1,
        sut="mixed.toml",
        alone=True,
    ),
]


def run_step(step: Step, args) -> dict[str, Bench]:
    """Run one step on both systems, taking turns."""
    benches = {}
    for label, sut in (("stock", "stock.toml"), ("rhizome", step.sut)):
        if label == "stock" and step.alone:
            continue
        options = {**DEFAULTS, **vars(args), "sut": HERE / sut, "label": label, **step.options}
        name = getattr(step.scenario, "__name__", "")
        benches[label] = Bench(SimpleNamespace(**{"scenario": name, "quiet": True, **options}))
    for turn in range(step.repeat):
        for label, bench in benches.items():
            if label == "stock" and step.stock_repeat and turn >= step.stock_repeat:
                continue
            try:
                step.scenario(bench)
            except (OSError, RuntimeError, LookupError, TypeError) as error:
                print(f"{step.rows[0].title}: {label} failed: {error!r}", file=sys.stderr)
    return benches


DEFAULTS = {"db": False, "repeat": 1, "rounds": 3, "nodes": [2], "sizes": [1], "directions": ["down"], "seconds": 30}


def figure(values: list[float]) -> str:
    """Median and minimum."""
    if not values:
        return "-"

    def short(value: float) -> str:
        return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"

    return f"{short(statistics.median(values))} ({short(min(values))})"


def line(row: Row, benches: dict[str, Bench]) -> str:
    """One line of the table."""
    stock = row.values(benches["stock"].rows) if "stock" in benches else []
    ours = row.values(benches["rhizome"].rows)
    ratio = "-"
    if stock and ours and statistics.median(stock) > 0:
        ratio = f"{statistics.median(ours) / statistics.median(stock):.2f}"
    return f"| {row.title} | {row.unit} | {figure(stock)} | {figure(ours)} | {ratio} | {row.target or '-'} |"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    common(parser)
    parser.add_argument("--full", action="store_true", help="all rows; about an hour")
    parser.add_argument("--only", default="", help="rows whose title contains this text")
    parser.add_argument("--table", default="", help="write the table to this file too")
    args = parser.parse_args()
    plan = [s for s in PLAN if args.full or not s.full]
    if args.only:
        plan = [s for s in PLAN if any(args.only in r.title for r in s.rows)]
    start, loads, lines = time.time(), [os.getloadavg()[0]], []
    head = [
        "| what | unit | stock 1.41: median (min) | Rhizome: median (min) | ratio | to reach |",
        "|---|---|---|---|---|---|",
    ]
    print("\n".join(head), flush=True)
    for step in plan:
        benches = run_step(step, args)
        loads.append(os.getloadavg()[0])
        for row in step.rows:
            lines.append(line(row, benches))
            print(lines[-1], flush=True)
    foot = (
        f"\n{os.cpu_count()} CPUs, load {min(loads):.1f} to {max(loads):.1f} while it ran, "
        f"{(time.time() - start) / 60:.0f} minutes."
    )
    if fedavg in (step.scenario for step in plan):
        foot += f" Weights of all FedAvg runs: {WEIGHTS}."
    print(foot)
    if args.table:
        Path(args.table).write_text("\n".join([*head, *lines, foot, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
