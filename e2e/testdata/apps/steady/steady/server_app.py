"""ServerApp: averages in the order of partitions, and asks again who was killed."""

import hashlib
import time

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.serverapp import Grid, ServerApp

from .stage import Stage

app = ServerApp()

CLIENT_APP_CRASHED = 8


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Train, and tell a digest of the final weights."""
    config = context.run_config
    stage = Stage(str(config["dir"]))
    stage.note("server")
    while len(nodes := sorted(grid.get_node_ids())) < int(config["nodes"]):
        time.sleep(0.2)
    weights = np.zeros(int(config["size"]))
    for turn in range(1, int(config["rounds"]) + 1):
        stage.hold(f"round-{turn}")
        stage.note(f"round-{turn}")
        weights = np.mean(ask_all(grid, stage, nodes, turn, weights), axis=0)
    stage.hold("finish")
    digest = hashlib.sha256(weights.tobytes()).hexdigest()
    stage.result(digest)
    print(f"final weights sha256: {digest}")


def ask_all(grid: Grid, stage: Stage, nodes, turn: int, weights) -> list[np.ndarray]:
    """The trained weights of all nodes, in the order of partitions."""
    trained = {}
    while nodes:
        replies = list(grid.send_and_receive(instructions(nodes, turn, weights)))
        answered = set()
        for reply in replies:
            if not reply.has_error():
                answered.add(reply.metadata.src_node_id)
                partition = int(reply.content["metrics"]["partition"])
                (trained[partition],) = reply.content["arrays"].to_numpy_ndarrays()
            elif reply.error.code != CLIENT_APP_CRASHED:
                raise RuntimeError(f"round {turn}: error {reply.error.code}: {reply.error.reason}")
            else:
                stage.note("crashed")
                print(f"round {turn}: {reply.error.reason}; asking again")
        nodes = [node for node in nodes if node not in answered]
    return [trained[partition] for partition in sorted(trained)]


def instructions(nodes, turn: int, weights) -> list[Message]:
    """The same work for each node."""
    return [
        Message(
            RecordDict(
                {"arrays": ArrayRecord([weights]), "config": ConfigRecord({"round": turn})}
            ),
            message_type="train",
            dst_node_id=node,
        )
        for node in nodes
    ]
