"""The private file that becomes the pidfile.

It is locked, complete and has its mode before anybody can see it under the pidfile's name.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import time

from abdicate.errors import UnsupportedPlatformError
from abdicate.process.lockfile import NO_FLOCK, LockFile
from abdicate.process.pidrecord import encode

__all__ = ["StagedFile", "sweep"]

# Not made from the pidfile's name, which may be as long as a name can be.
_PREFIX = ".abdicate-"
_RANDOM = 8  # bytes

_ABANDONED = 10.0  # seconds; a file is born unlocked, and locked some microseconds later


class StagedFile:
    """A locked file with this process's pid, under a private name beside *path*.

    The same directory, because rename(2) and link(2) don't leave a file system.
    """

    __slots__ = ("_name", "_path", "file")

    def __init__(self, path: str, mode: int, owner: int | None, group: int | None) -> None:
        """Make the file: ``PID`` and a newline, *mode* whatever the umask, *owner* and *group*.

        Raises:
            OSError: as open(2), write(2), fchmod(2), fchown(2); nothing is left behind.
        """
        self._path = path
        name = f"{_PREFIX}{os.urandom(_RANDOM).hex()}"
        self._name = os.path.join(os.path.dirname(path), name)
        # Read and write: NFS locks no other file (flock(2)). 0600 until the mode is set.
        self.file: LockFile = LockFile(self._name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            self._fill(mode, owner, group)
        except BaseException:
            self.discard()
            raise

    def _fill(self, mode: int, owner: int | None, group: int | None) -> None:
        if sys.platform == "win32":
            raise UnsupportedPlatformError(NO_FLOCK)
        number = self.file.fileno()
        if not self.file.try_lock():
            raise OSError(errno.EAGAIN, "a file that nobody knows is locked", self._name)
        record = encode(os.getpid())
        if os.write(number, record) != len(record):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._name)
        # Before the owner: a file that was given away is another's to change.
        os.fchmod(number, mode)
        if owner is not None or group is not None:
            # Not `owner or -1`: 0 is root.
            os.fchown(number, -1 if owner is None else owner, -1 if group is None else group)

    def publish(self) -> bool:
        """Publish it by link(2) where there is nothing; False where there is something.

        Raises:
            OSError: as link(2).
        """
        try:
            os.link(self._name, self._path)
        except FileExistsError:
            # An NFS server whose first answer was lost says so of its own success.
            if not self.file.is_at(self._path):
                return False
        os.unlink(self._name)
        return True

    def replace(self) -> None:
        """Publish it in place of the file that is there, which the caller has locked, by rename(2).

        Raises:
            OSError: as rename(2).
        """
        os.rename(self._name, self._path)

    def discard(self) -> None:
        """Take it back, from wherever it is; its lock is gone."""
        # An exception, KeyboardInterrupt perhaps, may have come after it was published.
        for name in (self._name, self._path):
            if self.file.is_at(name):
                try:
                    os.unlink(name)
                except OSError:
                    # The directory changed under us. Unlocked it is a stale file, no more.
                    continue
        self.file.close()


def sweep(directory: str) -> None:
    """Remove the private files of processes that were killed before they could publish them.

    Whatever can't be looked at, isn't this user's, is locked or is young stays.
    """
    try:
        names = [name for name in os.listdir(directory) if name.startswith(_PREFIX)]
    except OSError:
        return
    for name in names:
        path = os.path.join(directory, name)
        try:
            if _may_be_abandoned(os.lstat(path)):
                _remove_unlocked(path)
        except OSError:
            continue


def _may_be_abandoned(found: os.stat_result) -> bool:
    if sys.platform == "win32":
        raise UnsupportedPlatformError(NO_FLOCK)
    return (
        stat.S_ISREG(found.st_mode)
        and found.st_uid == os.geteuid()
        and time.time() - found.st_mtime > _ABANDONED
    )


def _remove_unlocked(path: str) -> None:
    file = LockFile(path, os.O_RDWR)
    try:
        if file.try_lock() and file.is_at(path):
            os.unlink(path)
    finally:
        file.close()
