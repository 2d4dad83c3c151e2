"""The command line: `python -m lnqlib run STUDY | status | verify | ship`."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
import warnings
from collections.abc import Callable
from typing import NoReturn

from .spec import ENVS, OPTIMIZERS, STUDIES, RunSpec, SpecError, study
from .store import Store, StoreError
from .store import shipped as shipping
from .store.chunks import backend_for, trainer
from .store.cluster import connected
from .store.local import in_repository
from .store.shipped import Shipped, ship
from .store.verify import ROUNDING, differences, foreign_modules, retrain, sample, start_differences
from .sweep import SweepError, backend_store, finished, shipped_of, train_missing

INTERRUPTED = 130  # what shells report after Ctrl-C

Command = Callable[[argparse.Namespace], int]


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and returns its exit code; every refusal is one sentence and code 2."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except KeyboardInterrupt as error:
        again = f"python -m lnqlib {shlex.join(arguments)}"
        print(f"\nInterrupted{error}; continue with: {again}", file=sys.stderr)
        return INTERRUPTED
    except (SpecError, StoreError, SweepError) as error:
        print(f"error: {error}", file=sys.stderr)
    except OSError as error:
        place = f" {error.filename}" if error.filename else ""
        print(f"error: {error.strerror or error}{place}", file=sys.stderr)
    return 2


def run(options: argparse.Namespace) -> int:
    """Trains what is missing of a study."""
    specs, store, shipped = _selected(options), *_kept(options)
    until = time.monotonic() + 60 * options.limit_minutes
    try:
        with connected(options.scheduler) as executor:
            how = {"backend": options.backend, "workers": options.workers, "until": until}
            train_missing(specs, store, shipped, executor, **how)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_count(specs, store, shipped)) from None
    print(f"{options.study}{_count(specs, store, shipped)}")
    return 0


def status(options: argparse.Namespace) -> int:
    """Says how much of every study is finished."""
    try:
        in_repository()
    except StoreError as error:
        print(f"Only local runs are counted: {error}", file=sys.stderr)
    shipped, local = Shipped().keys(), Store().keys()
    width = max(map(len, STUDIES))
    for name in STUDIES:
        keys = {spec.key for spec in study(name)}
        there, here = keys & shipped, (keys & local) - shipped
        print(
            f"{name:{width}} {len(there | here):5} of {len(keys):5} "
            f"(shipped {len(there)}, local {len(here)})"
        )
    return 0


def verify(options: argparse.Namespace) -> int:
    """Trains shipped runs again; code 1 where they differ by more than rounding explains."""
    from .compiled import pinned  # here, for it loads numba

    in_repository()
    if options.backend != "engine":
        return _compare(*_kept(options))
    shipped = Shipped()
    rows = shipped.results()
    if rows.empty:
        raise StoreError(f"nothing is shipped in {shipping.RESULTS}; write python -m lnqlib ship")
    foreign = foreign_modules(rows, options.allow_module)
    if modules := sorted(set(foreign) - {""}):
        print(
            f"{(foreign != '').sum()} of {len(rows)} rows name modules, which training them would "
            f"run; they are skipped; write --allow-module {' '.join(modules)} where you trust them"
        )
    known = rows[foreign == ""]
    if known.empty:
        raise StoreError("no row can be verified without running a module that it names")
    specs = sample(known, options.sample, options.seed, options.allow_module)
    results = retrain(specs, lambda spec: trainer(backend_for(spec))(spec))
    lacking = shipped.lacking(specs)
    gaps = differences(rows, results, lacking)
    equal = int((gaps == 0).all(axis=1).sum())
    if newer := sorted(set().union(*lacking.values())):
        print(f"not compared where a file has no such column: {', '.join(newer)}")
    print(f"{equal} of {len(specs)} runs are the same in every number")
    if equal == len(specs):
        return 0
    lacking = shipped.lacking(specs, curves=True)
    start = start_differences(shipped.curves(specs), results, lacking).max()
    print(
        f"largest relative difference at step 0: {start.max():.2g} in {start.idxmax()} "
        "(1.2e-07 or less: equal, for shipped curves are rounded)"
    )
    if not pinned():
        print(
            "numba compiles for another target here than for the shipped runs, and training makes "
            f"rounding larger: judged is step 0, against {ROUNDING:g}"
        )
        return int(start.max() > ROUNDING)
    largest = gaps.max()
    print(f"largest difference of a run's row: {largest.max():.3g} in {largest.idxmax()}")
    return int(largest.max() > options.tolerance)


def _compare(store: Store, _: Shipped | None) -> int:
    """Another backend's finished runs against the shipped ones; code 1 where they disagree."""
    from .store.agreement import AT_START_BOUND, LEVEL, p_values, start_gaps  # here, for scipy

    shipped = Shipped()
    keys = sorted(store.keys() & shipped.keys())
    if not keys:
        raise StoreError(
            f"{store.path} has no runs that are shipped, too; "
            "write python -m lnqlib run core --backend gpu"
        )
    start = start_gaps(store.curves(keys), shipped.curves(keys))
    p = p_values(store.results(keys), shipped.results(keys))
    tests = int(p.notna().sum().sum())
    differ = p[(p < LEVEL / max(tests, 1)).any(axis=1)]
    print(f"{len(keys)} runs; largest relative difference at step 0: {start.max():.2g}")
    print(f"{tests} two-sample tests over seeds, cells that differ (Bonferroni): {len(differ)}")
    for cell in differ.index:
        print(f"  {dict(zip(differ.index.names, cell, strict=True))}: {differ.loc[cell].idxmin()}")
    return int(start.max() > AT_START_BOUND or len(differ) > 0 or tests == 0)


