"""Many runs at once on one GPU; README.md says how. Imported where `backend="gpu"` asks for it."""

VERSION = 2  # raised whenever a run's numbers may change; results of another are not looked up
PROVEN = False  # whether it ran on a GPU and agreed there; see benchmarks/gpu.py
NOT_PROVEN = (
    'backend "gpu" agrees with the reference in numba\'s simulator and was never run on a GPU; '
    "compare what it trains: python -m lnqlib verify --backend gpu"
)
