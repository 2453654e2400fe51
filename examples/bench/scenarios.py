"""The scenarios: each starts a fresh system, measures it and emits rows."""

import statistics
import time
from pathlib import Path

from fakes import Fakes
from measure import MB, Bench, Meter, Waker, peaks, phases, spread, spread_rows
from sut import Sut

APPS = Path(__file__).resolve().parent / "apps"


def startup(bench: Bench) -> None:
    """Seconds until superlink and supernode are ready, CPU and RSS at that point."""
    for _ in range(bench.args.repeat):
        sut = bench.sut()
        try:
            link = sut.start_superlink()
            time.sleep(3)  # let helper processes settle
            start = time.time()
            sut.start_supernode(0, 1)
            sut.wait_supernodes([0])
            node = time.time() - start
            time.sleep(3)
            bench.emit(
                superlink_ready_s=round(link, 2),
                supernode_ready_s=round(node, 2),
                cpu_s={k: round(v, 2) for k, v in sut.cpu().items()},
                rss_mb={k: round(v / MB) for k, v in sut.rss().items()},
            )
        finally:
            bench.done(sut)


def fedavg(bench: Bench) -> None:
    """Time line of FedAvg runs (default: 3 rounds, 2 nodes)."""
    n, rounds = bench.args.nodes[0], bench.args.rounds
    sut = bench.sut(n)
    try:
        time.sleep(3)  # let helper processes settle, as in the other scenarios
        for _ in range(bench.args.repeat):
            meter = Meter(sut)
            run = sut.run(APPS / "fedavg", {"rounds": rounds, "nodes": n})
            result = run.result(bench.args.timeout)
            events = {e["ev"]: e["t"] for e in reversed(run.events())}
            first = run.events("server-import")[0]
            submit = run.seen("Successfully started run")
            bench.emit(
                nodes=n,
                rounds=rounds,
                line={
                    "submit (flwr run prints run id)": round(submit - run.start, 2),
                    "wait for ServerApp process": round(first["proc_start"] - submit, 2),
                    "ServerApp start-up": round(
                        events["server-main"] - first["proc_start"], 2
                    ),
                    "strategy": round(result["wall"], 2),
                    "end (ServerApp end to flwr run exit)": round(
                        run.exit_time - events["server-end"], 2
                    ),
                },
                first_serverapp_line=round(events["server-main"] - run.start, 2),
                first_line_in_stream=round(
                    run.seen("BENCH first ServerApp line") - run.start, 2
                ),
                total=round(run.exit_time - run.start, 2),
                per_phase=spread_rows(phases(run.events())),
                accuracy=[h["accuracy"] for h in result["history"]],
                weights=result["weights_sha256"][:16],
                use=meter.stop(),
                peak_rss_mb=peaks(sut),
            )
    finally:
        bench.done(sut)


def rounds(bench: Bench) -> None:
    """Overhead per round: echo with an empty payload and various numbers of nodes."""
    for n in bench.args.nodes:
        sut = bench.sut(n)
        try:
            time.sleep(3)
            meter = Meter(sut)
            run = sut.run(APPS / "echo", {"rounds": bench.args.rounds, "nodes": n})
            result = run.result(bench.args.timeout)
            use = meter.stop()
            walls = [r["wall"] for r in result["rounds"]] if result else []
            bench.emit(
                nodes=n,
                completed=len(run.events("server-round")),
                walls=[round(w, 3) for w in walls],
                round_wall=spread(walls),
                phases=spread_rows(phases(run.events())),
                errors=[r["errors"] for r in run.events("server-round") if r["errors"]],
                use=use,
                cpu_per_node_round=round(
                    (use["cpu_supernodes"] + use["cpu_supernode_children"])
                    / max(1, n * bench.args.rounds),
                    2,
                ),
                peak_rss_mb=peaks(sut),
            )
        finally:
            bench.done(sut)


def payload(bench: Bench) -> None:
    """Throughput for large payloads; a fresh SUT per size, so that peaks are its own."""
    n = bench.args.nodes[0]
    for size in bench.args.sizes:
        for direction in bench.args.directions:
            sut = bench.sut(n)
            try:
                time.sleep(2)
                meter = Meter(sut)
                run = sut.run(
                    APPS / "echo",
                    {
                        "rounds": bench.args.rounds,
                        "nodes": n,
                        "size": int(size * MB),
                        "direction": direction,
                    },
                )
                result = run.result(bench.args.timeout)
                walls = [r["wall"] for r in run.events("server-round")]
                moved = n * size * (2 if direction in ("both", "echo") else 1)
                bench.emit(
                    nodes=n,
                    size_mb=size,
                    direction=direction,
                    ok=result is not None,
                    walls=[round(w, 3) for w in walls],
                    round_wall=spread(walls),
                    mb_per_s=round(moved / statistics.median(walls), 2) if walls else 0,
                    phases=spread_rows(phases(run.events())),
                    errors=[e for r in run.events("server-round") for e in r["errors"]],
                    use=meter.stop(),
                    peak_rss_mb=peaks(sut),
                    tail=[] if result else [line for _, line in run.lines[-5:]],
                )
                run.abandon()
            finally:
                bench.done(sut)


