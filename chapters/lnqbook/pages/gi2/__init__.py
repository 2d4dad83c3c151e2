"""What chapters/gi2.ipynb alone needs."""
