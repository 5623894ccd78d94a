"""Whether the process that a pidfile names is running, as far as a number can tell.

A pid is a poor witness. It is used again, it counts anew in every pid namespace, and kill(2)
answers for a zombie. So this room is asked only about a file that *nobody has locked*, and what
it doesn't know it calls alive.
"""

from __future__ import annotations

import os
import sys
import time

from abdicate.errors import UnsupportedPlatformError
from abdicate.process.pidrecord import named_pid, parse
from abdicate.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal, TypeAlias

    StalePolicy: TypeAlias = Literal["never", "dead", "reused"]
    Verdict: TypeAlias = Literal["alive", "dead", "ours", "reused", "malformed", "unfinished"]

__all__ = ["SETTLING", "ProcessStat", "judge", "parse_stat", "process_stat", "runs", "started"]

SETTLING = 2.0
"""Seconds after which nobody is still writing a file: a program without locks creates it empty.

Also how much later than its file a process must have started to be another one. FAT rounds the
file's time down by up to 2 s, the kernel's coarse clock and ticks by some milliseconds.
"""

_ZOMBIE_STATES = "ZXx"  # proc_pid_stat(5): zombie, dead


class ProcessStat(Value):
    """What ``/proc/<pid>/stat`` says about being alive: proc_pid_stat(5).

    ``start`` is in clock ticks since boot.
    """

    state: str
    threads: int
    start: int

    @property
    def is_zombie(self) -> bool:
        """Whether it has ended. A first thread that ended before the others only looks so."""
        return self.state in _ZOMBIE_STATES and self.threads <= 1


def parse_stat(text: str) -> ProcessStat:
    """Read the text of ``/proc/<pid>/stat``.

    Raises:
        ValueError: if the fields aren't there.
    """
    # The second field is the program's name, and may hold blanks and parentheses of its own.
    fields = text.rpartition(")")[2].split()
    if len(fields) < 20:
        raise ValueError(f"/proc/<pid>/stat has {len(fields)} fields after the name, not 20")
    return ProcessStat(state=fields[0], threads=int(fields[17]), start=int(fields[19]))


def process_stat(pid: int) -> ProcessStat | None:
    """Read ``/proc/<pid>/stat``; None where it can't be read (hidepid, or no Linux)."""
    if sys.platform != "linux":
        return None
    try:
        # Bytes that no encoding explains may be in the name: prctl(2), PR_SET_NAME.
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return parse_stat(file.read())
    except (OSError, ValueError):
        return None


def started(stat: ProcessStat) -> float:
    """Return when the process started, in seconds since the epoch by the clock as it is now."""
    if sys.platform != "linux":
        raise UnsupportedPlatformError("when a process started is asked of Linux's /proc")
    # Not from btime in /proc/stat: containers and time namespaces fake it, the two clocks not.
    running = time.clock_gettime(time.CLOCK_BOOTTIME) - stat.start / os.sysconf("SC_CLK_TCK")
    return time.time() - running


def runs(pid: int) -> bool:
    """Tell whether there is a process *pid*, seen from here, that has not ended.

    EPERM is a live process of another user: kill(2).
    """
    if sys.platform == "win32":
        # There os.kill(pid, 0) is Ctrl+C.
        raise UnsupportedPlatformError("whether a process runs is asked of kill(2)")
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    stat = process_stat(pid)
    return stat is None or not stat.is_zombie


def judge(content: bytes, written: float) -> Verdict:
    """Tell what became of the process that an unlocked pidfile names.

    Args:
        content: the first bytes of the file.
        written: when it was last written, in seconds since the epoch.

    Returns:
        * ``"alive"``: there is such a process, and nothing says that it is another one;
        * ``"dead"``: there is none, or it is a zombie;
        * ``"ours"``: it is the number of this process, which holds no lock here: after a
          container's restart we are process 7 again;
        * ``"reused"``: there is one, and it started after the file was written;
        * ``"malformed"``: no process is named;
        * ``"unfinished"``: no process is named, and somebody may be writing just now.
    """
    pid = named_pid(content)
    # A file server's clock may be ahead of ours: a time in the future counts like the past.
    settled = abs(time.time() - written) > SETTLING
    if pid is None or (not settled and not _is_record(content)):
        return "malformed" if settled else "unfinished"
    if pid == os.getpid():
        return "ours"
    if not runs(pid):
        return "dead"
    stat = process_stat(pid)
    if stat is not None and started(stat) > written + SETTLING:
        return "reused"
    return "alive"


def _is_record(content: bytes) -> bool:
    # "12" may become "1234" and a newline in a moment.
    try:
        parse(content)
    except ValueError:
        return False
    return True
