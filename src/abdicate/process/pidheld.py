"""A pidfile that this process holds, and its handing over to a child.

How it came to hold it is `abdicate.process.pidlock`'s matter; so is the reason why it is enough
to compare the file with the path while the lock is held.
"""

from __future__ import annotations

import os
from _thread import allocate_lock

from abdicate.errors import LockFailed
from abdicate.process.lockfile import LockFile, race_point
from abdicate.process.pidobstacle import explained

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from abdicate.process.pidlock import PidLock

__all__ = ["Handover", "HeldPidfile"]


class HeldPidfile:
    """A pidfile that this process holds, until `release`.

    It belongs to the process that acquired it. In a forked child the lock's descriptor is
    closed, and every method behaves as if the lock had been released. Leaving the ``with``
    block releases it.
    """

    __slots__ = ("_file", "_handed_over", "_latch", "_lock", "_owner")

    def __init__(self, lock: PidLock, file: LockFile) -> None:
        self._lock = lock
        self._file = file
        self._owner = os.getpid()
        self._handed_over = False
        self._latch = allocate_lock()

    def __repr__(self) -> str:
        return f"<HeldPidfile {self.path} of process {self._owner}>"

    @property
    def path(self) -> str:
        """The pidfile's absolute path."""
        return self._lock.path

    def fileno(self) -> int:
        """Return the lock's descriptor: whoever closes all others has to keep this one.

        Raises:
            ValueError: it is closed in this process.
        """
        return self._file.fileno()

    def still_held(self) -> bool:
        """Tell whether this process has the lock on the file that the path names now.

        Not, after `release`, in a forked child, once a child has accepted the lock, and when a
        program without locks has removed or replaced the file.
        """
        try:
            # The lock is asked for again: a file server may have lost it.
            return self._is_owner() and self._file.is_at(self.path) and self._file.try_lock()
        except OSError:
            return False

    def holder(self) -> int | None:
        """Return the pid that holds the path now, this process or another: `PidLock.holder`."""
        return self._lock.holder()

    def signal_holder(self, number: int) -> int:
        """Signal whoever holds the path now: `PidLock.signal_holder`."""
        return self._lock.signal_holder(number)

    def hand_over(self) -> Handover:
        """Let the children that are forked from now on inherit the lock, for one to accept it.

        From here on this process's `release` only closes its own copy: the file is the child's
        to keep or to remove.

        Raises:
            LockFailed: it is not held.
        """
        if not self.still_held():
            raise LockFailed(f"pidfile {self.path} is not held any more: it can't be handed over")
        self._file.share(True)
        self._handed_over = True
        return Handover(self, self._lock, self._file, self._take_back)

    def release(self, *_exception: object) -> None:
        """Remove the file and give up the lock. Again, or in a forked child, it does nothing.

        Where the file can't be removed any more, because privileges were dropped or the root
        directory was changed, it is emptied: it names nobody.
        """
        # Two threads, or an exit handler and a signal handler: the first to come releases.
        if not self._latch.acquire(blocking=False):
            return
        try:
            if self._is_owner() and not self._handed_over:
                self._withdraw()
        finally:
            # Last: unlocked first, the file that is removed might be the next holder's.
            self._file.close()

    def __enter__(self) -> Self:
        return self

    __exit__ = release

    def _take_back(self) -> bool:
        if self._owner != os.getpid():
            return False
        self._file.share(False)
        self._handed_over = False
        return True

    def _is_owner(self) -> bool:
        return self._file.is_open and self._owner == os.getpid()

    def _withdraw(self) -> None:
        if self._file.is_at(self.path):
            race_point("releasing")
            try:
                os.unlink(self.path)
            except OSError:
                race_point("not permitted")
            else:
                race_point("removed")
                return
        found = self._file.stat()
        # Another name, or the path as it was before a chroot, where it can't be removed.
        if found is not None and found.st_nlink:
            try:
                os.ftruncate(self.fileno(), 0)
            except OSError:
                # A file system that went read-only. Unlocked it is a stale file, no more.
                return


class Handover:
    """A held pidfile on its way to a child: see `HeldPidfile.hand_over`.

    From the parent's `HeldPidfile.hand_over` to the child's `accept` the lock belongs to both,
    and afterwards to the child: there is no instant in which nobody has it, and a reader sees
    the parent's pid and then the child's. A parent that is killed takes nothing with it.
    """

    __slots__ = ("_file", "_held", "_lock", "_take_back")

    def __init__(
        self, held: HeldPidfile, lock: PidLock, file: LockFile, take_back: Callable[[], bool]
    ) -> None:
        self._held = held
        self._lock = lock
        self._file = file
        self._take_back = take_back

    def accept(self) -> HeldPidfile:
        """Make this process, a child or grandchild, the holder, with its own pid in the file.

        To be called by one process only, while it may still write to the pidfile's directory:
        before a drop. In the process that handed over it takes the lock back.

        Raises:
            LockFailed: the lock was lost on the way, or the file can't be written.
        """
        if self._take_back():
            return self._held
        lock, inherited = self._lock, self._file
        try:
            staged = lock.stage()
            try:
                if not (inherited.is_at(lock.path) and inherited.try_lock()):
                    raise LockFailed(f"pidfile {lock.path} was lost while it was handed over")
                race_point("accepting")
                staged.replace()
                accepted = HeldPidfile(lock, staged.file)
            except BaseException:
                staged.discard()
                raise
        except OSError as error:
            raise explained(lock.path, error) from error
        inherited.close()
        return accepted

    def withdraw(self) -> None:
        """Take the lock back, in the process that handed it over; elsewhere it does nothing.

        For when the child has ended without accepting. While it lives both would own the lock,
        and this process's `HeldPidfile.release` could remove what the child has just put there.
        """
        self._take_back()
