"""lnqlib: what layer normalization does to deep Q-learning, measured.

Start with `spec.RunSpec` (a run), `sweep.sweep` (many of them, as a DataFrame), and
`metrics.interference` and `metrics.isometry` (any Q-network of your own).
"""
