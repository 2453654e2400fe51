"""ClientApp: one step of training that depends on round and partition alone."""

import time

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from .stage import Stage

app = ClientApp()


@app.train()
def train(msg: Message, context: Context) -> Message:
    """Add noise of the round to the weights."""
    stage = Stage(str(context.run_config["dir"]))
    partition = int(context.node_config["partition-id"])
    turn = int(msg.content["config"]["round"])
    stage.note(f"train-{turn}-{partition}")
    stage.hold(f"train-{partition}")
    (weights,) = msg.content["arrays"].to_numpy_ndarrays()
    noise = np.random.default_rng([turn, partition]).standard_normal(weights.size)
    time.sleep(float(context.run_config["work"]))
    weights = np.tanh(weights + noise)
    metrics = MetricRecord({"partition": partition})
    return Message(
        RecordDict({"arrays": ArrayRecord([weights]), "metrics": metrics}), reply_to=msg
    )
