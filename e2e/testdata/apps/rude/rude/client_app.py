"""ClientApp that misbehaves as the message says."""

import time

from flwr.app import Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.supernode.runtime import run_clientapp

from .stage import Stage, print_much

app = ClientApp()


@app.query()
def answer(msg: Message, context: Context) -> Message:
    """Answer, in a way."""
    stage = Stage(str(context.run_config["dir"]))
    how = msg.content["config"]["how"]
    if how == "print":
        print_much("client")
    if how == "wait":
        while stage.goes_on():
            time.sleep(0.05)
    if how == "withhold":  # the objects of a reply that is announced
        run_clientapp.push_objects = lambda *_, **__: None
    return Message(RecordDict({"metrics": MetricRecord({"ok": 1})}), reply_to=msg)
