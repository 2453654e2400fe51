"""ServerApp: addresses the nodes of one region, and only those."""

import time

from flwr.app import ConfigRecord, Context, Message, MessageType, RecordDict
from flwr.serverapp import Grid, ServerApp

app = ServerApp()


def region(text: str) -> list[int]:
    """Node ids out of the setting `node-ids`."""
    try:
        nodes = sorted({int(part) for part in text.split(",") if part.strip()})
    except ValueError:
        raise ValueError(f"node-ids is no list of numbers: {text!r}") from None
    if not nodes:
        raise ValueError("set node-ids to the nodes of the region, by comma")
    return nodes


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Ask the nodes of the region some times and print their mean brightness."""
    nodes = region(str(context.run_config["node-ids"]))
    while missing := set(nodes) - set(grid.get_node_ids()):
        print(f"waiting for nodes {sorted(missing)}")
        time.sleep(1)
    for turn in range(1, int(context.run_config["rounds"]) + 1):
        content = RecordDict({"config": ConfigRecord({"round": turn})})
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
        answers = [reply.content["metrics"] for reply in replies]
        answers.sort(key=lambda metrics: metrics["partition"])
        mean = sum(m["sum"] for m in answers) / sum(m["pixels"] for m in answers)
        print(f"round {turn}: {len(answers)} nodes, mean brightness {mean:.6f}")
    print(f"regional mean: {mean:.6f}")
