"""Calls that close every descriptor, or leave their process behind: made in processes of their own.

The result comes back through shared memory, which survives both.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import pickle
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

__all__ = ["aside", "started"]

_ROOM = 1 << 16  # bytes of a result
_SIZE = 4  # bytes of its length
_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


class _Result:
    """A place for one result, that this process shares with its children."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _ROOM)

    def put(self, value: object) -> None:
        data = pickle.dumps(value)
        self._memory[_SIZE : _SIZE + len(data)] = data
        self._memory[:_SIZE] = len(data).to_bytes(_SIZE, "big")

    def get(self) -> object:
        size = int.from_bytes(self._memory[:_SIZE], "big")
        value: object = pickle.loads(self._memory[_SIZE : _SIZE + size]) if size else None
        return value


def aside(function: Callable[[], object]) -> object:
    """Return what *function* returns in a child of this process, or raise what it raises."""
    result = _Result()
    pid = os.fork()
    if pid == 0:
        try:
            result.put(function())
        except Exception as error:
            result.put(error)
        finally:
            os._exit(0)
    _wait_for(pid)
    value = result.get()
    if isinstance(value, Exception):
        raise value
    return value


def started(start: Callable[[], object], report: Callable[[], object]) -> tuple[int, bool, object]:
    """Start a daemon from a terminal, and wait until nothing of it is left.

    Args:
        start: returns in the daemon.
        report: what to do there.

    Returns:
        The exit status that the terminal sees; whether it was told anything; and what *report*
        returned, None where it never came to that.
    """
    # Orphans become this process's children, so that it can wait for the daemon.
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    result, terminal = _Result(), os.memfd_create("terminal")
    pid = os.fork()
    if pid == 0:
        _sit_at(terminal)
        _be_the_program(result, start, report)
    status = _wait_for(pid)
    _wait_for_all()
    told = os.fstat(terminal).st_size > 0
    os.close(terminal)
    return status, told, result.get()


def _be_the_program(
    result: _Result, start: Callable[[], object], report: Callable[[], object]
) -> NoReturn:
    status = 1
    try:
        start()
        result.put(report())
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(status)


def _sit_at(terminal: int) -> None:
    """Have a terminal: nothing to read, and what is printed is seen at once."""
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(terminal, 1)
    os.dup2(terminal, 2)
    sys.stdin = os.fdopen(0)
    sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)


def _wait_for(pid: int) -> int:
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def _wait_for_all() -> None:
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return
