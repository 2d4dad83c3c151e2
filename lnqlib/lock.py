"""Several sweeps in one folder: a lock for short moments, and reservations that die with a sweep.

Both rest on the operating system's file locks, which end with the process that holds them, however
it ends. Where the file system has none, work may be done twice; results stay the same.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

_SUFFIX = ".claim"  # sweeps of older versions share folders, and look for this one
_OLD = 600  # seconds after which a temporary file has surely lost its writer


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the folder's lock; others wait."""
    with open(folder / "lock", "a") as file:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Reservation:
    """The runs that one sweep is training, for other sweeps to leave alone.

    Make, read and change reservations under the folder's lock.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        name = f"{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(4)}{_SUFFIX}"
        self._file = open(folder / name, "w+")  # noqa: SIM115, open until close()
        with suppress(OSError):
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for path in folder.glob(".*.tmp"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _OLD:
                    path.unlink()

    def set(self, keys: Iterable[str]) -> None:
        """Says that the runs `keys`, and no others, are in training here."""
        self._file.seek(0)
        self._file.truncate()
        self._file.write("\n".join(keys))
        self._file.flush()

    def others(self) -> set[str]:
        """The keys in training elsewhere; reservations of dead owners are removed."""
        keys: set[str] = set()
        for path in self.folder.glob(f"*{_SUFFIX}"):
            if path.name != Path(self._file.name).name:
                with suppress(OSError), open(path) as file:
                    if _dead(path, file):
                        path.unlink()
                    else:
                        keys.update(file.read().split())
        return keys

    def close(self) -> None:
        """Gives the reservation up."""
        with suppress(OSError):
            os.unlink(self._file.name)
        with suppress(OSError):
            self._file.close()


def _dead(path: Path, file: TextIO) -> bool:
    host, pid, *_ = path.name.rsplit(".", 3)
    if host == socket.gethostname():
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return True  # even where a forked worker still holds the lock
        except PermissionError:
            pass
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
