"""The sizes that a kernel is compiled for, and where it keeps what."""

from __future__ import annotations

from dataclasses import dataclass

from ..networks import TABLE
from ..spec import RunSpec
from ..tasks import TASKS

UNROLL = 4  # units in a row of straight code, `meet` by `meet`; which are active makes a byte
THREADS = 32  # of a network
MOST_ROWS = 2**16  # row numbers are uint16
QUAD = 4  # floats of the widest load, and samples in a row of straight code


@dataclass(frozen=True)
class Shape:
    """One network's sizes; every one is a constant in the kernel, and so is `threads`."""

    k: int  # inputs
    m: int  # actions
    width: int = 128
    batch_size: int = 128
    bias: bool = True
    scale: bool = False  # whether the norm divides by the spread; centring is chosen at run time
    threads: int = THREADS  # of a network; they take turns with units and samples
    registers: int = 0  # of a thread at most; 0 leaves it to the compiler

    def __post_init__(self) -> None:
        assert self.threads >= QUAD and UNROLL % self.units == 0, self

    @property
    def n(self) -> int:
        """Inputs with the trailing 1 of the bias."""
        return self.k + self.bias

    @property
    def row(self) -> int:
        """Floats of a transition: obs, next_obs, reward, discount, up to a power of two."""
        return 1 << (2 * self.k + 1).bit_length()

    @property
    def units(self) -> int:
        """Units of a thread: `units * t` and those that follow."""
        return -(-self.width // self.threads)

    @property
    def samples(self) -> int:
        """Samples of a thread: t, t + threads, and so on."""
        return -(-self.batch_size // self.threads)

    @property
    def groups(self) -> int:
        """Groups of UNROLL units; units that only fill the last group are 0."""
        return -(-self.width // UNROLL)

    @property
    def record(self) -> int:
        """Floats of a unit in shared memory: its column of W and of V, for whole loads."""
        return -(-(self.n + self.m) // QUAD) * QUAD

    @property
    def slots(self) -> int:
        """Places of samples: those of an action follow one another, from a multiple of QUAD on."""
        return -(-(self.batch_size + (QUAD - 1) * self.m) // QUAD) * QUAD

    @property
    def pairs(self) -> int:
        """Elements of the symmetric matrix of what LN's scale takes out of the gradient."""
        return self.n * (self.n + 1) // 2 if self.scale else 0

    @property
    def tile(self) -> int:
        """Floats of a batch's rows, each with a gap; later of every thread's part of some sums."""
        return max(self.batch_size * (self.row + 1), (self.pairs + self.m) * (self.threads + 1))


WRITTEN_FOR = {
    "env": ("CartPole", "Acrobot", "MountainCar", "Pendulum"),
    "norm": ("none", "layer", "rms", "center"),
    "optimizer": ("SGD", "Adam"),
    "data": ("protocol", "rollout"),
    "lr_control": ("none",),
    "arm": ("none",),
    "target_period": (0,),
}
"""What the kernel was written for; it would train anything else as one of these."""


def covers(spec: RunSpec, threads: int = THREADS) -> bool:
    """Whether the kernels can train `spec`.

    Its interference and returns are measured on the card, isometry, second-order terms and
    companions on the CPU.
    """
    known = all(getattr(spec, name) in allowed for name, allowed in WRITTEN_FOR.items())
    units, samples = -(-spec.width // threads), -(-spec.batch_size // threads)
    return known and units in (1, 2, 4) and samples <= 8 and spec.dataset_size <= MOST_ROWS


def shape_of(spec: RunSpec, **how: int) -> Shape:
    """The shape of the kernel that trains `spec`; `how`: its fields of how that is done."""
    task = TASKS[spec.env]
    sizes = task.obs_dim, task.num_actions, spec.width, spec.batch_size
    return Shape(*sizes, spec.bias, TABLE[spec.norm].scale, **how)
