"""Interventions: what each adds to a network or takes from it, and how torch does it."""
