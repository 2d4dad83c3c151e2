"""Several sweeps in one folder: a lock for short moments, and reservations that end with a sweep.

Both rest on the operating system's file locks, which end with the process that holds them, however
it ends. Where the file system has none, work may be done twice; results stay the same. The same
holds on Windows, where nobody can read a reservation while its owner locks it.
"""

from __future__ import annotations

import os
import secrets
import socket
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from filelock import lock_descriptor

_SUFFIX = ".claim"  # sweeps of older versions share folders and look for this suffix
_OLD = 600  # seconds after which a temporary file is treated as orphaned
_POLL = 0.01  # seconds between attempts to get the folder's lock


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the folder's lock; others wait."""
    with _open(folder / "lock", "a") as file:
        with suppress(OSError):  # a file system without locks
            lock_descriptor(file.fileno(), poll_interval=_POLL)
        yield


class Reservation:
    """The runs that one sweep is training, for other sweeps to leave alone.

    Make, read and change reservations under the folder's lock.
    """

    def __init__(self, folder: Path):
        name = f"{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(4)}{_SUFFIX}"
        self.path = folder / name
        self._file = _open(self.path, "w+")
        with suppress(OSError):  # a file system without locks
            lock_descriptor(self._file.fileno(), blocking=False)
        for path in folder.glob(".*.tmp"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _OLD:
                    path.unlink()

    def reserve(self, keys: Iterable[str]) -> None:
        """Says that the runs `keys`, and no others, are in training here."""
        self._file.seek(0)
        self._file.truncate()
        self._file.write("\n".join(keys))
        self._file.flush()

    def others(self) -> set[str]:
        """The keys in training elsewhere; reservations of dead owners are removed."""
        keys: set[str] = set()
        for path in self.path.parent.glob(f"*{_SUFFIX}"):
            if path != self.path:
                with suppress(OSError), open(path, "r+") as file:  # NFS locks what can be written
                    if _dead(path, file):
                        path.unlink()
                    else:
                        keys.update(file.read().split())
        return keys

    def close(self) -> None:
        """Gives the reservation up."""
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self.path.unlink()


def share(path: Path) -> None:
    """Gives a file or folder in `path.parent`, whatever the umask, that folder's permissions.

    Users who may write to one store can then use each other's lock, reservations and folders.
    """
    mode, folder = path.stat().st_mode, path.parent.stat().st_mode
    with suppress(OSError):  # only its owner can change it
        path.chmod(stat.S_IMODE(mode | folder & (0o777 if path.is_dir() else 0o666)))


def _open(path: Path, mode: str) -> IO[str]:
    file = open(path, mode)  # noqa: SIM115, the caller closes it
    share(path)
    return file


def _dead(path: Path, file: IO[str]) -> bool:
    host, pid, *_ = path.name.rsplit(".", 3)
    if host == socket.gethostname() and os.name == "posix":  # os.kill ends processes elsewhere
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return True  # even where a forked worker still holds the lock
        except PermissionError:
            pass
    return lock_descriptor(file.fileno(), blocking=False)
