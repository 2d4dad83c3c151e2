"""What chapters/lr_decay.ipynb alone needs."""
