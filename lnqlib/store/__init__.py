"""Finished runs: the local store, the shipped results, and the chunks that fill them."""

from .local import Store, StoreError

__all__ = ["Store", "StoreError"]
