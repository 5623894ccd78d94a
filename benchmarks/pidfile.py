"""Taking a pidfile and letting it go, on a file system in memory and on a disk."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator

from abdicate.process.pidlock import PidLock
from benchmarks.harness import AtMostTimes, Contest, Way, absent, installed, timed

__all__ = ["contests"]

_LIMIT = "the algorithm's system calls alone"
_OFTEN = 20  # a sample is the mean of so many


def contests(quick: bool) -> Iterator[Contest]:
    """Yield the rows: tmpfs, where there is one, and the disk that this is on."""
    rounds = 9 if quick else 31
    for kind, place in (("tmpfs", "/dev/shm"), ("disk", ".")):  # noqa: S108 - a folder below
        what = f"pidfile, acquire and release, {kind}"
        if not os.access(place, os.W_OK):
            yield Contest(what, absent("abdicate", f"no {place}"), [], None, 0)
            continue
        with tempfile.TemporaryDirectory(dir=place) as folder:
            yield Contest(what, *_ways(os.path.realpath(folder)), AtMostTimes(1.5, _LIMIT), rounds)


def _ways(folder: str) -> tuple[Way, list[Way]]:
    def path(name: str) -> str:
        return os.path.join(folder, f"{name}.pid")

    ours = PidLock(path("abdicate"))
    return _mean("abdicate", lambda: ours.acquire().release()), [
        _mean(_LIMIT, lambda: _calls(folder, path("calls"))),
        _peer("celery", "celery", lambda: _celery(path("celery"))),
        _peer("zc.lockfile", "zc.lockfile", lambda: _zc_lockfile(path("zc"))),
        _peer("filelock", "filelock", lambda: _filelock(path("filelock"))),
        _peer("pid", "pid", lambda: _pid(folder)),
    ]


def _mean(name: str, work: Callable[[], object]) -> Way:
    def often() -> None:
        for _ in range(_OFTEN):
            work()

    return Way(name, lambda: timed(often) / _OFTEN)


def _peer(name: str, package: str, make: Callable[[], Callable[[], object]]) -> Way:
    return _mean(name, make()) if installed(package) else absent(name)


def _calls(folder: str, path: str) -> None:
    """Make the calls that `PidLock` makes, and nothing else: no look at who may be trusted."""
    private = f"{folder}/.{os.urandom(8).hex()}"
    number = os.open(private, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    os.fstat(number)
    fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.write(number, b"%d\n" % os.getpid())
    os.fchmod(number, 0o644)
    os.link(private, path)
    os.unlink(private)
    # The release: it is the file that the path names.
    os.fstat(number)
    os.lstat(path)
    os.unlink(path)
    os.close(number)


def _celery(path: str) -> Callable[[], object]:
    from celery.platforms import Pidfile

    return lambda: Pidfile(path).acquire().release()


def _zc_lockfile(path: str) -> Callable[[], object]:
    from zc.lockfile import LockFile

    return lambda: LockFile(path).close()


def _filelock(path: str) -> Callable[[], object]:
    from filelock import FileLock

    def work() -> None:
        with FileLock(path):
            pass

    return work


def _pid(folder: str) -> Callable[[], object]:
    from pid import PidFile

    def work() -> None:
        with PidFile(
            "pid", piddir=folder, register_term_signal_handler=False, register_atexit=False
        ):
            pass

    return work
