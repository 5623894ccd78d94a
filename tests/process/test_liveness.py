"""Whether the process that an unlocked pidfile names is running."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abdicate.process.liveness import judge, parse_stat, process_stat, runs, started
from harness.pidfiles import DEAD_PID, as_ordinary_user, running, zombie

pytestmark = pytest.mark.needs("linux")

STAT = "708 ({}) S 1 708 708 0 -1 4194560 2 0 0 0 1 2 0 0 20 0 3 0 4711 9 9 9 9 9 9 9 0"


@given(st.text(st.characters(exclude_characters="\0"), max_size=15))
def test_the_name_of_a_program_does_not_move_the_fields(name: str) -> None:
    """A program may call itself ``) Z 0 (``."""
    stat = parse_stat(STAT.format(name))
    assert (stat.state, stat.threads, stat.start) == ("S", 3, 4711)


@pytest.mark.parametrize("text", ["", "708 (sh) S 1", "708 (sh) " + "x " * 30])
def test_another_text_is_not_understood(text: str) -> None:
    """What isn't /proc/<pid>/stat is a ValueError, so "unknown"."""
    with pytest.raises(ValueError):
        parse_stat(text)


def test_this_process_runs() -> None:
    """As every process may say of itself."""
    assert runs(os.getpid())


def test_a_number_that_nobody_has_does_not_run() -> None:
    """ESRCH."""
    assert not runs(DEAD_PID)


def test_a_process_of_another_user_runs() -> None:
    """F4: kill(2) says EPERM of a process that is there."""
    assert as_ordinary_user(lambda: runs(1))


def test_a_zombie_does_not_run() -> None:
    """F16: it answers kill(pid, 0)."""
    with zombie() as pid:
        os.kill(pid, 0)
        assert not runs(pid)


def test_a_first_thread_that_ended_is_no_zombie() -> None:
    """Its state is Z, as a zombie's, while another thread of the process goes on."""
    pid = os.fork()
    if pid == 0:
        threading.Thread(target=time.sleep, args=(60,)).start()
        ctypes.CDLL(None).pthread_exit(None)
    try:
        while (stat := process_stat(pid)) is None or stat.state != "Z":
            time.sleep(0.001)
        assert runs(pid)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_when_a_process_started() -> None:
    """By the clock of the file system that its pidfile is on, to some hundredths of a second."""
    before = time.time()
    with running() as pid:
        stat = process_stat(pid)
        assert stat is not None
        assert before - 0.1 < started(stat) < time.time() + 0.1


@pytest.mark.parametrize(
    ("content", "age", "verdict"),
    [
        (b"%d\n" % DEAD_PID, 0, "dead"),
        (b"", 0, "unfinished"),
        (b"", 3, "malformed"),
        (b"", -3, "malformed"),
        (b"0\n", 3, "malformed"),
        (b"1", 0, "unfinished"),
        (b"1\n", 0, "alive"),
        (b"1", 3, "alive"),
        (b"1\nworker\n", 3, "alive"),
        (b"%d" % DEAD_PID, 3, "dead"),
    ],
)
def test_verdicts(content: bytes, age: float, verdict: str) -> None:
    """What becomes of a file is told from its content and its age."""
    assert judge(content, time.time() - age) == verdict


def test_our_own_number_is_a_file_from_before_a_restart() -> None:
    """F5: in a container we are process 7 every time."""
    assert judge(b"%d\n" % os.getpid(), time.time()) == "ours"


def test_a_process_that_started_after_the_file_is_another_one() -> None:
    """F5: the pid was used again."""
    with running() as pid:
        assert judge(b"%d\n" % pid, time.time()) == "alive"
        assert judge(b"%d\n" % pid, time.time() - 3600) == "reused"
        # A clock that was set back hides it: unknown means alive.
        assert judge(b"%d\n" % pid, time.time() + 3600) == "alive"
