"""Counts digits over all nodes without moving them."""
