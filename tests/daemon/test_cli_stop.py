"""``abdicate daemon --stop`` and ``--status``: by the pidfile, and never by a number alone."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from cli.program import ABDICATE, BECOME
from daemon.nursery import Nursery, Started
from harness.pidfiles import DEAD_PID, leave, running

pytestmark = pytest.mark.needs("linux")


def _look(nursery: Nursery, place: Path, *words: str) -> Started:
    return nursery.start([*ABDICATE, "daemon", "--pidfile", str(place / "pid"), *words])


def _start(nursery: Nursery, place: Path, *command: str) -> int:
    words = [*ABDICATE, "daemon", *BECOME, "--pidfile", str(place / "pid"), "--", *command]
    assert nursery.start(words).status == 0
    return nursery.program()


# --- --status -----------------------------------------------------------------------------------


def test_status_of_one_that_runs(nursery: Nursery, place: Path) -> None:
    """0, and its pid."""
    daemon = _start(nursery, place, "sleep", "60")
    told = _look(nursery, place, "--status")
    line = f"pidfile {place / 'pid'}: held by process {daemon}\n".encode()
    assert (told.status, told.output, told.errors) == (0, line, b"")


def test_status_of_one_that_has_ended(nursery: Nursery, place: Path) -> None:
    """1, and who it was."""
    daemon = _start(nursery, place, "sleep", "60")
    os.kill(daemon, signal.SIGKILL)
    nursery.ended(daemon)
    told = _look(nursery, place, "--status")
    assert (told.status, told.errors) == (1, b"")
    assert f"left by process {daemon}" in told.output.decode()


def test_status_of_none(nursery: Nursery, place: Path) -> None:
    """1: it does not run."""
    told = _look(nursery, place, "--status")
    assert (told.status, told.output) == (1, f"pidfile {place / 'pid'}: absent\n".encode())


def test_status_believes_no_number(nursery: Nursery, place: Path) -> None:
    """F5: whoever has that number now started after the file was written."""
    with running() as pid:
        leave(str(place / "pid"), b"%d\n" % pid, age=3600)
        assert _look(nursery, place, "--status").status == 1


def test_status_that_can_not_be_told_is_no_answer(nursery: Nursery, place: Path) -> None:
    """125: neither 0 nor 1."""
    (place / "pid").mkdir()
    told = _look(nursery, place, "--status")
    assert told.status == 125
    assert "directory" in told.message


# --- --stop -------------------------------------------------------------------------------------


def test_stop_ends_it_and_waits(nursery: Nursery, place: Path) -> None:
    """TERM, and when it returns the daemon has ended."""
    daemon = _start(nursery, place, "sleep", "60")
    told = _look(nursery, place, "--stop")
    line = f"stopped process {daemon}\n".encode()
    assert (told.status, told.output, told.errors) == (0, line, b"")
    assert nursery.orphans() == []
    assert nursery.ended(daemon) == -signal.SIGTERM
    assert _look(nursery, place, "--status").status == 1


def test_stop_waits_for_one_that_takes_its_time(nursery: Nursery, place: Path) -> None:
    """It ends by itself, half a second later, with what it wants to say."""
    script = f"trap 'sleep 0.5; echo end > {place}/end; exit 0' TERM; echo > {place}/begun; "
    _start(nursery, place, "sh", "-c", script + "while :; do sleep 0.05; done")
    while not (place / "begun").exists():
        time.sleep(0.01)
    assert _look(nursery, place, "--stop").status == 0
    assert (place / "end").read_text() == "end\n"


def test_stop_of_one_that_does_not_end(nursery: Nursery, place: Path) -> None:
    """125 after the timeout: it isn't killed, since nobody asked for that."""
    daemon = _start(nursery, place, "sh", "-c", "trap '' TERM; exec sleep 60")
    while (place / "pid").exists() and _name(daemon) != "sleep":
        time.sleep(0.01)
    began = time.monotonic()
    told = _look(nursery, place, "--stop", "--timeout", "0.3")
    assert (told.status, told.output) == (125, b"")
    assert f"process {daemon} still runs" in told.message
    assert 0.3 < time.monotonic() - began < 5
    assert nursery.daemon() == daemon


def test_stop_of_none(nursery: Nursery, place: Path) -> None:
    """0: it is as was asked. Scripts stop before they start."""
    told = _look(nursery, place, "--stop")
    assert (told.status, told.errors) == (0, b"")
    assert "nothing to stop" in told.output.decode()


def test_stop_signals_no_number(nursery: Nursery, place: Path) -> None:
    """F19: nobody has it locked, so whoever has that number is somebody else."""
    with running() as pid:
        leave(str(place / "pid"), b"%d\n" % pid)
        told = _look(nursery, place, "--stop")
        assert told.status == 125
        assert "nothing was signalled" in told.message
        os.kill(pid, 0)


def test_stop_of_a_stale_one(nursery: Nursery, place: Path) -> None:
    """It has ended already."""
    leave(str(place / "pid"), b"%d\n" % DEAD_PID)
    assert _look(nursery, place, "--stop").status == 0


def test_stop_is_done_when_another_has_started(nursery: Nursery, place: Path) -> None:
    """The one that was told to stop has; a supervisor's next one isn't it."""
    _start(nursery, place, "sleep", "60")
    waiting = nursery.begin(
        """
        with PidLock(PLACE + "/pid", timeout=30).acquire():
            tell(os.getpid())
            live()
        """
    )
    told = _look(nursery, place, "--stop", "--timeout", "2")
    assert nursery.wait_until_told() == waiting.pid
    assert (told.status, told.errors) == (0, b"")


@pytest.mark.parametrize("seconds", ["-1", "x", "", "1e3", "inf", "nan", "１", "."])
def test_stop_for_how_long_is_a_number(nursery: Nursery, place: Path, seconds: str) -> None:
    """Of seconds, written plainly."""
    told = _look(nursery, place, "--stop", f"--timeout={seconds}")
    assert told.status in (0, 125)
    assert told.status == 125 or "nothing to stop" not in told.output.decode()


@pytest.mark.parametrize("words", [["--stop", "--status"], ["--stop"], ["--status"]])
def test_what_to_look_at_is_wanted(nursery: Nursery, place: Path, words: list[str]) -> None:
    """One question, and a pidfile."""
    pidfile = ["--pidfile", str(place / "pid")] if len(words) == 2 else []
    told = nursery.start([*ABDICATE, "daemon", *words, *pidfile])
    assert (told.status, told.output) == (125, b"")
    assert "--pidfile" in told.message


def _name(pid: int) -> str:
    with open(f"/proc/{pid}/comm") as file:
        return file.read().strip()
