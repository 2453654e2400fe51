"""Works with some of the nodes and leaves the others alone."""
