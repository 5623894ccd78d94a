"""From the start to a daemon that is ready, and a starter that has returned."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator

from abdicate.process.context import DaemonContext
from abdicate.process.daemon import Daemon
from benchmarks.harness import AtMostTimes, Contest, Way, absent, installed

__all__ = ["contests"]


def contests(quick: bool) -> Iterator[Contest]:
    """Yield the row."""
    with tempfile.TemporaryDirectory() as folder:
        fifo = os.path.join(folder, "ready")
        os.mkfifo(fifo)
        yield Contest(
            "daemon, start to ready, the starter returned",
            _way("abdicate", Daemon().start, fifo),
            [
                _way("abdicate.platforms.DaemonContext", DaemonContext().open, fifo),
                _peer("python-daemon", "python-daemon", _python_daemon, fifo),
                _peer("celery", "celery", _celery, fifo),
                _way("two forks and a setsid", _two_forks, fifo),
            ],
            AtMostTimes(1, "python-daemon"),
            11 if quick else 41,
        )


def _way(name: str, become: Callable[[], object], fifo: str) -> Way:
    return Way(name, lambda: _start(become, fifo))


def _peer(name: str, package: str, prepare: Callable[[], Callable[[], object]], fifo: str) -> Way:
    return _way(name, prepare(), fifo) if installed(package) else absent(name)


def _start(become: Callable[[], object], fifo: str) -> float:
    # Read and write: no end of file while nobody has it open to write.
    with open(fifo, "r+b", buffering=0) as ready:
        begun = time.perf_counter()
        starter = os.fork()
        if starter == 0:
            status = 1
            try:
                become()
                # By its name: the peers close what they were not told of.
                with open(fifo, "wb", buffering=0) as answer:
                    answer.write(b".")
                status = 0
            finally:
                os._exit(status)
        _, status = os.waitpid(starter, 0)
        if status:
            raise RuntimeError(f"the starter ended with {os.waitstatus_to_exitcode(status)}")
        ready.read(1)
        return time.perf_counter() - begun


def _python_daemon() -> Callable[[], object]:
    from daemon.daemon import DaemonContext as Context

    return lambda: Context(umask=0o022, detach_process=True).open()


def _celery() -> Callable[[], object]:
    from celery.platforms import DaemonContext as Context

    return lambda: Context(umask=0o022).open()


def _two_forks() -> None:
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
