"""SIGKILL between any two system calls: nothing is lost, and the next one gets the lock.

A child is traced, does the real thing, and is killed by strace as it enters its Nth system call.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from abdicate.errors import LockFailed
from abdicate.process.pidlock import PidLock
from harness.pidfiles import DEAD_PID, leave, read

pytestmark = pytest.mark.needs("linux", "strace")

_CALLS = "%file,%desc"  # all that take a path or a descriptor
_PR_SET_PTRACER = 0x59616D61  # prctl(2): where Yama lets only ancestors trace
_ANYBODY = -1


def _traced(do: Callable[[], object], trace: Path, *options: str) -> int:
    """Have a child *do* it under strace from there on; return its wait status."""
    waits, go = os.pipe()
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            signal.alarm(60)
            os.close(go)
            ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _ANYBODY, 0, 0, 0)
            os.write(tell, b".")
            os.read(waits, 1)
            do()
            os._exit(0)
        os._exit(1)
    os.close(waits)
    # Attached any sooner, the tracer would count what the child does before it waits.
    os.close(tell)
    os.read(ready, 1)
    os.close(ready)
    command = ["strace", "-p", str(pid), "-o", str(trace), "-e", f"trace={_CALLS}", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        assert "attached" in tracer.stderr.readline()
        os.close(go)
        _, status = os.waitpid(pid, 0)
        tracer.communicate(timeout=60)
    return status


def _moments(do: Callable[[], object], trace: Path) -> list[tuple[str, int]]:
    """Every system call of *do*, as its name and how many there were of that name until it."""
    assert _traced(do, trace) == 0
    counts: dict[str, int] = {}
    moments = []
    for name in re.findall(r"^(\w+)\(", trace.read_text(), re.MULTILINE):
        counts[name] = counts.get(name, 0) + 1
        # It was in its read of the pipe when the tracer came.
        if name != "read":
            moments.append((name, counts[name]))
    return moments


def _kill_at(moment: tuple[str, int], do: Callable[[], object], trace: Path) -> None:
    name, number = moment
    status = _traced(do, trace, "-e", f"inject={name}:signal=KILL:when={number}")
    assert os.WIFSIGNALED(status), f"not killed at {moment}: {trace.read_text()}"


def _left_overs(directory: str) -> list[str]:
    return [name for name in os.listdir(directory) if name.startswith(".abdicate-")]


@pytest.mark.parametrize("start", [None, b"%d\n" % DEAD_PID], ids=["absent", "stale"])
def test_whoever_is_killed_leaves_a_lock_to_be_had(tmp_path: Path, start: bytes | None) -> None:
    """At every system call of an acquisition and a release, from nothing and from a stale file."""
    directory = tmp_path / "run"
    directory.mkdir()
    path = str(directory / "worker.pid")
    trace = tmp_path / "trace"

    def begin() -> None:
        if start is not None:
            leave(path, start)

    def acquire_and_release() -> None:
        PidLock(path).acquire().release()

    begin()
    moments = _moments(acquire_and_release, trace)
    # The names are x86-64's; others have linkat and unlinkat.
    names = {name.removesuffix("at") for name, _ in moments}
    assert names >= {"open", "flock", "write", "fchmod", "link", "unlink"}
    for moment in moments:
        begin()
        _kill_at(moment, acquire_and_release, trace)
        if os.path.exists(path):
            assert re.fullmatch(rb"[1-9]\d*\n", read(path)), f"torn by a kill at {moment}"
        began = time.monotonic()
        with PidLock(path).acquire() as held:
            assert held.still_held()
            assert read(path) == b"%d\n" % os.getpid()
        assert time.monotonic() - began < 1
        assert len(_left_overs(str(directory))) <= 1
        # The next one that finds a crash sweeps up, once the left-over is old enough.
        for name in _left_overs(str(directory)):
            os.utime(directory / name, (0, 0))
        leave(path, b"%d\n" % DEAD_PID)
        PidLock(path).acquire().release()
        assert os.listdir(directory) == []


def test_whoever_is_killed_while_accepting_leaves_a_lock_to_be_had(tmp_path: Path) -> None:
    """At every system call the parent still holds it, or the child did and is dead."""
    directory = tmp_path / "run"
    directory.mkdir()
    path = str(directory / "worker.pid")
    trace = tmp_path / "trace"
    parent = PidLock(path).acquire()
    moments = _moments(parent.hand_over().accept, trace)
    assert any(name.startswith("rename") for name, _ in moments)
    parent.release()
    os.unlink(path)
    accepted = 0
    for moment in moments:
        parent = PidLock(path).acquire()
        handover = parent.hand_over()
        _kill_at(moment, handover.accept, trace)
        assert re.fullmatch(rb"[1-9]\d*\n", read(path)), f"torn by a kill at {moment}"
        if parent.still_held():
            with pytest.raises(LockFailed):
                PidLock(path).acquire()
            handover.withdraw()
            parent.release()
        else:
            accepted += 1
            parent.release()
            PidLock(path).acquire().release()
        for name in _left_overs(str(directory)):
            os.unlink(directory / name)
        assert os.listdir(directory) == []
    assert 0 < accepted < len(moments)
