"""Figures: one function a figure, a frame in, a `Figure` out."""
