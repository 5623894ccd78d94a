"""`detached()` whose daemon can't start: the terminal is told, and nothing is left behind."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.pidfiles import holder

_ROOT = os.geteuid() == 0
_MARK = "ABDICATE_STARTED_BY"
_NEVER = "the caller's code went on"

pytestmark = pytest.mark.needs("linux")


@dataclass(frozen=True)
class Ended:
    """What the terminal sees of a start, and what is left of it."""

    status: int
    told: str
    printed: str
    made: frozenset[str]
    processes: list[str]


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that everybody may write to."""
    with tempfile.TemporaryDirectory(prefix="abdicate-start-") as name:
        os.chmod(name, 0o777)
        yield Path(name).resolve()


def _start(place: Path, set_up: str) -> Ended:
    """Run a program that becomes a daemon by *set_up*, in *place*."""
    mark = secrets.token_hex(8)
    before = set(os.listdir(place))
    program = (
        "import os, sys\n"
        "from abdicate.platforms import DaemonContext, create_pidlock, detached, signals\n"
        f"with {set_up}:\n"
        f"    print({_NEVER!r})\n"
        "    open('went-on', 'w').close()\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=place,
        env=os.environ | {_MARK: mark},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    made = frozenset(os.listdir(place)) - before
    return Ended(run.returncode, run.stderr, run.stdout, made, _marked(mark))


def _marked(mark: str) -> list[str]:
    """Return the processes that were started with that mark in their environment."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue
        if f"{_MARK}={mark}".encode() in environment.split(b"\0"):
            found.append(pid)
    return found


def _assert_nothing_but_the_reason(ended: Ended, reason: str, status: int = 1) -> None:
    assert reason in ended.told
    assert ended.status == status
    assert ended.printed == ""
    assert ended.made == frozenset()
    assert ended.processes == []


def _private(place: Path) -> Path:
    """A directory that the user whom the daemon becomes may not enter."""
    directory = place / "private"
    directory.mkdir(0o700 if _ROOT else 0o000)
    return directory


_AS_NOBODY = ", uid='nobody'" if _ROOT else ""


def test_a_log_that_the_user_may_not_write(place: Path) -> None:
    """D1, D15: the log is tried as the user who will use it."""
    log = _private(place) / "app.log"
    ended = _start(place, f"detached(logfile={str(log)!r}{_AS_NOBODY})")
    _assert_nothing_but_the_reason(ended, "Permission denied")
    assert str(log) in ended.told


def test_a_directory_of_the_pidfile_that_the_user_may_not_write(place: Path) -> None:
    pidfile = _private(place) / "app.pid"
    ended = _start(place, f"detached(pidfile={str(pidfile)!r}{_AS_NOBODY})")
    _assert_nothing_but_the_reason(ended, "Permission denied", status=125)


def test_a_pidfile_that_is_held(place: Path) -> None:
    """The message and the status of `create_pidlock`; the holder's file stays as it is."""
    pidfile = place / "app.pid"
    with holder(str(pidfile)) as pid:
        ended = _start(place, f"detached(pidfile={str(pidfile)!r}{_AS_NOBODY})")
        assert pidfile.read_text() == f"{pid}\n"
    _assert_nothing_but_the_reason(ended, f"pid: {pid}", status=73)


def test_a_stale_pidfile_is_not_in_the_way_of_a_start_that_then_fails(place: Path) -> None:
    """Neither the stale file nor one of ours is left."""
    pidfile = place / "app.pid"
    pidfile.write_text("4194304\n")
    ended = _start(place, f"detached(pidfile={str(pidfile)!r}, workdir='/no/such'{_AS_NOBODY})")
    _assert_nothing_but_the_reason(ended, "/no/such")


def test_an_unknown_user(place: Path) -> None:
    """Before anything has begun."""
    ended = _start(place, "detached(uid='no-such-user')")
    _assert_nothing_but_the_reason(ended, "no-such-user")


@pytest.mark.needs("ordinary user")
def test_a_user_whom_an_ordinary_user_may_not_become(place: Path) -> None:
    ended = _start(place, "detached(uid='root')")
    _assert_nothing_but_the_reason(ended, "CAP_SETUID")


def test_a_umask_that_is_no_number(place: Path) -> None:
    ended = _start(place, "detached(umask='u=rwx')")
    _assert_nothing_but_the_reason(ended, "u=rwx")


def test_a_directory_that_is_not_there(place: Path) -> None:
    ended = _start(place, "detached(workdir='/no/such')")
    _assert_nothing_but_the_reason(ended, "/no/such")


def test_an_exception_in_set_up(place: Path) -> None:
    """The daemon's own words, and not a traceback of three processes."""
    ended = _start(place, "DaemonContext(after_chdir=lambda: {}['no such setting'])")
    _assert_nothing_but_the_reason(ended, "KeyError: 'no such setting'")
    assert len(ended.told.splitlines()) == 1


def test_set_up_that_exits(place: Path) -> None:
    """The status is the program's own."""
    ended = _start(place, "DaemonContext(after_chdir=lambda: sys.exit(9))")
    _assert_nothing_but_the_reason(ended, "", status=9)


def test_set_up_that_exits_with_0_has_not_started_either(place: Path) -> None:
    """D1: only "ready" is success."""
    ended = _start(place, "DaemonContext(after_chdir=lambda: sys.exit(0))")
    _assert_nothing_but_the_reason(ended, "", status=1)


def test_set_up_that_is_killed(place: Path) -> None:
    """D1: an end of file on the pipe is failure."""
    ended = _start(place, "DaemonContext(after_chdir=lambda: os.kill(os.getpid(), 9))")
    _assert_nothing_but_the_reason(ended, "killed by signal 9")


def test_a_pidlock_taken_in_set_up_is_released_when_set_up_fails(place: Path) -> None:
    pidfile = place / "app.pid"
    set_up = f"lambda: (create_pidlock({str(pidfile)!r}), [][0])"
    ended = _start(place, f"DaemonContext(after_chdir={set_up})")
    assert ended.status == 1
    assert ended.processes == []
    assert ended.made == frozenset()
