"""ClientApp: trains with the library that library.py names, and tells how it was started."""

import importlib
import os
import random
import sys
import time
import uuid

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from .library import LIBRARY

PRELOADED = LIBRARY in sys.modules  # before it is imported below
engine = importlib.import_module(f".with_{LIBRARY}", __package__)

app = ClientApp()


@app.train()
def train(msg: Message, context: Context) -> Message:
    """Improve the model on the local part of the data."""
    partition = int(context.node_config["partition-id"])
    turn = int(msg.content["config"]["round"])
    weights = msg.content["arrays"].to_numpy_ndarrays()
    weights, metrics = engine.train(weights, partition, int(context.node_config["num-partitions"]), turn)
    metrics["partition"] = partition
    stay(str(msg.content["config"]["hold"]))
    content = {"arrays": ArrayRecord(weights), "metrics": MetricRecord(metrics), "start": start()}
    return Message(RecordDict(content), reply_to=msg)


@app.query()
def draw(msg: Message, context: Context) -> Message:
    """Tell what an app gets that asks for random numbers without a seed."""
    drawn = {
        "random": str(random.random()),
        "numpy.random": str(np.random.random()),
        "default_rng": str(np.random.default_rng().random()),
        "urandom": os.urandom(8).hex(),
        "uuid4": uuid.uuid4().hex,
    }
    return Message(RecordDict({"drawn": ConfigRecord(drawn), "start": start()}), reply_to=msg)


def stay(hold: str) -> None:
    """Write down who waits, and wait for as long as there is a file of this name."""
    if not hold:
        return
    with open(hold + ".who", "a", encoding="utf-8") as file:
        file.write(f"{os.getpid()} {os.getppid()}\n")
    while os.path.exists(hold):
        time.sleep(0.05)


def start() -> ConfigRecord:
    """How this process was started, and its threads in the eyes of the kernel."""
    with open("/proc/self/cmdline", encoding="utf-8") as file:
        warm = "forkserver.py" in file.read()
    threads = len(os.listdir("/proc/self/task"))
    return ConfigRecord({"warm": warm, "preloaded": PRELOADED, "threads": threads})
