"""ServerApp that misbehaves as its configuration says, until the test has seen enough."""

import os
import time

from flwr.app import ConfigRecord, Context, Message, MessageType, RecordDict
from flwr.proto.runtime_pb2 import PullAppMessagesRequest
from flwr.serverapp import Grid, ServerApp
from flwr.superlink.grid import http_grid

from .stage import Stage, print_much

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Misbehave, and say what came of it."""
    stage = Stage(str(context.run_config["dir"]))
    while len(nodes := sorted(grid.get_node_ids())) < int(context.run_config["nodes"]):
        time.sleep(0.2)
    how = str(context.run_config["how"])
    globals()[how](grid, nodes, stage)
    print(f"the end of what {how}")


def prints(grid: Grid, nodes, stage: Stage) -> None:
    """100 MB here, and 100 MB at each node."""
    stage.note("begun")
    print_much("server")
    tell(grid.send_and_receive(questions(nodes, "print")))
    while stage.goes_on():
        time.sleep(0.05)


def polls(grid: Grid, nodes, stage: Stage) -> None:
    """Ask 100 times a second for replies that are on their way, and for one that never will be."""
    open_ids = set(grid.push_messages(questions(nodes, "wait")))
    stage.note("begun")
    asked = 0
    replies = []
    while open_ids:
        unknown = os.urandom(32).hex()
        for reply in grid.pull_messages([*open_ids, unknown]):
            if reply.metadata.reply_to_message_id in open_ids:
                open_ids.discard(reply.metadata.reply_to_message_id)
                replies.append(reply)
        asked += 1
        time.sleep(0.01)
    tell(replies)
    print(f"asked {asked} times")


def asks(grid: Grid, nodes, stage: Stage) -> None:
    """Ask for 10,000 messages at once."""
    ids = [os.urandom(32).hex() for _ in range(10_000)]
    stage.note("begun")
    # The client of Flower would fetch and confirm each, and be busy with itself.
    answer = grid._runtime_client.PullMessages(PullAppMessagesRequest(message_ids=ids))
    codes = {message.error.code for message in answer.messages_list}
    print(f"{len(answer.messages_list)} answers of codes {codes}")


def withholds(grid: Grid, nodes, stage: Stage) -> None:
    """Announce objects that never come, here and at the nodes."""
    tell(grid.send_and_receive(questions(nodes, "withhold")))
    push_objects, http_grid.push_objects = http_grid.push_objects, lambda *_, **__: None
    ids = grid.push_messages(questions(nodes, "nothing"))
    http_grid.push_objects = push_objects
    stage.note("begun")
    answers = 0
    while stage.goes_on():
        answers += len(list(grid.pull_messages(ids)))
    print(f"{answers} answers to what was never sent")
    tell(grid.send_and_receive(questions(nodes, "nothing")))


def questions(nodes, how: str) -> list[Message]:
    """One for each node."""
    return [
        Message(
            RecordDict({"config": ConfigRecord({"how": how})}),
            message_type=MessageType.QUERY,
            dst_node_id=node,
        )
        for node in nodes
    ]


def tell(replies) -> None:
    """Print what came back."""
    for reply in replies:
        print(f"outcome: error {reply.error.code}" if reply.has_error() else "outcome: ok")
