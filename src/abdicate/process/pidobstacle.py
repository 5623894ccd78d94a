"""Why a pidfile can't be had at this moment: what to say about it, and how long to try again."""

from __future__ import annotations

import errno
import os
import time

from abdicate.errors import LockFailed
from abdicate.process.liveness import SETTLING, judge
from abdicate.process.pidrecord import named_pid
from abdicate.process.pidstatus import HeldBy, HeldByUnknown, known_holders, status
from abdicate.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from abdicate.process.liveness import Verdict
    from abdicate.process.lockfile import LockFile

__all__ = ["Obstacle", "Patience", "PidfileHeld", "explained", "locked", "unlocked"]


# For what passes in a moment: how long to believe that, and when to look again, in seconds.
_MOMENT = {"grace": 0.1, "pause": 0.002}


class PidfileHeld(LockFailed):
    """Another process holds the pidfile, or this one does already.

    Attributes:
        path: the pidfile.
        holder: the holder's pid, or None where it is unknown.
    """

    def __init__(self, message: str, path: str, holder: int | None) -> None:
        super().__init__(message, path, holder)
        self.path = path
        self.holder = holder

    def __str__(self) -> str:
        return str(self.args[0])


class Obstacle(Value):
    """What stands in the way.

    ``grace`` is for how many seconds it is worth trying again whatever the caller's patience,
    ``pause`` for how many to wait in between.
    """

    error: LockFailed
    grace: float = 0.0
    pause: float = 0.05


class Patience:
    """How long one acquisition goes on trying."""

    _ALL_GRACES = 10.0  # seconds: a file that changes for ever doesn't make us wait for ever

    def __init__(self, timeout: float) -> None:
        """Begin to count. *timeout*: seconds that the caller would wait."""
        self._began = self._since = time.monotonic()
        self._timeout = timeout
        self._last: Obstacle | None = None

    def wait(self, obstacle: Obstacle) -> None:
        """Wait until it is worth trying again.

        Raises:
            LockFailed: the obstacle's error, when patience is at its end.
        """
        now = time.monotonic()
        if self._last is None or str(self._last.error) != str(obstacle.error):
            self._last, self._since = obstacle, now
        grace = min(self._since + obstacle.grace, self._began + self._ALL_GRACES)
        end = max(self._began + self._timeout, grace)
        if now >= end:
            raise obstacle.error
        time.sleep(min(obstacle.pause, end - now))


def locked(path: str, file: LockFile) -> Obstacle:
    """Tell what it means that somebody else has *file* locked."""
    content = file.read()
    pid = named_pid(content)
    verdict = judge(content, os.fstat(file.fileno()).st_mtime)
    if verdict == "ours" and file.has_twin():
        return Obstacle(PidfileHeld(f"pidfile {path} is held by this process already", path, pid))
    # Whatever its age says: the clock may have been set since the holder wrote it.
    if verdict == "alive" or (verdict == "reused" and pid in known_holders(file)):
        return Obstacle(
            PidfileHeld(
                f"pidfile {path} is held by process {pid}: stop it first, or use another pidfile",
                path,
                pid,
            )
        )
    # Somebody may be looking, or be just about to take it over: that passes in a moment.
    return Obstacle(
        PidfileHeld(
            f"pidfile {path} is held by a process that can't be told from here, perhaps in another"
            " pid namespace: find and stop it, or use another pidfile",
            path,
            None,
        ),
        **_MOMENT,
    )


def unlocked(path: str, content: bytes, verdict: Verdict) -> Obstacle:
    """Tell what it means that nobody has the file locked, and it may not be taken over."""
    pid = named_pid(content)
    if verdict == "alive":
        # Or it is ending: its files are closed some moments before it is a zombie.
        return Obstacle(
            PidfileHeld(
                f"pidfile {path} names process {pid}, which is running, and uses no lock: stop it"
                " first; if it is not the program that you mean, remove the file",
                path,
                pid,
            ),
            **_MOMENT,
        )
    if verdict == "unfinished":
        return Obstacle(
            LockFailed(
                f"pidfile {path} names no process, and keeps being written: see who does that"
            ),
            grace=2 * SETTLING + 0.5,  # its time may be that much ahead of our clock
            pause=0.02,
        )
    left = "names no process" if pid is None else f"was left by process {pid}"
    return Obstacle(
        LockFailed(f"pidfile {path} {left}, and may not be taken over: remove it to go on")
    )


_ADVICE = {
    errno.ENOENT: "make that directory first",
    errno.ENOTDIR: "use a path whose parents are directories",
    errno.EACCES: "use a directory that this process's user may write to",
    errno.EPERM: "use a directory in which this process's user may replace files, on a file"
    " system that has hard links",
    errno.EROFS: "use a file system that is not mounted read-only",
    errno.ENOSPC: "free some space there",
    errno.EDQUOT: "free some space there: a quota is used up",
    errno.EFBIG: "raise the limit on file sizes, RLIMIT_FSIZE",
    errno.ELOOP: "remove the symbolic link",
    errno.ENOLCK: "use a file system that has locks",
}


def explained(path: str, error: OSError) -> LockFailed:
    """Return what to raise where a system call failed: who holds the file, if anybody, or why."""
    try:
        found = status(path)
    except (OSError, LockFailed):
        found = None
    if isinstance(found, HeldBy | HeldByUnknown):
        holder = found.pid if isinstance(found, HeldBy) else None
        return PidfileHeld(f"pidfile {path} is {found}: stop it first", path, holder)
    if error.filename == path:
        return LockFailed(
            f"pidfile {path} is there and can't be opened: {error.strerror}; run as its owner, or"
            " remove it"
        )
    advice = _ADVICE.get(error.errno or 0, "see what is wrong there")
    return LockFailed(
        f"pidfile {path} can't be made in {os.path.dirname(path)}: {error.strerror}; {advice}"
    )
