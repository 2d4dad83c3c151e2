"""Norms and tasks of the reader's own, by the names that a `RunSpec` gives them."""
