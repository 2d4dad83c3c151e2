"""Fast twins of the core, each held to it by a test: see README.md in this folder."""

from .fused import covers, train

__all__ = ["covers", "train"]
