"""The lock on a pidfile, which two processes can never both hold.

*Held* means: this process has an flock on the file that the path names **now**. Everything
follows from how that file may change, and who may change it:

============  ===================  =====================================================
from, to      system call          who may
============  ===================  =====================================================
nothing, Y    link(Y's own name)   anybody; of two who try, the kernel lets one
X, Y          rename(Y's own name) who has X locked, and saw since that the path names X
X, nothing    unlink               who has X locked, and saw since that the path names X
============  ===================  =====================================================

Y is locked and complete before it is given the path's name, so the path never names a file
that is empty or half-written, nor one that is unlocked while its holder lives. And the path is
compared with what was locked *after* locking: it may have been given to another file meanwhile.

A process that was killed leaves X, unlocked, to the second row. Whether X may be taken is the
one question in which pids count (`abdicate.process.liveness`): programs without locks write
pidfiles too. They can also unlink this one; `HeldPidfile.still_held` tells.
"""

from __future__ import annotations

import errno
import os

from abdicate.errors import LockFailed, SpecError
from abdicate.process.liveness import judge
from abdicate.process.lockfile import LockFile, open_existing, race_point, refuse_stranger
from abdicate.process.pidheld import Handover, HeldPidfile
from abdicate.process.pidobstacle import Obstacle, Patience, explained, locked, unlocked
from abdicate.process.pidstage import StagedFile, sweep
from abdicate.process.pidstatus import HeldBy, PidfileStatus, signal_holder, status
from abdicate.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from abdicate.process.liveness import StalePolicy, Verdict

__all__ = ["PIDFILE_MODE", "Handover", "HeldPidfile", "PidLock"]

PIDFILE_MODE: Final = 0o644
"""Everybody may read a pidfile, its owner alone write it."""

# What may be taken over, of an unlocked file: see `judge`.
_TAKEN_OVER: dict[StalePolicy, frozenset[Verdict]] = {
    "never": frozenset(),
    "dead": frozenset({"dead", "ours", "malformed"}),
    "reused": frozenset({"dead", "ours", "malformed", "reused"}),
}

_TURNS = 1000  # times that the file may change under our hands until we call it an attack


