"""ServerApp: averages in the order of partitions, and asks again whoever was away."""

import hashlib
import time

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Error, Message, RecordDict
from flwr.serverapp import Grid, ServerApp

from .mask import Mask

app = ServerApp()

NODE_UNAVAILABLE = 5


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Train, and tell a digest of the final weights."""
    config = context.run_config
    mask = Mask(str(config["salt"]))
    nodes = [int(node) for node in str(config["nodes"]).split(",")]
    weights = np.random.default_rng(0).standard_normal(int(config["size"]))
    for turn in range(1, int(config["rounds"]) + 1):
        weights = np.mean(ask_all(grid, nodes, turn, weights, mask), axis=0)
        print(f"round {turn} is done", flush=True)
    print(f"final weights sha256: {hashlib.sha256(weights.tobytes()).hexdigest()}")


def ask_all(grid: Grid, nodes: list[int], turn: int, weights, mask: Mask) -> list[np.ndarray]:
    """The trained weights of all nodes, in the order of partitions."""
    trained, missing = {}, list(nodes)
    arrays = mask.pack(weights)
    while missing:
        await_all(grid, missing)
        for reply in grid.send_and_receive([ask(node, turn, arrays) for node in missing]):
            if reply.has_error():
                tell(reply.error)
                continue
            missing.remove(reply.metadata.src_node_id)
            partition = int(reply.content["metrics"]["partition"])
            trained[partition] = mask.unpack(reply.content["arrays"])
    return [trained[partition] for partition in sorted(trained)]


def ask(node: int, turn: int, arrays: ArrayRecord) -> Message:
    """What a node is to do."""
    content = {"arrays": arrays, "config": ConfigRecord({"round": turn})}
    return Message(RecordDict(content), message_type="train", dst_node_id=node)


def await_all(grid: Grid, nodes: list[int]) -> None:
    """Wait for nodes that are away to come back, with the ids that they had."""
    while not set(nodes) <= set(grid.get_node_ids()):
        time.sleep(0.5)


def tell(error: Error) -> None:
    """Print an error, with its time."""
    print(f"error {error.code} at {time.time():.3f}: {error.reason}", flush=True)
    if error.code != NODE_UNAVAILABLE:
        raise RuntimeError(f"error {error.code}: {error.reason}")
