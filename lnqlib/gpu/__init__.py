"""Whole studies on one GPU: see README.md. Nothing here is imported unless `backend="gpu"` is."""
