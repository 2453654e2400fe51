"""ClientApp: one step of training that depends on round and partition alone."""

import numpy as np
from flwr.app import Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from .mask import Mask

app = ClientApp()


@app.train()
def train(msg: Message, context: Context) -> Message:
    """Add noise of the round to the weights."""
    partition = int(context.node_config["partition-id"])
    turn = int(msg.content["config"]["round"])
    mask = Mask(str(context.run_config["salt"]))
    weights = mask.unpack(msg.content["arrays"])
    noise = np.random.default_rng([turn, partition]).standard_normal(weights.size)
    content = RecordDict(
        {
            "arrays": mask.pack(np.tanh(weights + noise)),
            "metrics": MetricRecord({"partition": partition}),
        }
    )
    return Message(content, reply_to=msg)