def ship_command(options: argparse.Namespace) -> int:
    """Writes finished studies to data/results."""
    in_repository()
    studies = {name: study(name) for name in options.studies or STUDIES}
    store, nothing = Store(), True
    for name, specs in studies.items():
        for path in ship(specs, shipping.RESULTS / name, store, options.partial):
            nothing = False
            print(f"{path.stat().st_size / 1e6:8.3f} MB  {path}")
    total = sum(path.stat().st_size for path in shipping.RESULTS.rglob("*.parquet"))
    print(f"{total / 1e6:8.3f} MB  in all" + (", nothing new is complete" if nothing else ""))
    return 0


def _kept(options: argparse.Namespace) -> tuple[Store, Shipped | None]:
    """Where a backend's results are kept, and what is shipped of it."""
    return backend_store(None, options.backend), shipped_of(options.backend)


def _count(specs: list[RunSpec], store: Store, shipped: Shipped | None) -> str:
    total = len({spec.key for spec in specs})
    return f": {len(finished(specs, store, shipped))} of {total} runs are finished and kept"


def _selected(options: argparse.Namespace) -> list[RunSpec]:
    envs, optimizers = options.env or ENVS, options.optimizer or OPTIMIZERS
    specs = study(options.study)
    return [spec for spec in specs if spec.env in envs and spec.optimizer in optimizers]


def _at_least(low: float, kind: Callable[[str], float]) -> Callable[[str], float]:
    def number(text: str) -> float:
        value = kind(text)
        if not value >= low:
            raise ValueError
        return value

    number.__name__ = f"number of at least {low}"  # argparse's message names it
    return number


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}; python -m lnqlib --help shows what is possible\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m lnqlib", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)

    def command(name: str, function: Command, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=function)
        return sub

    def backend(sub: argparse.ArgumentParser) -> None:
        # not in the help before the GPU's kernels have run on one
        choices = ("engine", "gpu")
        sub.add_argument("--backend", choices=choices, default="engine", help=argparse.SUPPRESS)

    sub = command("run", run, "train what is missing of a study")
    sub.add_argument("study", choices=list(STUDIES))
    sub.add_argument("--workers", type=_at_least(1, int), help="chunks at once (one a core)")
    sub.add_argument("--scheduler", default="", help="a dask cluster's, as tcp://HOST:PORT")
    sub.add_argument("--env", nargs="+", choices=ENVS, help="only these tasks")
    sub.add_argument("--optimizer", nargs="+", choices=OPTIMIZERS, help="only these optimizers")
    sub.add_argument(
        "--limit-minutes",
        type=_at_least(0, float),
        default=float("inf"),
        help="start nothing new after so many minutes",
    )
    backend(sub)
    command("status", status, "say how much of every study is finished")
    sub = command("verify", verify, "train a sample of the shipped runs again and compare")
    sub.add_argument("--sample", type=_at_least(1, int), default=20, help="how many runs (20)")
    sub.add_argument("--seed", type=_at_least(0, int), default=0, help="of the draw (0)")
    sub.add_argument(
        "--tolerance",
        type=_at_least(0, float),
        default=0.0,
        help="allowed difference of a number (0); where numba compiles for another target than "
        "for the shipped runs, the curves at step 0 are judged instead, against "
        f"{ROUNDING:g} of their size",
    )
    sub.add_argument(
        "--allow-module",
        nargs="+",
        default=[],
        metavar="MODULE",
        help="modules that rows name and that may be run; rows of others are skipped",
    )
    backend(sub)
    sub = command("ship", ship_command, "write finished studies to data/results")
    sub.add_argument("studies", nargs="*", metavar="STUDY", help="which ones (all)")
    sub.add_argument("--partial", action="store_true", help="incomplete tasks too")
    return parser


if __name__ == "__main__":
    warnings.formatwarning = lambda message, *_: f"warning: {message}\n"
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a run in a worker thread cannot be interrupted, so none is waited for
