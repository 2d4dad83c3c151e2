"""What chapters/linear_regression.ipynb alone needs."""
