"""Handing a held pidfile over to a detached child, without an instant in which nobody holds it."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from abdicate.errors import LockFailed
from abdicate.process import lockfile
from abdicate.process.pidlock import Handover, HeldPidfile, PidLock
from abdicate.process.pidobstacle import PidfileHeld
from abdicate.process.pidstatus import HeldBy, HeldByUnknown
from harness.child import error_in_child, held_child, in_child
from harness.pidfiles import read

pytestmark = pytest.mark.needs("linux")


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A path in a directory of its own."""
    return str(tmp_path / "worker.pid")


class Daemon:
    """A grandchild that did something, and lives until it is stopped: a double fork."""

    def __init__(self, act: Callable[[], object]) -> None:
        found, told = os.pipe()
        waits, self._go = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(self._go)
            if os.fork() == 0:
                signal.alarm(60)
                try:
                    result = repr(act())
                except Exception as error:
                    result = repr(error)
                os.write(told, b"%d %s" % (os.getpid(), result.encode()))
                os.read(waits, 1)
            os._exit(0)
        os.close(told)
        os.close(waits)
        os.waitpid(child, 0)
        pid, self.result = os.read(found, 4096).decode().split(" ", 1)
        self._found = found
        self.pid = int(pid)

    def stop(self) -> None:
        """Let it end, and wait until it has: the pipe that it held is closed then."""
        os.close(self._go)
        assert os.read(self._found, 1) == b""
        os.close(self._found)


def test_a_grandchild_becomes_the_holder(path: str) -> None:
    """Its pid is in the file, it has the lock, and the parent has nothing to release any more."""
    held = PidLock(path).acquire()
    handover = held.hand_over()
    daemon = Daemon(lambda: handover.accept().still_held())
    assert daemon.result == "True"
    assert read(path) == b"%d\n" % daemon.pid
    assert PidLock(path).status() == HeldBy(daemon.pid)
    assert not held.still_held()
    held.release()
    assert PidLock(path).status() == HeldBy(daemon.pid)
    daemon.stop()
    PidLock(path).acquire().release()


def test_the_grandchild_releases(path: str) -> None:
    """As any holder does: the file is gone."""
    held = PidLock(path).acquire()
    handover = held.hand_over()
    daemon = Daemon(lambda: handover.accept().release())
    assert not os.path.exists(path)
    held.release()
    daemon.stop()
    assert os.listdir(os.path.dirname(path)) == []


def test_there_is_no_instant_without_a_holder(path: str) -> None:
    """Each daemon hands over to the next; who contends and reads meanwhile gets nothing."""
    waits, stop = os.pipe()
    reads, told = os.pipe()

    def contend() -> None:
        os.set_blocking(waits, False)
        refusals = wins = torn = 0
        while True:
            try:
                PidLock(path).acquire()
                wins += 1
            except PidfileHeld:
                refusals += 1
            torn += re.fullmatch(rb"[1-9]\d*\n", read(path)) is None
            try:
                os.read(waits, 1)
            except BlockingIOError:
                continue
            os.write(told, b"%d %d %d" % (min(refusals, 1), wins, torn))
            return

    def hand_over_to_the_next(held: HeldPidfile, generations: int) -> bytes:
        if generations == 0:
            os.write(stop, b"!")
            return os.read(reads, 64)
        handover = held.hand_over()
        return in_child(lambda: hand_over_to_the_next(handover.accept(), generations - 1))

    held = PidLock(path).acquire()
    contender = os.fork()
    if contender == 0:
        signal.alarm(60)
        contend()
        os._exit(0)
    assert hand_over_to_the_next(held, 30) == b"1 0 0"
    os.waitpid(contender, 0)
    held.release()


def test_a_parent_that_is_killed_takes_nothing_with_it(path: str) -> None:
    """The child has the lock already, and may still accept it."""
    waits, go = os.pipe()
    found, told = os.pipe()
    parent = os.fork()
    if parent == 0:
        handover = PidLock(path).acquire().hand_over()
        if os.fork() == 0:
            signal.alarm(60)
            os.close(go)
            os.write(told, b"ready")
            os.read(waits, 1)
            os.write(told, b"%d" % handover.accept().still_held())
            signal.pause()
        signal.pause()
    os.close(told)
    assert os.read(found, 5) == b"ready"
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    with pytest.raises(PidfileHeld) as caught:
        PidLock(path).acquire()
    assert caught.value.holder is None
    assert PidLock(path).status() == HeldByUnknown()
    os.close(go)
    assert os.read(found, 5) == b"1"
    PidLock(path).signal_holder(signal.SIGKILL)
    assert os.read(found, 5) == b""
    PidLock(path, timeout=5).acquire().release()


def test_a_child_that_dies_before_it_accepts_leaves_the_lock_to_the_parent(path: str) -> None:
    """The parent takes it back, and releases it as its own."""
    held = PidLock(path).acquire()
    handover = held.hand_over()
    assert in_child(os.getpid) != os.getpid()
    assert held.still_held()
    handover.withdraw()
    held.release()
    assert not os.path.exists(path)


def test_after_handing_over_the_parent_removes_nothing(path: str) -> None:
    """Until it takes it back, the file is the child's."""
    held = PidLock(path).acquire()
    held.hand_over()
    held.release()
    assert os.path.exists(path)
    assert not held.still_held()


def test_children_forked_after_a_withdrawal_inherit_nothing(path: str) -> None:
    """As before the handing over."""
    held = PidLock(path).acquire()
    handover = held.hand_over()
    assert in_child(lambda: len(lockfile._open_here)) == 1
    handover.withdraw()
    assert in_child(lambda: len(lockfile._open_here)) == 0
    held.release()


def test_a_child_that_does_not_accept_may_let_go(path: str) -> None:
    """Leaving a with block in the child closes its copy, and no more."""
    held = PidLock(path).acquire()
    held.hand_over()

    def release() -> int:
        held.release()
        return len(lockfile._open_here)

    assert in_child(release) == 0
    assert held.still_held()
    held.release()


def test_where_nothing_was_forked_it_stays(path: str) -> None:
    """A daemon that runs in the foreground accepts what it handed over."""
    held = PidLock(path).acquire()
    assert held.hand_over().accept() is held
    assert held.still_held()
    held.release()
    assert not os.path.exists(path)


def test_only_one_accepts(path: str) -> None:
    """The second one finds another's file."""
    held = PidLock(path).acquire()
    handover = held.hand_over()

    def accept() -> None:
        handover.accept()

    with held_child(accept) as child:
        assert read(path) == b"%d\n" % child.pid
        error = error_in_child(accept)
    assert isinstance(error, LockFailed)
    assert "lost while it was handed over" in str(error)
    held.release()


def test_what_was_lost_is_not_handed_over(path: str) -> None:
    """A program without locks has removed it."""
    held = PidLock(path).acquire()
    os.unlink(path)
    with pytest.raises(LockFailed, match="not held any more"):
        held.hand_over()
    held.release()


def test_what_is_lost_on_the_way_is_not_accepted(path: str) -> None:
    """Nor is a file made in its place: somebody may be about to."""
    held = PidLock(path).acquire()
    handover = held.hand_over()
    os.unlink(path)
    error = error_in_child(lambda: _accepted(handover))
    assert isinstance(error, LockFailed)
    assert os.listdir(os.path.dirname(path)) == []
    held.release()


def _accepted(handover: Handover) -> None:
    handover.accept()
