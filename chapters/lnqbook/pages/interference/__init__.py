"""What chapters/interference.ipynb alone needs."""
