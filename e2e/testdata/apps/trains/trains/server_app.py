"""ServerApp: averages in the order of partitions, and tells everything that came back."""

import hashlib
import time

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.serverapp import Grid, ServerApp

WEIGHTS = ((64, 10), (10,))
# Queries until all nodes have the library preloaded: a fork server loads in seconds.
MAX_QUERIES = 200

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Train, and train again when the imports of the app are preloaded."""
    while len(nodes := sorted(grid.get_node_ids())) < int(context.run_config["nodes"]):
        time.sleep(0.2)
    rounds = int(context.run_config["rounds"])
    hold = str(context.run_config["hold"])
    train(grid, nodes, rounds, "first", hold)
    if context.run_config["until-preloaded"]:
        for _ in range(MAX_QUERIES):
            if draw(grid, nodes):
                break
        draw(grid, nodes)
        train(grid, nodes, rounds, "second", hold)


def train(grid: Grid, nodes, rounds: int, name: str, hold: str) -> None:
    """Average what the nodes make of the weights."""
    weights = [np.zeros(shape) for shape in WEIGHTS]
    for turn in range(1, rounds + 1):
        config = ConfigRecord({"round": turn, "hold": hold})
        content = {"arrays": ArrayRecord(weights), "config": config}
        replies = ask(grid, nodes, "train", content)
        replies.sort(key=lambda reply: reply.content["metrics"]["partition"])
        for reply in replies:
            print(f"{name} metrics: round {turn} {sorted(reply.content['metrics'].items())}")
            tell_start(name, reply)
        trained = [reply.content["arrays"].to_numpy_ndarrays() for reply in replies]
        weights = [np.mean(layers, axis=0) for layers in zip(*trained, strict=True)]
    digest = hashlib.sha256(b"".join(array.tobytes() for array in weights)).hexdigest()
    print(f"{name} weights: {digest}")


def draw(grid: Grid, nodes) -> bool:
    """Have all nodes draw numbers. Returns whether all of them have the library preloaded."""
    replies = ask(grid, nodes, "query", {"config": ConfigRecord({})})
    for reply in replies:
        for name, value in sorted(reply.content["drawn"].items()):
            print(f"drawn: {name} {value}")
        tell_start("query", reply)
    return all(reply.content["start"]["preloaded"] for reply in replies)


def tell_start(name: str, reply: Message) -> None:
    """Print how the process of a reply was started."""
    print(f"{name} start: {sorted(reply.content['start'].items())}")


def ask(grid: Grid, nodes, kind: str, content) -> list[Message]:
    """The answers of all nodes; an error ends the run."""
    messages = [
        Message(RecordDict(content), message_type=kind, dst_node_id=node) for node in nodes
    ]
    replies = list(grid.send_and_receive(messages))
    for reply in replies:
        if reply.has_error():
            raise RuntimeError(f"error {reply.error.code}: {reply.error.reason}")
    return replies
