"""What chapters/protocol.ipynb alone needs."""
