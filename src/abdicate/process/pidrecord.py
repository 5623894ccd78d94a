"""What a pidfile says: the decimal pid and a newline, and nothing else.

Every program that reads pidfiles reads that (``int(f.read())``, ``kill $(cat f)``), so there is
no room in it for a second line, a start time or a host. This module is pure: it knows bytes and
numbers, not files, not processes.
"""

from __future__ import annotations

from abdicate.errors import SpecError

__all__ = ["HIGHEST_PID", "LONGEST", "encode", "named_pid", "parse"]

HIGHEST_PID = 2**31 - 1
"""The highest number a pid_t holds. Linux gives out at most 2^22 (proc(5), pid_max)."""

LONGEST = 32
"""Bytes worth reading of a pidfile; a record has 11 at most. The rest may be 3 GiB of holes."""


def encode(pid: int) -> bytes:
    """Return the record for *pid*, 1 to `HIGHEST_PID`.

    Raises:
        SpecError: if there can be no such process.
    """
    if not 1 <= pid <= HIGHEST_PID:
        raise SpecError("pid", pid, f"a pid is a number from 1 to {HIGHEST_PID}")
    return b"%d\n" % pid


def parse(content: bytes) -> int:
    """Return the pid in *content*, the first `LONGEST` bytes of a pidfile, read strictly.

    Zero and negative numbers are refused with the rest: to kill(2) they are process groups,
    and -1 is everybody.

    Raises:
        SpecError: if it is anything but a record. It is a `ValueError`.
    """
    pid = _number(content[:-1]) if content.endswith(b"\n") else None
    if pid is None:
        raise SpecError(
            "pidfile content",
            content,
            f"it must be a process id from 1 to {HIGHEST_PID} in decimal and a newline",
        )
    return pid


def named_pid(content: bytes) -> int | None:
    """Return the pid that *content* seems to mean, or None; read as generously as is safe.

    For one question only: whose file would be taken away? A program that writes no newline, or
    its parameters below its pid, may be running, and its file is not a record to `parse`.
    """
    words = content.split(None, 1)
    return _number(words[0]) if words else None


def _number(digits: bytes) -> int | None:
    # By length first: int() of a long text takes quadratic time. isdigit() of bytes is ASCII's.
    if not digits.isdigit() or len(digits) > len(str(HIGHEST_PID)) or digits[:1] == b"0":
        return None
    pid = int(digits)
    return pid if pid <= HIGHEST_PID else None
