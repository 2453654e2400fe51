"""ServerApp: asks all nodes and adds up."""

import time

from flwr.app import ConfigRecord, Context, Message, MessageType, RecordDict
from flwr.serverapp import Grid, ServerApp

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Ask all nodes some times and print the totals."""
    wanted = int(context.run_config["min-nodes"])
    while len(nodes := sorted(grid.get_node_ids())) < wanted:
        time.sleep(1)
    for question in range(1, int(context.run_config["questions"]) + 1):
        content = RecordDict({"config": ConfigRecord({"question": question})})
        replies = list(
            grid.send_and_receive(
                [
                    Message(content, message_type=MessageType.QUERY, dst_node_id=node)
                    for node in nodes
                ]
            )
        )
        for reply in replies:
            if reply.has_error():
                raise RuntimeError(f"a node failed: {reply.error.reason}")
        answers = [reply.content["metrics"]["counts"] for reply in replies]
        totals = [sum(column) for column in zip(*answers, strict=True)]
        print(f"question {question}: {len(replies)} nodes, digits {totals}")
    print(f"survey total: {sum(totals)}")
