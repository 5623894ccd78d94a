"""This process's open descriptors: listed, found by file, closed, sent to /dev/null.

Nothing here walks the numbers up to RLIMIT_NOFILE while there is another way: the limit may be
2^30, and says nothing of descriptors that were opened before it was lowered. Descriptors are
closed by range, listed by the descriptor directory, and only a process that has neither looks
at each number, and says so in a `SecurityWarning`.

Descriptors belong to the whole process. While other threads open and close them, what these
functions return is past already, and `close_open_fds` closes what the others use.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import warnings

from abdicate.errors import SecurityWarning
from abdicate.identity import native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from typing import Any

    from _typeshed import HasFileno, StrOrBytesPath

__all__ = [
    "close_open_fds",
    "fd_by_path",
    "fileno_of",
    "get_fdmax",
    "is_open",
    "isatty",
    "logging_descriptors",
    "occupy_standard_descriptors",
    "open_descriptors",
    "redirect_to_null",
]

_HIGHEST_NUMBER = 2**31 - 1  # a descriptor is an int
_TO_THE_END = 2**32 - 1  # close_range(2) takes unsigned ints; ~0U is "all above"
_DIRECTORIES = ("/proc/self/fd", "/dev/fd")

# Descriptors that _listing() takes at most: 0, 1 and 2, the directory, and listdir's copy of it.
_LISTING_TAKES = 5

# Where no limit is known: the most that Linux allows unless fs.nr_open was raised.
_USUAL_MOST = 2**20

# --- What a thing's descriptor is ---------------------------------------------------------------


def fileno_of(thing: Any) -> int | None:  # Any: asked for what it may not have
    """Return a thing's descriptor: of an int, itself; else what its ``fileno()`` returns.

    None where it has no ``fileno``, or ``fileno()`` raises ValueError: a file that was closed or
    is in memory only, or None itself, which is what ``sys.stdin`` is without a terminal.
    """
    if isinstance(thing, int):
        return thing
    try:
        number: int = thing.fileno()
    except (AttributeError, ValueError):
        return None
    return number


def isatty(fh: Any) -> bool | None:  # Any: asked for what it may not have
    """Return ``fh.isatty()``; None where it has none, and False for a file that was closed."""
    try:
        answer: bool = fh.isatty()
    except AttributeError:
        return None
    except ValueError:
        return False
    return answer


# --- Listing and finding ------------------------------------------------------------------------


def get_fdmax(default: int | None = None) -> int | None:
    """Return how many descriptors this process may have open: the soft limit, sysconf(3).

    Descriptors with higher numbers may be open nevertheless, from before the limit was lowered.

    Args:
        default: what to return where there is no limit.
    """
    if sys.platform != "win32":
        most = os.sysconf("SC_OPEN_MAX")
        if most >= 0:  # -1: no limit
            return most
    return default


def is_open(number: int) -> bool:
    """Tell whether a descriptor is open: fcntl(2), F_GETFD.

    The number is asked for, not the file: one on a server that is gone doesn't block.
    """
    try:
        os.get_inheritable(number)
    except (OSError, OverflowError):
        return False
    return True


def open_descriptors() -> list[int]:
    """Return the numbers of all open descriptors, in ascending order.

    Warns:
        SecurityWarning: there is no descriptor directory to read (or no descriptor free to read
            it with): each number up to the hard limit was looked at, and what is open above it,
            from before it was lowered, was not seen.
    """
    return sorted(number for number in _perhaps_open() if is_open(number))


def fd_by_path(paths: Iterable[StrOrBytesPath]) -> list[int]:
    """Return the open descriptors that refer to the given files, in ascending order.

    The files are compared by device and inode, symlinks followed; they are not opened, so that
    a FIFO doesn't block, a device doesn't act, and no permission to read is needed. Files that
    are missing or out of reach are passed over.

    Warns:
        SecurityWarning: as `open_descriptors`.
    """
    # fspath, because os.stat would take a number for a descriptor.
    wanted = {_inode(os.fspath(path)) for path in paths} - {None}
    if not wanted:
        return []
    return sorted(number for number in _perhaps_open() if _inode(number) in wanted)


def logging_descriptors() -> list[int]:
    """Return the descriptors that handlers of `logging` write to: files, streams and sockets.

    Closed under its owner, a log's number is given to the next file opened, and the log goes
    there. `logging` is not imported: where nothing else has, there is no handler either.
    """
    logging = sys.modules.get("logging")
    numbers: set[int | None] = set()
    # Weak references to all handlers, by which logging.shutdown() finds them; the loggers know
    # only those that were added to one, not the target of a MemoryHandler.
    for reference in list(getattr(logging, "_handlerList", ())):
        handler = reference()
        for attribute in ("stream", "sock", "socket"):
            numbers.add(fileno_of(getattr(handler, attribute, None)))
    return sorted(number for number in numbers if number is not None and number >= 0)


def _inode(target: str | bytes | int) -> tuple[int, int] | None:
    try:
        found = os.stat(target)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _perhaps_open() -> Iterable[int]:
    """Return every open number, and some that are closed again: those that the listing took."""
    for directory in _DIRECTORIES:
        numbers = _listing(directory)
        if numbers is not None:
            return numbers
    limit = _hard_limit()
    warnings.warn(
        f"no descriptor directory can be read ({' or '.join(_DIRECTORIES)}): looking at each"
        f" number below {limit}; a descriptor above it, if one is open, is not seen",
        SecurityWarning,
        stacklevel=3,
    )
    return range(limit)


def _listing(directory: str) -> list[int] | None:
    try:
        own = os.open(directory, os.O_RDONLY)
    except OSError:
        return None
    try:
        if own <= 2:
            # Without fdescfs(5), FreeBSD's /dev/fd has 0, 1 and 2 and no other: they prove
            # nothing. Keep this one, and look through a higher one.
            return _listing(directory)
        numbers = [int(name) for name in os.listdir(directory)]
    except OSError:
        return None
    finally:
        os.close(own)
    return numbers if own in numbers else None


def _hard_limit() -> int:
    if sys.platform == "win32":
        return 8192  # the most that _setmaxstdio() gives
    else:  # noqa: RET505 - or mypy takes what follows for unreachable there
        try:
            import resource
        except (ImportError, OSError):
            # Its file is out of reach in a chroot, or there is no descriptor to read it with.
            return _USUAL_MOST
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        return _USUAL_MOST if hard == resource.RLIM_INFINITY else hard


# --- Closing ------------------------------------------------------------------------------------


def close_open_fds(keep: Iterable[int | HasFileno | None] | None = None) -> None:
    """Close every open descriptor except those in *keep*.

    close_range(2) closes the gaps between what is kept, in one call each, whatever the limits
    are. Where the kernel, a seccomp filter or the C library doesn't have it, the numbers in the
    descriptor directory are closed one by one; and where that can't be read either, every number
    up to the hard limit. Errors of closing are ignored: the descriptor is gone all the same.

    The first use imports ctypes: after a chroot or a drop that puts Python's files out of reach
    it must have been imported before, or the descriptor directory is used.

    Libraries hold descriptors too: of what the process is to go on using, keep
    `logging_descriptors`, and `fd_by_path` of files such as /dev/urandom.

    File objects that are still around will fail with EBADF, and close whatever has their number
    by then when they are collected. Call this in a process that is all your own.

    Args:
        keep: numbers, and things with a ``fileno()``. What has no descriptor is passed over
            (see `fileno_of`).

    Warns:
        SecurityWarning: every number up to the hard limit was closed; what is open above it,
            from before it was lowered, still is.
    """
    numbers = {fileno_of(thing) for thing in keep or ()}
    kept = {number for number in numbers if number is not None and 0 <= number <= _HIGHEST_NUMBER}
    close_range = _close_range()
    if close_range is None or not all(close_range(low, high) for low, high in _gaps(kept)):
        _close_listed(kept)


def _gaps(kept: Collection[int]) -> Iterator[tuple[int, int]]:
    """Yield the ranges between the kept numbers, both ends included, the last without an end."""
    low = 0
    for number in sorted(kept):
        if low < number:
            yield low, number - 1
        low = number + 1
    yield low, _TO_THE_END


def _close_range() -> Callable[[int, int], bool] | None:
    """Return close_range(2), telling whether it worked; None where there is none.

    os.closerange() is built on it too, but doesn't tell: refused, it closes each number of the
    range instead, which takes minutes for 2^30 of them.
    """
    try:
        import ctypes

        function = native.libc().close_range
    except (ImportError, OSError, AttributeError, TypeError):
        # OSError: the table of descriptors is full, so that no module can be opened.
        # TypeError: on Windows, a library has to have a name.
        return None
    if not function.argtypes:
        function.argtypes = (ctypes.c_uint, ctypes.c_uint, ctypes.c_int)
    return lambda low, high: function(low, high, 0) == 0


def _close_listed(kept: Collection[int]) -> None:
    # Listing needs free numbers, and a full table has none. The lowest that aren't kept will be
    # free, whether or not they are open now.
    unkept = (number for number in range(len(kept) + _LISTING_TAKES) if number not in kept)
    for _, number in zip(range(_LISTING_TAKES), unkept, strict=False):
        _close(number)
    for number in _perhaps_open():
        if number not in kept:
            _close(number)


def _close(number: int) -> None:
    try:
        os.close(number)
    except OSError:
        # EBADF: it wasn't open. EIO, EINTR: it is closed all the same (close(2)).
        return


# --- Standard input, output and error -----------------------------------------------------------


def redirect_to_null(*numbers: int) -> None:
    """Make each of the descriptors refer to the null device, for reading and writing.

    They are inherited by programs that this process executes. No other descriptor stays open.

    Raises:
        OSError: the null device can't be opened, or something else is in its place (ENODEV);
            no descriptor has changed. In a chroot, it needs a /dev/null of its own.
    """
    null = os.open(os.devnull, os.O_RDWR)
    try:
        if not stat.S_ISCHR(os.fstat(null).st_mode):
            # A plain file would collect what a daemon prints until the disk is full.
            raise OSError(errno.ENODEV, "not a device", os.devnull)
        for number in numbers:
            if number != null:
                os.dup2(null, number)
    except BaseException:
        os.close(null)
        raise
    # Where 0, 1 or 2 was closed, the device was opened there: it is what was asked for already.
    if null in numbers:
        os.set_inheritable(null, True)
    else:
        os.close(null)


def occupy_standard_descriptors() -> list[int]:
    """Open the null device on each of 0, 1 and 2 that is closed; return which were.

    A process may be started with them closed. The next file that it opens, a database perhaps,
    is then its standard output, and gets what anything prints.

    Raises:
        OSError: as `redirect_to_null`.
    """
    closed = [number for number in (0, 1, 2) if not is_open(number)]
    if closed:
        redirect_to_null(*closed)
    return closed
