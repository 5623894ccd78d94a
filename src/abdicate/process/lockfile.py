"""An open file that carries a lock of this process, and of no child of it.

flock(2), because a POSIX lock vanishes when the process closes *any* descriptor of that file,
its own look at the pidfile included (fcntl(2), "Record locks"). But an flock belongs to the
open file, which fork(2) shares: a forked child would go on holding the lock of a holder that
died. So every file that is opened here is closed again in forked children, by one handler for
all of them; only `LockFile.share` makes an exception, for handing a lock over.

Children of a C library's own fork(), which tells Python nothing, keep the file open.
"""

from __future__ import annotations

import os
import stat
import sys
from _thread import RLock

from abdicate.errors import LockFailed, UnsupportedPlatformError
from abdicate.process.pidrecord import LONGEST

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]  # there is no way to say "a module or None"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["NO_FLOCK", "LockFile", "open_existing", "race_point", "refuse_stranger"]

NO_FLOCK = "pidfiles are locked with flock(2), which this platform doesn't have"
"""Why `UnsupportedPlatformError` is raised."""

# Held while a file is opened and while any thread forks, so that no child is made between a
# descriptor's birth and its entry below. Reentrant, for a signal handler that forks.
_guard = RLock()
_open_here: set[LockFile] = set()
_watching = False


def _go_on(_place: str) -> None:
    """Do nothing."""


# The stress test waits here, to lose every race; others let somebody act.
_at_race_point: Callable[[str], None] = _go_on


def race_point(place: str) -> None:
    """Name a place between two system calls, where other processes may come first."""
    _at_race_point(place)


