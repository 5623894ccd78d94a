"""Pidfiles in the shape of ``celery.platforms``: `Pidfile` and `create_pidlock`.

The lock behind them is `abdicate.process.pidlock`'s; this room translates.
"""

from __future__ import annotations

import atexit
import os
import sys

from abdicate.errors import LockFailed
from abdicate.process.exits import EX_CANTCREAT
from abdicate.process.lockfile import open_existing
from abdicate.process.pidlock import PIDFILE_MODE, HeldPidfile, PidLock
from abdicate.process.pidobstacle import PidfileHeld
from abdicate.process.pidrecord import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

__all__ = [
    "PIDFILE_FLAGS",
    "PIDFILE_MODE",
    "PIDLOCKED",
    "PIDFile",
    "Pidfile",
    "create_pidlock",
]

PIDFILE_FLAGS = os.O_CREAT | os.O_EXCL | os.O_WRONLY
"""Flags of open(2) that make a file where there is none. Kept for programs that use them."""

PIDLOCKED = """\
ERROR: the pidfile {0} is held by a running process (pid: {1}).
Stop it first, or start with another pidfile."""
"""What `create_pidlock` says of the path and the holder's pid."""


class Pidfile:
    """A pidfile, as ``celery.platforms`` has it, and locked while it is held.

    Attributes:
        path: absolute; a relative one counts from where the process is now.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: str = os.path.abspath(os.fsdecode(path))
        self._held: HeldPidfile | None = None

    def acquire(self) -> Self:
        """Take the lock and write this process's pid; a stale file is taken over.

        Raises:
            LockFailed: it is held, by this process too, or can't be made.
            UnsupportedPlatformError: there is no flock(2) here.
        """
        self._held = PidLock(self.path).acquire()
        return self

    def is_locked(self) -> bool:
        """Tell whether there is a file, held or not; `remove_if_stale` tells more."""
        return os.path.exists(self.path)

    def read_pid(self) -> int | None:
        """Return the pid in the file, or None where there is no file.

        Raises:
            ValueError: it is malformed, or not a regular file.
            OSError: it may not be read.
        """
        try:
            file = open_existing(self.path, writable=False)
        except LockFailed as error:
            raise ValueError(str(error)) from None
        if file is None:
            return None
        try:
            return parse(file.read())
        finally:
            file.close()

    def release(self, *args: object) -> None:
        """Remove the file and give up the lock, if this process holds it by this object."""
        held, self._held = self._held, None
        if held is not None:
            held.release()

    def remove(self) -> None:
        """Remove the file, whatever it says, unless another process has it locked.

        No file, and a directory that may not be written to, are passed over in silence.

        Raises:
            LockFailed: it is locked, or not a regular file.
            OSError: it can't be removed for another reason: a file system mounted read-only.
        """
        self.release()
        file = None
        try:
            file = open_existing(self.path, writable=True)
            if file is None:
                return
            if not file.try_lock():
                raise LockFailed(f"pidfile {self.path} is held by a process: it is not removed")
            if file.is_at(self.path):
                os.unlink(self.path)
        except PermissionError:
            return
        finally:
            if file is not None:
                file.close()

    def remove_if_stale(self) -> bool:
        """Remove the file if its process is gone; tell whether there is none any more.

        Raises:
            LockFailed: it is not a regular file, a stranger's, or can't be removed.
        """
        try:
            PidLock(self.path).remove_stale()
        except PidfileHeld:
            return False
        return True

    def write_pid(self) -> None:
        """Take the lock and write this process's pid, where there is no file.

        Raises:
            OSError: it can't be made; FileExistsError where there is one.
        """
        self._held = PidLock(self.path).create()

    def __enter__(self) -> Self:
        return self.acquire()

    __exit__ = release


PIDFile = Pidfile


def create_pidlock(pidfile: str | os.PathLike[str]) -> Pidfile:
    """Take the lock of *pidfile*, or leave the program with a message where it is held.

    A stale file is taken over. The lock is released when this process exits, but not when a
    child of it does.

    Raises:
        SystemExit: with `EX_CANTCREAT`: another process holds it.
        LockFailed: it can't be made, or what is there can't be taken over safely.
    """
    lock = _create_pidlock(pidfile)
    atexit.register(lock.release)
    return lock


def _create_pidlock(pidfile: str | os.PathLike[str]) -> Pidfile:
    lock = Pidfile(pidfile)
    try:
        return lock.acquire()
    except PidfileHeld as error:
        holder = "unknown" if error.holder is None else error.holder
        print(PIDLOCKED.format(lock.path, holder), file=sys.stderr)
        raise SystemExit(EX_CANTCREAT) from None
