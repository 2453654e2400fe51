"""ServerApp: federated averaging."""

import hashlib

from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from . import task

app = ServerApp()


def by_partition(replies):
    """Replies in the order of their partitions.

    Sums of floating-point numbers depend on the order of the summands. In this order, and
    not in that of their arrival, two runs give the same weights to the last bit.
    """

    def key(reply):
        if reply.has_error():
            return (1, 0)
        return (0, reply.content["metrics"]["partition"])

    return sorted(replies, key=key)


class OrderedFedAvg(FedAvg):
    """FedAvg whose result does not depend on who answers first."""

    def aggregate_train(self, server_round, replies):
        """Average the weights."""
        return super().aggregate_train(server_round, by_partition(replies))

    def aggregate_evaluate(self, server_round, replies):
        """Average the metrics and tell them."""
        metrics = super().aggregate_evaluate(server_round, by_partition(replies))
        if metrics is not None:
            print(
                f"round {server_round}: accuracy {metrics['accuracy']:.4f}, "
                f"loss {metrics['eval_loss']:.4f}"
            )
        return metrics


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Train for some rounds and tell the accuracy after each."""
    nodes = int(context.run_config["min-nodes"])
    strategy = OrderedFedAvg(
        min_train_nodes=nodes, min_evaluate_nodes=nodes, min_available_nodes=nodes
    )
    result = strategy.start(
        grid=grid,
        initial_arrays=ArrayRecord(task.initial_weights()),
        num_rounds=int(context.run_config["num-server-rounds"]),
    )
    weights = result.arrays.to_numpy_ndarrays()
    digest = hashlib.sha256(b"".join(array.tobytes() for array in weights))
    print(f"final weights sha256: {digest.hexdigest()}")