class LockFile:
    """A file that this process opened to lock it, or to look who has.

    Attributes:
        identity: device and inode, which no other file has while this one is open.
    """

    __slots__ = ("_number", "_shared", "identity")

    _number: int
    _shared: bool
    identity: tuple[int, int]

    def __init__(self, path: str, flags: int, mode: int = 0o600) -> None:
        """Open *path*, never through a symbolic link and never waiting: open(2).

        Raises:
            OSError: as open(2); ELOOP for a symbolic link.
            UnsupportedPlatformError: there is no flock(2) here.
        """
        if sys.platform == "win32" or fcntl is None:
            raise UnsupportedPlatformError(NO_FLOCK)
        # NONBLOCK: a FIFO would make open(2) wait for its other end. NOCTTY: a terminal that
        # stands in the way must not become ours.
        flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
        with _guard:
            _watch_forks()
            self._number = _above_standard(os.open(path, flags, mode))
            found = os.fstat(self._number)
            self.identity = (found.st_dev, found.st_ino)
            self._shared = False
            _open_here.add(self)

    def fileno(self) -> int:
        """Return the descriptor; ValueError where this process has closed it, as files do."""
        if not self.is_open:
            raise ValueError("the lock's descriptor is closed in this process")
        return self._number

    @property
    def is_open(self) -> bool:
        """Whether this process has it open, by its own account."""
        return self in _open_here

    def has_twin(self) -> bool:
        """Tell whether this process has the same file open once more."""
        others = tuple(_open_here)
        return any(other is not self and other.identity == self.identity for other in others)

    def stat(self) -> os.stat_result | None:
        """Return fstat(2) of it, or None where the descriptor is not this file's any more.

        Programs that close all descriptors close this one too, and its number is given out anew.
        """
        if not self.is_open:
            return None
        try:
            found = os.fstat(self._number)
        except OSError:
            return None
        return found if _same_file(found, self.identity) else None

    def is_at(self, path: str) -> bool:
        """Tell whether *path* names this file now; not, where *path* can't be looked at."""
        try:
            return self.stat() is not None and _same_file(os.lstat(path), self.identity)
        except OSError:
            return False

    def try_lock(self, *, shared: bool = False) -> bool:
        """Take the lock, or make sure of it; False where another open file has it: flock(2).

        Raises:
            OSError: it can't be locked at all: ENOLCK, ENOTSUP; EBADF on NFS when not writable.
        """
        if sys.platform == "win32" or fcntl is None:
            raise UnsupportedPlatformError(NO_FLOCK)
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(self._number, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def read(self) -> bytes:
        """Return its first `LONGEST` bytes."""
        if sys.platform == "win32":
            raise UnsupportedPlatformError(NO_FLOCK)
        return os.pread(self._number, LONGEST, 0)

    def share(self, shared: bool) -> None:
        """Keep it open in children forked from now on, or no longer."""
        self._shared = shared

    def close(self) -> None:
        """Close it, and with its last copy give up the lock. Again is nothing.

        Never LOCK_UN: that takes the lock from every process that shares the open file.
        """
        number = self._number if self.stat() is not None else None
        try:
            # One of two threads that come here at once gets past this line.
            _open_here.remove(self)
        except KeyError:
            return
        if number is not None:
            os.close(number)

    def close_in_child(self) -> None:
        """Close it in a child that was just forked, unless it is shared."""
        if not self._shared:
            self.close()


def _above_standard(number: int) -> int:
    # A process started without its standard output would print into the pidfile.
    if sys.platform == "win32" or fcntl is None or number > 2:
        return number
    try:
        return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(number)


def open_existing(path: str, *, writable: bool) -> LockFile | None:
    """Open the regular file at *path*, or return None where there is nothing, or no more.

    Args:
        path: where it is.
        writable: open it for writing too, where that is permitted: NFS locks no other file
            exclusively. Nothing is ever written to it.

    Raises:
        LockFailed: something else than a regular file is there. It was not opened: opening
            some devices has effects, a watchdog begins to count.
        OSError: as open(2).
    """
    try:
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode):
            raise LockFailed(
                f"pidfile {path} is {_kind(found.st_mode)}, not a regular file: it is left alone;"
                " remove it, or use another pidfile"
            )
        file = _open_as_permitted(path) if writable else LockFile(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    if not _same_file(found, file.identity):
        file.close()
        return None
    return file


def _open_as_permitted(path: str) -> LockFile:
    # Without O_CREAT: fs.protected_regular refuses that on another's file in a sticky directory.
    try:
        return LockFile(path, os.O_RDWR)
    except PermissionError:
        return LockFile(path, os.O_RDONLY)


def refuse_stranger(path: str, file: LockFile, owner: int | None = None) -> None:
    """Refuse a file of a user who could not have replaced it and had no business to make it.

    Trusted are root, this process's user, *owner*, and whoever owns the directory, because
    they may do as they like in it.

    Raises:
        LockFailed: it belongs to somebody else.
        OSError: as stat(2), of the directory.
    """
    if sys.platform == "win32":
        raise UnsupportedPlatformError(NO_FLOCK)
    uid = os.fstat(file.fileno()).st_uid
    if uid in (0, os.geteuid(), owner) or uid == os.stat(os.path.dirname(path)).st_uid:
        return
    raise LockFailed(
        f"pidfile {path} belongs to uid {uid}, whom nothing makes trustworthy: not root, not this"
        " process's user, not the owner asked for, not the owner of the directory; see who made"
        " it, and remove it"
    )


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFLNK: "a symbolic link",
        stat.S_IFDIR: "a directory",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return kinds.get(stat.S_IFMT(mode), "something else")


def _same_file(found: os.stat_result, identity: tuple[int, int]) -> bool:
    return (found.st_dev, found.st_ino) == identity


def _watch_forks() -> None:
    # Once, and not at import: a handler can't be taken away again.
    global _watching
    if sys.platform == "win32" or _watching:
        return
    _watching = True
    os.register_at_fork(
        before=_guard.acquire,
        after_in_parent=_guard.release,
        after_in_child=_close_in_child,
    )


def _close_in_child() -> None:
    try:
        for file in tuple(_open_here):
            file.close_in_child()
    finally:
        _guard.release()