class PidLock(Value):
    """Where a pidfile is, how it is made, and from whom it may be taken over.

    Attributes:
        path: absolute, so that it stays the same file when a daemon changes to ``/``.
        mode: permission bits, 0600 to 0644, set whatever the umask is. Whoever may write to a
            pidfile aims the signals of the tools that read it.
        owner: uid the file is given to; None leaves it this process's. The same holds for it.
        group: gid the file is given to; None leaves it as it comes.
        timeout: seconds to wait for a holder to let go; 0 refuses at once.
        stale: what to do with a file that nobody has locked. ``"dead"``: taken over when the
            process it names has ended, is a zombie, or would be this very process, and when it
            has named none for two seconds. ``"reused"``: also when that process started after
            the file was written, so is another one with the same number. ``"never"``: not.

    Raises:
        SpecError: a field is out of its range.
    """

    path: str
    mode: int = PIDFILE_MODE
    owner: int | None = None
    group: int | None = None
    timeout: float = 0.0
    stale: StalePolicy = "reused"

    def __post_init__(self) -> None:
        """Check the fields' ranges."""
        if not os.path.isabs(self.path) or "\0" in self.path:
            raise SpecError("pidfile path", self.path, "must be an absolute path, without NUL")
        if self.mode & ~0o644 or self.mode & 0o600 != 0o600:
            raise SpecError("pidfile mode", f"{self.mode:04o}", "must be 0600, 0640, 0604 or 0644")
        if not 0 <= self.timeout < float("inf"):
            raise SpecError("pidfile timeout", self.timeout, "must be seconds, 0 or more")
        if self.stale not in _TAKEN_OVER:
            raise SpecError("pidfile stale", self.stale, f"must be one of {', '.join(_TAKEN_OVER)}")

    # --- Looking --------------------------------------------------------------------------------

    def status(self) -> PidfileStatus:
        """Tell who holds it: see `abdicate.process.pidstatus.status`."""
        return status(self.path)

    def holder(self) -> int | None:
        """Return the pid of the process that holds it; None where nobody does or it is unknown.

        For people to read. To signal it, `signal_holder`.
        """
        found = self.status()
        return found.pid if isinstance(found, HeldBy) else None

    def signal_holder(self, number: int) -> int:
        """Signal the holder: see `abdicate.process.pidstatus.signal_holder`."""
        return signal_holder(self.path, number, self.owner)

    # --- Taking ---------------------------------------------------------------------------------

    def acquire(self) -> HeldPidfile:
        """Take the lock, and write this process's pid.

        Waits for ``timeout`` seconds for a holder; some moments, whatever the timeout, for
        somebody who is just looking or taking over; and up to four seconds for a program that
        may be writing the file, until it has named no process for two.

        Returns:
            The held lock. It is held until it is released or the process ends; the object may
            be forgotten.

        Raises:
            PidfileHeld: another process holds it, or this one does. It is a `LockFailed`.
            LockFailed: it can't be made, or what is there can't be taken over safely.
            UnsupportedPlatformError: there is no flock(2) here.
        """
        patience = Patience(self.timeout)
        try:
            while True:
                found = self._attempt()
                if isinstance(found, HeldPidfile):
                    return found
                patience.wait(found)
        except OSError as error:
            raise explained(self.path, error) from error

    def create(self) -> HeldPidfile:
        """Take the lock where there is no file, and write this process's pid.

        Raises:
            OSError: the file can't be made; FileExistsError where there is one.
            UnsupportedPlatformError: there is no flock(2) here.
        """
        staged = self.stage()
        try:
            if staged.publish():
                return HeldPidfile(self, staged.file)
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), self.path)
        except BaseException:
            staged.discard()
            raise

    def remove_stale(self) -> None:
        """Remove the file, where `acquire` would take it over.

        Raises:
            PidfileHeld: a process holds it, or there is nothing but a doubt.
            LockFailed: it can't be removed, or what is there can't be judged safely.
            UnsupportedPlatformError: there is no flock(2) here.
        """
        patience = Patience(self.timeout)
        try:
            for _ in range(_TURNS):
                if not os.path.lexists(self.path):
                    return
                found = self._claim()
                if isinstance(found, LockFile):
                    try:
                        os.unlink(self.path)
                    finally:
                        found.close()
                    return
                if found is not None:
                    patience.wait(found)
        except OSError as error:
            raise explained(self.path, error) from error
        raise self._too_fast()

    def stage(self) -> StagedFile:
        """Make the private file that is to become the pidfile, locked: see `StagedFile`.

        Raises:
            OSError: it can't be made; nothing is left behind.
        """
        return StagedFile(self.path, self.mode, self.owner, self.group)

    def _attempt(self) -> HeldPidfile | Obstacle:
        staged = self.stage()
        try:
            obstacle = self._publish(staged)
            if obstacle is None:
                return HeldPidfile(self, staged.file)
        except BaseException:
            staged.discard()
            raise
        # Not kept while waiting: a process that is killed while it waits would leave it behind.
        staged.discard()
        return obstacle

    def _publish(self, staged: StagedFile) -> Obstacle | None:
        for _ in range(_TURNS):
            race_point("staged")
            if staged.publish():
                return None
            race_point("there is a file")
            found = self._claim()
            if isinstance(found, LockFile):
                try:
                    race_point("claimed")
                    staged.replace()
                    race_point("replaced")
                finally:
                    # Now, and not before: until the path has its new file, the old one's lock
                    # keeps everybody else from replacing it too.
                    found.close()
                sweep(os.path.dirname(self.path))
                return None
            if found is not None:
                return found
        return Obstacle(self._too_fast())

    def _too_fast(self) -> LockFailed:
        return LockFailed(f"pidfile {self.path} changes faster than it can be locked; see who does")

    def _claim(self) -> LockFile | Obstacle | None:
        """Lock the stale file at the path; None where the path has another file by now, or none."""
        file = open_existing(self.path, writable=True)
        if file is None:
            return None
        claimed = False
        try:
            refuse_stranger(self.path, file, self.owner)
            race_point("opened")
            if not file.try_lock():
                return locked(self.path, file)
            race_point("locked")
            # Its holder may have removed it between our open and our lock, and somebody else
            # made another: a lock on a file without a name holds nothing.
            if not file.is_at(self.path):
                return None
            # The content first: what is written after it makes the time later, and so younger.
            content = file.read()
            verdict = judge(content, os.fstat(file.fileno()).st_mtime)
            if verdict not in _TAKEN_OVER[self.stale]:
                return unlocked(self.path, content, verdict)
            claimed = True
            return file
        finally:
            if not claimed:
                file.close()
