"""Closing and finding descriptors: it must not get slower with the limit."""

from __future__ import annotations

import ctypes
import os
import resource
import statistics
from collections.abc import Callable, Iterator

from abdicate.process.descriptors import close_open_fds, fd_by_path
from benchmarks.harness import (
    ANSWER_DESCRIPTOR,
    AtMostTimes,
    Contest,
    Way,
    in_child,
    timed,
)
from benchmarks.peers import in_child_where, with_old_celery

__all__ = ["contests"]

_KEPT = [0, 1, 2, ANSWER_DESCRIPTOR]
_ONE_CALL = "one close_range call"
_PYTHON_DAEMON = "python-daemon"


def contests(quick: bool) -> Iterator[Contest]:
    """Yield the rows: closing at two limits, and finding among few and many."""
    rounds = 5 if quick else 21
    few, most = 1024, _most()
    for limit in (few, most):
        yield _closing(limit, few, rounds)
    for count in (10, 1000):
        yield Contest(
            f"fd_by_path, {count:,} open",
            _finding("abdicate", lambda: fd_by_path, count),
            [
                _finding("celery 5.7", _celerys_fd_by_path, count, "celery"),
                _finding("fstat of each", _fstat_of_each, count),
            ],
            AtMostTimes(1, "celery 5.7"),
            rounds,
        )


def _most() -> int:
    """Return the highest limit that a child of this process may have."""
    with open("/proc/sys/fs/nr_open", encoding="ascii") as file:
        most = int(file.read())

    def attempt() -> float:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        except (ValueError, PermissionError):
            return _hard()
        return most

    return int(in_child(attempt))


def _closing(limit: int, few: int, rounds: int) -> Contest:
    others = [
        _closes(_ONE_CALL, _one_call, limit),
        _closes("celery 5.7", _celerys_close, limit, "celery"),
        with_old_celery("celery 5.6", lambda: _sample(_celerys_close, limit, once=True)),
        # One number after the other: once has to do.
        in_child_where(
            _PYTHON_DAEMON, lambda: _sample(_python_daemons_close, limit, once=True), _PYTHON_DAEMON
        ),
    ]
    if limit != few:
        others.append(_closes(f"abdicate at {few:,}", _our_close, few))
    return Contest(
        f"close_open_fds, 10 open, limit {limit:,}",
        _closes("abdicate", _our_close, limit),
        others,
        AtMostTimes(2, _ONE_CALL),
        rounds,
    )


def _closes(name: str, prepare: Callable[[], Callable[[], object]], limit: int, *needs: str) -> Way:
    return in_child_where(name, lambda: _sample(prepare, limit), *needs)


def _sample(
    prepare: Callable[[], Callable[[], object]], limit: int, *, once: bool = False
) -> float:
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, max(limit, _hard())))
    work = prepare()
    taken = []
    for _ in range(1 if once else 15):
        for _ in range(10):
            os.open(os.devnull, os.O_RDONLY)
        taken.append(timed(work))
    return statistics.median(taken)


def _hard() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def _our_close() -> Callable[[], object]:
    return lambda: close_open_fds(_KEPT)


def _one_call() -> Callable[[], object]:
    close_range = ctypes.CDLL(None).close_range
    close_range.argtypes = (ctypes.c_uint, ctypes.c_uint, ctypes.c_int)
    return lambda: close_range(ANSWER_DESCRIPTOR + 1, 2**32 - 1, 0)


def _celerys_close() -> Callable[[], object]:
    from celery.platforms import close_open_fds as celerys

    return lambda: celerys(_KEPT)


def _python_daemons_close() -> Callable[[], object]:
    from daemon.daemon import close_all_open_files

    return lambda: close_all_open_files(exclude=set(_KEPT))


def _finding(
    name: str,
    prepare: Callable[[], Callable[[list[str]], object]],
    count: int,
    *needs: str,
) -> Way:
    def sample() -> float:
        if _hard() > 2000:
            resource.setrlimit(resource.RLIMIT_NOFILE, (2000, _hard()))
        find = prepare()
        for _ in range(count - 1 - len(os.listdir("/proc/self/fd"))):
            os.open(os.devnull, os.O_RDONLY)
        wanted = os.open("/dev/urandom", os.O_RDONLY)
        found = find(["/dev/urandom"])
        assert not isinstance(found, list) or wanted in found
        return statistics.median(timed(lambda: find(["/dev/urandom"])) for _ in range(9))

    return in_child_where(name, sample, *needs)


def _celerys_fd_by_path() -> Callable[[list[str]], object]:
    from celery.platforms import fd_by_path as celerys

    return lambda paths: celerys(paths)


def _fstat_of_each() -> Callable[[list[str]], object]:
    def look(_paths: list[str]) -> None:
        for name in os.listdir("/proc/self/fd"):
            try:
                os.fstat(int(name))
            except OSError:
                continue  # the listing's own

    return look
