"""Benchmark a Flower deployment, or a drop-in replacement of one. See README.md."""

import argparse
from pathlib import Path

import faults
import scenarios
from measure import Bench

HERE = Path(__file__).resolve().parent
TABLE = {
    f.__name__.replace("_", "-"): f
    for f in (
        scenarios.startup,
        scenarios.fedavg,
        scenarios.rounds,
        scenarios.payload,
        scenarios.idle,
        scenarios.fake,
        faults.fault_node,
        faults.fault_restart,
        faults.fault_clientapp,
        faults.fault_superlink,
        faults.fault_freeze_superlink,
        faults.fault_freeze_node,
    )
}


def common(parser: argparse.ArgumentParser) -> None:
    """Options that bench.py and compare.py share."""
    parser.add_argument("--venv", default="", help="environment with flwr 1.41 and numpy")
    parser.add_argument("--rhizome", default="rhizome", help="the rhizome binary")
    parser.add_argument("--fakenode", default="fakenode", help="the binary of fakenode/")
    parser.add_argument("--work", default="work", help="scratch directory")
    parser.add_argument("--keep", action="store_true", help="keep logs and state")
    parser.add_argument("--port", type=int, default=17000, help="first TCP port to use")
    parser.add_argument("--out", default="", help="append results to this JSONL file")
    parser.add_argument("--timeout", type=float, default=600, help="limit of one run")


def scenario_options(parser: argparse.ArgumentParser) -> None:
    """Options that say how much a scenario does."""
    parser.add_argument("--db", action="store_true", help="stock: keep the state in a file")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--nodes", type=int, nargs="+", default=[2])
    parser.add_argument("--sizes", type=float, nargs="+", default=[1, 10, 100], help="MiB")
    parser.add_argument("--directions", nargs="+", default=["down", "up"])
    parser.add_argument("--seconds", type=float, default=60, help="length of idle test")


def main() -> None:
    """Command line."""
    text = "\n".join(f"  {k:24}{v.__doc__.splitlines()[0]}" for k, v in TABLE.items())
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="scenarios:\n" + text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("scenario", choices=TABLE)
    parser.add_argument("--sut", default=HERE / "stock.toml", help="SUT description")
    parser.add_argument("--label", default="", help="name of the SUT in the results")
    common(parser)
    scenario_options(parser)
    args = parser.parse_args()
    args.quiet = False
    if not args.label:
        args.label = Path(args.sut).stem
    TABLE[args.scenario](Bench(args))


if __name__ == "__main__":
    main()
