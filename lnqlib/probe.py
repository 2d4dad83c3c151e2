"""Measuring a network while it trains: `Probe`, and a callback for stable-baselines3."""

from .metrics.probe import Probe, sb3_callback, undisturbed

__all__ = ["Probe", "sb3_callback", "undisturbed"]
