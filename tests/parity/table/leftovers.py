"""What is at the path of a pidfile before it is asked for."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Callable

from drops import raw
from harness.pidfiles import DEAD_PID, leave
from parity.case import PIDFILE

__all__ = [
    "AGE",
    "a_dangling_link",
    "a_directory",
    "a_fifo",
    "a_hard_link",
    "a_link",
    "a_link_to_itself",
    "empty",
    "everybody",
    "garbage",
    "huge",
    "locked_from_another_namespace",
    "of_a_dead_process",
    "of_a_running_process",
    "of_a_stranger",
    "of_a_stranger_in_a_sticky_directory",
    "of_a_zombie",
    "unreadable",
    "with_a_reused_pid",
    "with_our_pid",
    "zero",
]

AGE = 60.0
"""Seconds: nobody is still writing a file of that age."""

_YEARS = 10 * 365 * 86400.0  # longer than this machine has been running


def _holds(content: bytes, name: str, *, age: float = AGE) -> Callable[[], None]:
    def given() -> None:
        leave(PIDFILE, content, age=age)

    given.__name__ = name
    return given


of_a_dead_process = _holds(b"%d\n" % DEAD_PID, "of_a_dead_process")
empty = _holds(b"", "empty")
garbage = _holds(b"no pid\n", "garbage")
zero = _holds(b"0\n", "pid_0")
everybody = _holds(b"-1\n", "pid_-1")
huge = _holds(b"9" * 30 + b"\n", "a_huge_number")


def of_a_running_process() -> None:
    """The file of a process without a lock."""
    leave(PIDFILE, b"%d\n" % os.getppid())


def with_a_reused_pid() -> None:
    """The file of a process whose number another one has by now."""
    leave(PIDFILE, b"%d\n" % os.getppid(), age=_YEARS)


def with_our_pid() -> None:
    """The file that the container's last process 7 left to the next."""
    leave(PIDFILE, b"%d\n" % os.getpid(), age=AGE)


def of_a_zombie() -> None:
    """The file of a process that has ended, and that nobody has waited for."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    leave(PIDFILE, b"%d\n" % pid)


def locked_from_another_namespace() -> None:
    """A file whose holder's number is nobody's here: the lock alone is true."""
    of_a_dead_process()
    ready, tell = os.pipe()
    if os.fork() == 0:
        raw.set_parent_death_signal(signal.SIGKILL)
        file = os.open(PIDFILE, os.O_RDWR)
        fcntl.flock(file, fcntl.LOCK_EX)
        os.dup2(file, 0)
        os.write(tell, b"!")
        # Also the pipe in which the test waits for the end of the case.
        os.closerange(1, 1 << 14)
        signal.pause()
    os.read(ready, 1)


def of_a_stranger() -> None:
    """The file of a dead process of games, who is neither root nor the directory's owner."""
    of_a_dead_process()
    os.chown(PIDFILE, 5, 60)


def of_a_stranger_in_a_sticky_directory() -> None:
    """The same, where only its owner may remove it."""
    of_a_stranger()
    os.chmod(".", 0o1777)


def a_directory() -> None:
    os.mkdir(PIDFILE)


def a_fifo() -> None:
    os.mkfifo(PIDFILE)


def a_link() -> None:
    of_a_dead_process()
    os.rename(PIDFILE, "other.pid")
    os.symlink("other.pid", PIDFILE)


def a_dangling_link() -> None:
    os.symlink("nowhere", PIDFILE)


def a_link_to_itself() -> None:
    os.symlink(PIDFILE, PIDFILE)


def a_hard_link() -> None:
    of_a_dead_process()
    os.link(PIDFILE, "other.pid")


def unreadable() -> None:
    of_a_dead_process()
    os.chmod(PIDFILE, 0)
