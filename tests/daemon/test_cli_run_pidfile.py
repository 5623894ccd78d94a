"""``abdicate run --pidfile``: held by the command, taken before root is given up."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path

import pytest

from abdicate.process.pidlock import PidLock
from abdicate.process.pidstatus import HeldBy, NotHeld
from cli.program import ABDICATE, BECOME, ROOT
from daemon.nursery import Nursery, Started, descriptors_of, executes, status_of, until

pytestmark = pytest.mark.needs("linux")


@pytest.fixture
def pidfile(place: Path) -> Path:
    """A pidfile in a directory as /run is: the new user may not write to it."""
    (place / "run").mkdir()
    (place / "run").chmod(0o755)
    return place / "run/pid"


def _words(pidfile: Path, *command: str) -> list[str]:
    return [*ABDICATE, "run", *BECOME, "--pidfile", str(pidfile), "--", *command]


def _refusal(started: Started, status: int) -> str:
    assert (started.status, started.output) == (status, b"")
    assert started.errors.startswith(b"abdicate run: ")
    return started.message


def test_the_command_holds_it(nursery: Nursery, pidfile: Path) -> None:
    """Under its own pid, which is the one that was started; nothing else is inherited."""
    begun = nursery.begin(_words(pidfile, "sleep", "60"))
    until(lambda: executes(begun.pid), "it executes")
    assert pidfile.read_text() == f"{begun.pid}\n"
    assert PidLock(str(pidfile)).status() == HeldBy(begun.pid)
    assert stat.S_IMODE(pidfile.stat().st_mode) == 0o644
    (lock,) = set(descriptors_of(begun.pid)) - {0, 1, 2}
    assert os.path.samefile(f"/proc/{begun.pid}/fd/{lock}", pidfile)
    begun.terminate()
    assert nursery.finish(begun).status == -signal.SIGTERM


@pytest.mark.needs("root")
def test_it_stays_roots(nursery: Nursery, pidfile: Path) -> None:
    """F13: the user could aim the signals of root's tools."""
    begun = nursery.begin(_words(pidfile, "sleep", "60"))
    until(lambda: executes(begun.pid), "it executes")
    assert status_of(begun.pid)["Uid"].split() == ["65534"] * 4
    assert pidfile.stat().st_uid == 0
    begun.kill()
    nursery.finish(begun)


def test_a_second_one_is_refused(nursery: Nursery, pidfile: Path) -> None:
    """One line, with the holder's pid."""
    begun = nursery.begin(_words(pidfile, "sleep", "60"))
    until(lambda: executes(begun.pid), "it executes")
    message = _refusal(nursery.start(_words(pidfile, "true")), 125)
    assert f"held by process {begun.pid}" in message
    begun.kill()
    nursery.finish(begun)


def test_the_next_one_takes_it_over(nursery: Nursery, pidfile: Path) -> None:
    """When the command has ended, however: the file is left, unlocked."""
    assert nursery.start(_words(pidfile, "sh", "-c", "exit 3")).status == 3
    left = int(pidfile.read_text())
    assert PidLock(str(pidfile)).status() == NotHeld(left)
    started = nursery.start(_words(pidfile, "cat", str(pidfile)))
    assert started.status == 0
    assert int(started.output) != left


def test_stop_and_status_work_on_it(nursery: Nursery, pidfile: Path) -> None:
    """As with any pidfile that is locked."""
    begun = nursery.begin(_words(pidfile, "sleep", "60"))
    until(lambda: executes(begun.pid), "it executes")
    look = [*ABDICATE, "daemon", "--pidfile", str(pidfile)]
    assert nursery.start([*look, "--status"]).status == 0
    assert nursery.start([*look, "--stop"]).status == 0
    assert nursery.finish(begun).status == -signal.SIGTERM


@pytest.mark.parametrize(
    ("content", "mode", "status"),
    [
        pytest.param(None, 0, 127, id="not found"),
        pytest.param(b"#!/bin/sh\n", 0o644, 126, id="not executable"),
        pytest.param(b"#!/no/such/interpreter\n", 0o755, 126, id="no interpreter"),
    ],
)
def test_what_is_refused_before_takes_none(
    nursery: Nursery, place: Path, pidfile: Path, content: bytes | None, mode: int, status: int
) -> None:
    """Said while the process is root: no pidfile has been made."""
    command = place / "command"
    if content is not None:
        command.write_bytes(content)
        command.chmod(mode)
    assert str(command) in _refusal(nursery.start(_words(pidfile, str(command))), status)
    assert os.listdir(pidfile.parent) == []


def test_what_fails_after_the_drop_names_nobody(
    nursery: Nursery, place: Path, pidfile: Path
) -> None:
    """The process that took it is nobody by then, and can but empty it."""
    command = place / "command"
    command.write_bytes(b"\x7fELF and no more")
    command.chmod(0o755)
    _refusal(nursery.start(_words(pidfile, str(command))), 126)
    assert not pidfile.exists() or (ROOT and pidfile.read_bytes() == b"")


@pytest.mark.needs("root", "strace")
def test_a_drop_that_fails_leaves_none(nursery: Nursery, pidfile: Path) -> None:
    """And the command doesn't run."""
    inject = ["-e", "trace=setresuid", "-e", "inject=setresuid:error=EPERM"]
    started = nursery.start(
        _words(pidfile, "echo", "half-root"), through=["strace", "-f", "-o", "/dev/null", *inject]
    )
    assert "incomplete drop" in _refusal(started, 125)
    assert not pidfile.exists()
