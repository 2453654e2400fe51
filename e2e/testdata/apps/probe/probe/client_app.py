"""ClientApp that fails in the way that mode.py says."""

import atexit
import os
import signal
import time

from flwr.app import Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from .events import note
from .mode import MODE

app = ClientApp()


@app.query()
def answer(msg: Message, context: Context) -> Message:
    """Answer, or fail."""
    events = str(context.run_config["events"])
    print(context.run_config["say"])
    note(events, "client")
    if MODE == "part":  # when the task has ended already
        atexit.register(print, "said while leaving")
    if MODE == "raise":
        raise ValueError("this is what was raised")
    if MODE == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if MODE == "hang":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        note(events, "hanging")
        time.sleep(600)
    return Message(RecordDict({"metrics": MetricRecord({"ok": 1})}), reply_to=msg)


if MODE == "load":
    app = "something that is no ClientApp"
