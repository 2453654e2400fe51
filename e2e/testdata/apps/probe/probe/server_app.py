"""ServerApp that tells what came back."""

import time

from flwr.app import ConfigRecord, Context, Message, MessageType, RecordDict
from flwr.serverapp import Grid, ServerApp

from .events import note

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Ask all nodes and print an outcome for each."""
    wanted = int(context.run_config["min-nodes"])
    events = str(context.run_config["events"])
    note(events, "server")
    while len(nodes := sorted(grid.get_node_ids())) < wanted:
        time.sleep(0.5)
    for question in range(int(context.run_config["questions"])):
        messages = [
            Message(
                RecordDict({"config": ConfigRecord({"question": question})}),
                message_type=MessageType.QUERY,
                dst_node_id=node,
            )
            for node in nodes
        ]
        replies = list(grid.send_and_receive(messages))
        note(events, "replies")
        for reply in replies:
            if reply.has_error():
                print(f"outcome: error {reply.error.code}: {reply.error.reason}")
            else:
                print("outcome: ok")
