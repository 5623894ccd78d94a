"""Looking at a pidfile from outside: who holds it; and signalling the holder, nobody else.

Nothing here takes the lock. The probe is a shared one, held for some microseconds, and
`abdicate.process.pidlock` tries again where such a probe was in its way.
"""

from __future__ import annotations

import os
import sys
import time

from abdicate.errors import LockFailed, UnsupportedPlatformError
from abdicate.process.liveness import judge, runs
from abdicate.process.lockfile import NO_FLOCK, LockFile, open_existing, race_point, refuse_stranger
from abdicate.process.pidrecord import named_pid, parse
from abdicate.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

__all__ = [
    "Absent",
    "HeldBy",
    "HeldByUnknown",
    "NotHeld",
    "PidfileStatus",
    "flock_holders",
    "known_holders",
    "signal_holder",
    "status",
]

_TURNS = 50  # looks, until what may pass in a moment is believed
_PAUSE = 0.002  # seconds between them


class Absent(Value):
    """There is no file."""

    def __str__(self) -> str:
        return "absent"


class NotHeld(Value):
    """There is a file, nobody has locked it, and it names no running process.

    ``pid`` is the process that left it, or None where none is named.
    """

    pid: int | None

    def __str__(self) -> str:
        return "not held" + ("" if self.pid is None else f", left by process {self.pid}")


class HeldBy(Value):
    """A running process holds it: ``pid``.

    ``locked`` is False where only the file says so: a program that uses no locks wrote it.
    """

    pid: int
    locked: bool = True

    def __str__(self) -> str:
        return f"held by process {self.pid}" + ("" if self.locked else ", without a lock")


class HeldByUnknown(Value):
    """It is locked, and not by a process that it names by a number that counts here.

    A holder in another pid namespace looks like that, and one that is just taking over.
    """

    def __str__(self) -> str:
        return "held by an unknown process"


PidfileStatus: TypeAlias = Absent | NotHeld | HeldBy | HeldByUnknown


def status(path: str) -> PidfileStatus:
    """Tell who holds the pidfile at *path*, an absolute path.

    Raises:
        LockFailed: what is there is not a regular file.
        OSError: it may not be read, so nothing can be told.
        UnsupportedPlatformError: there is no flock(2) here.
    """
    found: PidfileStatus | None = None
    for _ in range(_TURNS):
        found = _look(path)
        match found:
            case Absent() | NotHeld() | HeldBy(locked=True):
                return found
            case _:
                # Somebody may be taking over, or ending: its files are closed before it is a
                # zombie.
                time.sleep(_PAUSE)
    # What changes at every look is in somebody's hands.
    return HeldByUnknown() if found is None else found


def _look(path: str) -> PidfileStatus | None:
    file = open_existing(path, writable=False)
    if file is None:
        return None if os.path.lexists(path) else Absent()
    try:
        locked = not file.try_lock(shared=True)
        if not file.is_at(path):
            return None
        content = file.read()
        pid = named_pid(content)
        if locked:
            seen = pid is not None and runs(pid) and _may_hold(pid, file)
            return HeldBy(pid) if pid is not None and seen else HeldByUnknown()
        written = os.fstat(file.fileno()).st_mtime
        if pid is not None and judge(content, written) == "alive":
            return HeldBy(pid, locked=False)
        return NotHeld(pid)
    finally:
        file.close()


def signal_holder(path: str, number: int, owner: int | None = None) -> int:
    """Send signal *number* to the process that holds the pidfile at *path*; return its pid.

    Never kill(2) on what a file said: the process is first opened by its number, pidfd_open(2),
    and then the file is looked at again. If it is still this file, locked and naming that
    process, the number had not been used again when it was opened; and what is open can't change.

    Args:
        path: an absolute path.
        number: the signal; 0 sends none, and checks.
        owner: a uid to which the pidfile may belong, besides root, this process's user and the
            owner of the directory. Whoever may write the file aims your signal; Linux tells who
            has the lock, and a file that names somebody else is refused.

    Raises:
        LockFailed: no process is known to hold it, and nothing was signalled.
        PermissionError: the kernel refuses to signal that process: kill(2).
        UnsupportedPlatformError: there are no pidfds here; they came with Linux 5.3.
    """
    if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        raise UnsupportedPlatformError(
            "signalling the holder of a pidfile needs pidfd_open(2), which this platform lacks"
        )
    import signal

    file = open_existing(path, writable=False)
    if file is None:
        raise LockFailed(f"pidfile {path} is absent: nobody holds it, nothing was signalled")
    process = -1
    try:
        refuse_stranger(path, file, owner)
        pid = _locked_by(path, file)
        race_point("named")
        process = os.pidfd_open(pid)
        if _locked_by(path, file) != pid:
            raise LockFailed(f"pidfile {path} changed hands just now: nothing was signalled")
        signal.pidfd_send_signal(process, number)
    except ProcessLookupError:
        raise LockFailed(
            f"pidfile {path} names a process that has ended: nothing was signalled"
        ) from None
    finally:
        file.close()
        if process >= 0:
            os.close(process)
    return pid


def _locked_by(path: str, file: LockFile) -> int:
    if file.try_lock(shared=True):
        raise LockFailed(f"pidfile {path} is not held: nothing was signalled; it may be removed")
    if not file.is_at(path):
        raise LockFailed(f"pidfile {path} changed hands just now: nothing was signalled")
    try:
        pid = parse(file.read())
    except ValueError as error:
        raise LockFailed(f"pidfile {path} is held, and names no process: {error}") from None
    if not _may_hold(pid, file):
        raise LockFailed(
            f"pidfile {path} names process {pid}, and another one has it locked:"
            f" nothing was signalled; see who may write to {path}"
        )
    return pid


def _may_hold(pid: int, file: LockFile) -> bool:
    # Not where Linux knows that others do.
    holders = known_holders(file)
    return not holders or pid in holders


def known_holders(file: LockFile) -> set[int]:
    """Return the processes that Linux lists as having *file* locked exclusively.

    None are, where the holder is in another pid namespace, where a file system doesn't tell its
    device's number (btrfs), and where there is no /proc/locks. One may have ended, and left the
    lock to a child.
    """
    try:
        with open("/proc/locks") as listing:
            return flock_holders(listing.read(), *file.identity)
    except OSError:
        return set()


def flock_holders(listing: str, device: int, inode: int) -> set[int]:
    """Return who has a file locked exclusively, from a text of /proc/locks: proc_locks(5).

    Raises:
        ValueError: if it isn't such a text.
    """
    if sys.platform == "win32":
        raise UnsupportedPlatformError(NO_FLOCK)
    place = f"{os.major(device):02x}:{os.minor(device):02x}:{inode}"
    holders: set[int] = set()
    for line in listing.splitlines():
        # 1: FLOCK  ADVISORY  WRITE 708 00:13:1234 0 EOF
        _, kind, _, access, pid, where, *_ = line.split()
        if (kind, access, where) == ("FLOCK", "WRITE", place):
            holders.add(int(pid))
    return holders
