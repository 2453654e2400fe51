"""A large array to every node, and its hash back; or a large array from every node."""

import hashlib
import time

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

server = ServerApp()
client = ClientApp()


def _model(size: int, seed: int) -> ArrayRecord:
    return ArrayRecord([np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)])


def _hash(arrays: ArrayRecord) -> str:
    (array,) = arrays.to_numpy_ndarrays()
    return hashlib.sha256(array.tobytes()).hexdigest()


@client.query()
def query(msg: Message, context: Context) -> Message:
    """Tell the hash of what arrived, or make the model and send it."""
    if size := int(msg.content["config"]["make"]):
        arrays = _model(size, context.node_id % 2**32)
        return Message(RecordDict({"arrays": arrays}), reply_to=msg)
    got = ConfigRecord({"hash": _hash(msg.content["arrays"])})
    return Message(RecordDict({"got": got}), reply_to=msg)


@server.main()
def main(grid: Grid, context: Context) -> None:
    """Send, and compare what comes back.

    The models of the nodes differ: of one that the link has already, it wants no more than a
    proof.
    """
    wanted = int(context.run_config["nodes"])
    while len(nodes := list(grid.get_node_ids())) < wanted:
        time.sleep(1)
    size = int(context.run_config["megabytes"]) * 1_000_000
    reply = bool(context.run_config["reply"])
    arrays = _model(size, 0)
    content = RecordDict({"config": ConfigRecord({"make": size if reply else 0})})
    if not reply:
        content["arrays"] = arrays
    replies = list(
        grid.send_and_receive(
            [Message(content, dst_node_id=node, message_type="query") for node in nodes]
        )
    )
    good = 0
    for answer in replies:
        if answer.has_error():
            print("bulk: error", answer.error.code, answer.error.reason)
        elif reply:
            want = _model(size, answer.metadata.src_node_id % 2**32)
            good += _hash(answer.content["arrays"]) == _hash(want)
        else:
            good += answer.content["got"]["hash"] == _hash(arrays)
    print(f"bulk: {good} of {wanted} models arrived")
