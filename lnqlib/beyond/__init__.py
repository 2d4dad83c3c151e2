"""Settings beyond the paper's: target networks and online replay."""
