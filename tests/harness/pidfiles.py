"""What the pidfile tests stand on: files as others leave them, processes to name in them."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from abdicate.process.pidlock import PidLock
from harness.child import held_child, in_child

T = TypeVar("T")

NOBODY = 65534
#: PID_MAX_LIMIT of Linux: there can be no such process.
DEAD_PID = 4194304


def leave(path: str, content: bytes, *, age: float = 0.0) -> None:
    """Make the file that a program without locks wrote *age* seconds ago."""
    with open(path, "wb") as file:
        file.write(content)
    written = time.time() - age
    os.utime(path, (written, written))


def read(path: str) -> bytes:
    """Return all of a file."""
    with open(path, "rb") as file:
        return file.read()


@contextlib.contextmanager
def running() -> Iterator[int]:
    """A process that runs while the block does; its pid."""
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)
        while True:
            signal.pause()
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@contextlib.contextmanager
def holder(path: str) -> Iterator[int]:
    """A process that holds the pidfile, and is killed at the end; its pid."""

    def hold() -> None:
        PidLock(path).acquire()

    with held_child(hold) as child:
        assert child.value is None
        yield child.pid


@contextlib.contextmanager
def zombie() -> Iterator[int]:
    """A process that has ended, and that nobody has waited for; its pid."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    try:
        yield pid
    finally:
        os.waitpid(pid, 0)


def become_nobody() -> None:
    """Give up root, in a child; an ordinary user stays who it is."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)


def as_ordinary_user(function: Callable[[], T]) -> T:
    """Return what *function* returns in a child that is not root."""

    def dropped() -> T:
        become_nobody()
        return function()

    return in_child(dropped)
