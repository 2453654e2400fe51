"""ClientApp: the mean brightness of the node's own digits."""

from flwr.app import Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from sklearn.datasets import load_digits

app = ClientApp()


@app.query()
def brightness(msg: Message, context: Context) -> Message:
    """Answer with the sum over all pixels and their number."""
    partition = int(context.node_config["partition-id"])
    partitions = int(context.node_config["num-partitions"])
    pixels = load_digits().data[partition::partitions]
    metrics = MetricRecord(
        {"sum": float(pixels.sum()), "pixels": pixels.size, "partition": partition}
    )
    return Message(RecordDict({"metrics": metrics}), reply_to=msg)
