"""ClientApp: counts the node's own digits."""

import numpy as np
from flwr.app import Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from sklearn.datasets import load_digits

app = ClientApp()


@app.query()
def count(msg: Message, context: Context) -> Message:
    """Answer how many digits of each kind are here."""
    partition = int(context.node_config["partition-id"])
    partitions = int(context.node_config["num-partitions"])
    labels = load_digits().target[partition::partitions]
    counts = [int(n) for n in np.bincount(labels, minlength=10)]
    metrics = MetricRecord({"counts": counts, "partition": partition})
    return Message(RecordDict({"metrics": metrics}), reply_to=msg)
