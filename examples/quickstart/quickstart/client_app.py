"""ClientApp: what every node does with its own data."""

from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from . import task

app = ClientApp()


def _data(context: Context):
    partition = int(context.node_config["partition-id"])
    return partition, task.load_data(partition, int(context.node_config["num-partitions"]))


@app.train()
def train(msg: Message, context: Context) -> Message:
    """Improve the global model on the local training data."""
    partition, (x, _, y, _) = _data(context)
    config = msg.content["config"]
    weights, loss = task.train(
        msg.content["arrays"].to_numpy_ndarrays(),
        x,
        y,
        epochs=int(context.run_config["local-epochs"]),
        rate=float(context.run_config["learning-rate"]),
        seed=1000 * int(config["server-round"]) + partition,
    )
    print(f"partition {partition}: trained on {len(y)} digits, loss {loss:.4f}")
    metrics = MetricRecord(
        {"train_loss": loss, "num-examples": len(y), "partition": partition}
    )
    return Message(
        RecordDict({"arrays": ArrayRecord(weights), "metrics": metrics}), reply_to=msg
    )


@app.evaluate()
def evaluate(msg: Message, context: Context) -> Message:
    """Measure the global model on the local test data."""
    partition, (_, x, _, y) = _data(context)
    loss, accuracy = task.evaluate(msg.content["arrays"].to_numpy_ndarrays(), x, y)
    metrics = MetricRecord(
        {
            "eval_loss": loss,
            "accuracy": accuracy,
            "num-examples": len(y),
            "partition": partition,
        }
    )
    return Message(RecordDict({"metrics": metrics}), reply_to=msg)
