"""One message with a large array to every node; every node answers with what it got."""

import hashlib
import time

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

server = ServerApp()
client = ClientApp()


def _hash(arrays: ArrayRecord) -> str:
    (array,) = arrays.to_numpy_ndarrays()
    return hashlib.sha256(array.tobytes()).hexdigest()


@client.query()
def query(msg: Message, context: Context) -> Message:
    """Tell the hash of what arrived, and send it back if that is wanted."""
    arrays = msg.content["arrays"]
    content = RecordDict({"got": ConfigRecord({"hash": _hash(arrays)})})
    if msg.content["config"]["return"]:
        content["arrays"] = arrays
    return Message(content, reply_to=msg)


@server.main()
def main(grid: Grid, context: Context) -> None:
    """Send, and compare what comes back."""
    wanted = int(context.run_config["nodes"])
    while len(nodes := list(grid.get_node_ids())) < wanted:
        time.sleep(1)
    size = int(context.run_config["megabytes"]) * 1_000_000
    array = np.random.default_rng(size).integers(0, 256, size, dtype=np.uint8)
    arrays = ArrayRecord([array])
    content = RecordDict(
        {"arrays": arrays, "config": ConfigRecord({"return": False})}
    )
    replies = list(
        grid.send_and_receive(
            [Message(content, dst_node_id=node, message_type="query") for node in nodes]
        )
    )
    good = [r for r in replies if not r.has_error() and r.content["got"]["hash"] == _hash(arrays)]
    for reply in replies:
        if reply.has_error():
            print("bulk: error", reply.error.code, reply.error.reason)
    print(f"bulk: {len(good)} of {wanted} nodes have the model")
