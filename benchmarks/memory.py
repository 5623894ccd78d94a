"""Resident memory of a daemon that has its pidfile, has dropped, and waits."""

from __future__ import annotations

import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterator

from benchmarks.harness import BARE, AtMostTimes, Contest, Way, absent, installed, plain_environment

__all__ = ["contests"]

# Each stops itself, which its parent sees; what is stopped is measured.
_STOP = "; import os, signal; os.kill(os.getpid(), signal.SIGSTOP)"
_DAEMON = (
    "from {0}.platforms import create_pidlock, maybe_drop_privileges, DaemonContext, signals; "
    "create_pidlock({1!r}); maybe_drop_privileges({2!r}); DaemonContext(fake=True).open(); "
    "signals.ignore('SIGHUP')"
)


def contests(quick: bool) -> Iterator[Contest]:
    """Yield the rows: all of it, and what no other process shares."""
    user = "nobody" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory() as folder:
        for what, key in (("resident memory", "Rss"), ("the same, its private part", "Private_")):
            yield Contest(
                f"{what} of a daemon that uses only the function API",
                _way("abdicate", _program("abdicate", folder, user), key),
                [
                    _way(BARE, "pass", key),
                    _way("with ctypes", "import ctypes; ctypes.CDLL(None)", key),
                    _way("celery", _program("celery", folder, user), key)
                    if installed("celery")
                    else absent("celery"),
                ],
                AtMostTimes(1.2, BARE) if key == "Rss" else None,
                5 if quick else 15,
                unit="B",
            )


def _program(package: str, folder: str, user: str | None) -> str:
    return _DAEMON.format(package, os.path.join(folder, f"{package}.pid"), user)


def _way(name: str, program: str, key: str) -> Way:
    return Way(name, lambda: _memory(program + _STOP, key))


def _memory(program: str, key: str) -> float:
    words = [sys.executable, "-c", program]
    child = os.posix_spawn(sys.executable, words, plain_environment())
    try:
        _, status = os.waitpid(child, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            raise RuntimeError(f"{program} ended with {status}")
        with open(f"/proc/{child}/smaps_rollup", encoding="ascii") as file:
            found = re.findall(rf"^{key}\w*: +(\d+) kB$", file.read(), re.MULTILINE)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return sum(map(int, found)) * 1024