def idle(bench: Bench) -> None:
    """CPU, RSS and requests of a connected but idle system."""
    for n in bench.args.nodes:
        if idle_use(bench, n):
            _idle_requests(bench, n)


def idle_use(bench: Bench, n: int) -> bool:
    """CPU and memory of an idle system. Returns whether its requests can be counted."""
    sut = bench.sut(n)
    try:
        time.sleep(10)
        with Waker() as waker:
            before, tcp, meter = sut.cpu(), sut.tcp_bytes(), Meter(sut)
            time.sleep(bench.args.seconds)
            use, after, now = meter.stop(), sut.cpu(), sut.tcp_bytes()
            waking = waker.cpu_per_min()
        per_min = 60.0 / use["wall"]
        rss = sut.rss()
        names = [k for k in rss if k.startswith("supernode") and "." not in k]

        def of_node(table, base=None):
            """Median over the nodes: the tree without what is counted apart."""
            def own(t, k):
                return t[f"{k}.tree"] - t[f"{k}.apart"]

            values = [own(table, k) - (own(base, k) if base else 0) for k in names]
            return statistics.median(values) if values else 0

        bench.emit(
            nodes=n,
            cpu_per_min={
                **{k: round(v * per_min, 2) for k, v in use.items() if k.startswith("cpu")},
                "node_with_superexec": round(of_node(after, before) * per_min, 3),
                "waker": round(waking, 2),
            },
            other_cpus=use["other_cpus"],
            tcp_bytes_per_s=round((now - tcp) / use["wall"]),
            rss_mb={
                "superlink": round(rss["superlink"] / MB),
                "superlink_tree": round(rss["superlink.tree"] / MB),
                "superlink_apart": round(rss["superlink.apart"] / MB),
                "node": round(statistics.median([rss[k] for k in names] or [0]) / MB),
                "node_with_superexec": round(of_node(rss) / MB),
                "node_apart": round(max([rss[f"{k}.apart"] for k in names], default=0) / MB),
                "all": round(sum(v for k, v in rss.items() if k.endswith(".tree")) / MB),
            },
        )
        return sut.requests() is not None
    finally:
        bench.done(sut)


def _idle_requests(bench: Bench, n: int) -> None:
    """A pass of its own, since it takes debug logs."""
    sut = bench.sut(n, debug=True)
    try:
        time.sleep(10)
        start, before = time.time(), sut.requests()
        time.sleep(bench.args.seconds)
        bench.emit(
            nodes=n,
            requests_per_s=round((sut.requests() - before) / (time.time() - start), 2),
            requests_by_path=sut.request_paths(),
        )
    finally:
        bench.done(sut)


def fake(bench: Bench) -> None:
    """Many imitated SuperNodes (fakenode/): idle load, then echo rounds with all of them."""
    for n in bench.args.nodes:
        sut = bench.sut(0)
        try:
            limit = bench.args.seconds * 2 + bench.args.timeout + 120
            with Fakes(sut, n, limit) as fakes:
                online = fakes.wait_online(60 + n / 5)
                time.sleep(10)
                _fake_idle(bench, sut, fakes, online)
                _fake_rounds(bench, sut, fakes)
        finally:
            bench.done(sut)


def _fake_idle(bench: Bench, sut: Sut, fakes: Fakes, online: int) -> None:
    skip, own, meter = len(fakes.reports()), fakes.cpu(), Meter(sut)
    time.sleep(bench.args.seconds)
    use = meter.stop()
    own = (fakes.cpu() - own) / use["wall"]
    bench.emit(
        nodes=fakes.n,
        online=online,
        phase="idle",
        superlink_cpus=round(use["cpu_superlink"] / use["wall"], 3),
        superlink_rss_mb=round(sut.rss()["superlink"] / MB),
        fakenode_cpus=round(own, 2),
        other_cpus=round(use["other_cpus"] - own, 2),
        **fakes.digest(skip),
    )


def _fake_rounds(bench: Bench, sut: Sut, fakes: Fakes) -> None:
    skip, meter = len(fakes.reports()), Meter(sut)
    run = sut.run(
        APPS / "echo",
        {"rounds": bench.args.rounds, "nodes": int(fakes.n * 0.95), "verify": False},
    )
    result = run.result(bench.args.timeout)
    use = meter.stop()
    time.sleep(5)
    rows = run.events("server-round")
    bench.emit(
        nodes=fakes.n,
        phase="rounds",
        ok=result is not None,
        round_nodes=[r["replies"] for r in rows],
        walls=[round(r["wall"], 3) for r in rows],
        round_wall=spread([r["wall"] for r in rows]),
        round_cpu_serverapp=spread([r["cpu"] for r in rows]),
        errors_in_replies=sum(len(r["errors"]) for r in rows),
        superlink_cpus_in_rounds=round(use["cpu_superlink"] / use["wall"], 2),
        peak_rss_mb=peaks(sut)["superlink"],
        total=round(use["wall"], 1),
        fleet=fakes.digest(skip),
        tail=[] if result else [line for _, line in run.lines[-4:]],
    )
    run.abandon()
