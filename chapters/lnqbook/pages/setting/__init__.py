"""What chapters/setting.ipynb alone needs."""
