"""A digit classifier that is trained where the data are."""
