"""The command line: `python -m lnqlib run STUDY | status | verify | ship | page CHAPTER`."""

from __future__ import annotations

import argparse
import importlib.util
import os
import shlex
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from typing import NoReturn

from .spec import ENVS, OPTIMIZERS, RunSpec, SpecError, study
from .store import Store, StoreError, croissant
from .store import shipped as shipping
from .store.agreement import same_in_law
from .store.cluster import connected
from .store.local import in_repository
from .store.ship import ship
from .store.verify import ROUNDING, trained_again
from .studies import STUDIES
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
    specs, shipped = _selected(options), shipped_of(options.backend)
    store = backend_store(None, options.backend)
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
    shipped, local = shipping.Shipped().keys(), Store().keys()
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
    in_repository()
    if options.backend != "engine":
        return same_in_law(backend_store(None, options.backend))
    keys = {spec.key for name in options.studies for spec in study(name)}
    judged = options.sample, options.seed, options.tolerance, options.allow_module
    return trained_again(*judged, keys or None)


def ship_command(options: argparse.Namespace) -> int:
    """Writes finished studies to data/results."""
    in_repository()
    studies = {name: study(name) for name in options.studies or STUDIES}
    store, nothing = Store(), True
    for name, specs in studies.items():
        for path in ship(specs, shipping.RESULTS / name, store, options.partial):
            nothing = False
            print(f"{path.stat().st_size / 1e6:8.3f} MB  {path}")
    if not nothing:
        croissant.write()
    total = sum(path.stat().st_size for path in shipping.RESULTS.rglob("*.parquet"))
    print(f"{total / 1e6:8.3f} MB  in all" + (", nothing new is complete" if nothing else ""))
    return 0


def page(options: argparse.Namespace) -> int:
    """Runs a chapter and writes its page; in another process, for this package imports no page."""
    if importlib.util.find_spec("jupyter_book") is None:
        raise StoreError("the book's packages are missing; pip install -e '.[book]'")
    command = [sys.executable, "-m", "lnqbook.book.one_page", *options.arguments]
    return subprocess.run([*command, "--repository", in_repository()]).returncode


def _count(specs: list[RunSpec], store: Store, shipped: shipping.Shipped | None) -> str:
    total = len({spec.key for spec in specs})
    return f": {len(finished(specs, store, shipped))} of {total} runs are finished and kept"


def _selected(options: argparse.Namespace) -> list[RunSpec]:
    envs, optimizers = options.env or ENVS, options.optimizer or OPTIMIZERS
    specs = study(options.study)
    return [spec for spec in specs if spec.env in envs and spec.optimizer in optimizers]


def _at_least(low: float, kind: Callable[[str], float]) -> Callable[[str], float]:
    example = low + 1 if kind is int else low + 0.001

    def number(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = -1
        if not value >= low:
            whole = "whole " if kind is int else ""
            raise argparse.ArgumentTypeError(
                f"{text!r} is no {whole}number of at least {low:g}; write {example}"
            )
        return value

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
    sub.add_argument("studies", nargs="*", metavar="STUDY", help="draw from these studies (all)")
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
    sub = command("page", page, "run a chapter of the book and write its page as one HTML file")
    sub.add_argument("arguments", nargs="...", metavar="CHAPTER", help="gi2 -p env Pendulum")
    return parser


if __name__ == "__main__":
    warnings.formatwarning = lambda message, *_: f"warning: {message}\n"
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a run in a worker thread cannot be interrupted, so none is waited for
