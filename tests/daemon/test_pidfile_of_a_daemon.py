"""The pidfile of a daemon: held from the foreground on, without a gap, and gone at the end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from abdicate.process.pidlock import PidLock
from abdicate.process.pidstatus import Absent, HeldBy, HeldByUnknown, NotHeld, PidfileStatus
from daemon.nursery import Nursery

pytestmark = pytest.mark.needs("linux")

_HOLDS = 'Daemon(pidfile=PidLock(PLACE + "/pid")).start(); live()'


def _status(place: Path) -> PidfileStatus:
    return PidLock(str(place / "pid")).status()


def test_the_daemon_holds_it(nursery: Nursery, place: Path) -> None:
    """Its own pid is in it, and its lock on it."""
    assert nursery.start(_HOLDS).status == 0
    daemon = nursery.daemon()
    assert (place / "pid").read_text() == f"{daemon}\n"
    assert _status(place) == HeldBy(daemon)
    assert os.listdir(place).count("pid") == 1
    assert [name for name in os.listdir(place) if name.startswith(".")] == []


def test_it_is_the_daemons_when_the_starter_leaves(nursery: Nursery, place: Path) -> None:
    """The first thing that a script does after a start is to read it."""
    for _ in range(5):
        assert nursery.start(_HOLDS).status == 0
        daemon = nursery.daemon()
        assert _status(place) == HeldBy(daemon)
        os.kill(daemon, signal.SIGKILL)
        nursery.ended(daemon)


def test_it_is_removed_at_the_end_of_the_block(nursery: Nursery, place: Path) -> None:
    """As of the daemon's work."""
    source = """
        with Daemon(pidfile=PidLock(PLACE + "/pid")).start():
            tell(os.path.exists(PLACE + "/pid"))
        """
    assert nursery.start(source).status == 0
    nursery.wait_until_empty()
    assert nursery.told() is True
    assert _status(place) == Absent()


def test_a_killed_daemon_leaves_it_to_the_next(nursery: Nursery, place: Path) -> None:
    """Unlocked, so that it is taken over."""
    nursery.start(_HOLDS)
    first = nursery.daemon()
    os.kill(first, signal.SIGKILL)
    nursery.ended(first)
    assert _status(place) == NotHeld(first)
    assert nursery.start(_HOLDS).status == 0
    assert _status(place) == HeldBy(nursery.daemon())


def test_a_forked_child_does_not_hold_it(nursery: Nursery, place: Path) -> None:
    """The daemon died, its child lives: the next start takes over."""
    nursery.start(
        """
        Daemon(pidfile=PidLock(PLACE + "/pid")).start()
        if os.fork() == 0:
            tell("born")
        live()
        """
    )
    assert nursery.wait_until_told() == "born"
    daemon = int((place / "pid").read_text())
    os.kill(daemon, signal.SIGKILL)
    nursery.ended(daemon)
    assert nursery.orphans() != []
    assert nursery.start(_HOLDS).status == 0


def test_d15_a_second_start_is_refused_ahead_of_the_fork(nursery: Nursery, place: Path) -> None:
    """D15: on the terminal, with the holder's pid; the first one goes on."""
    nursery.start(_HOLDS)
    daemon = nursery.daemon()
    started = nursery.start(
        """
        note_forks()
        try:
            Daemon(pidfile=PidLock(PLACE + "/pid")).start()
        except Exception as error:
            sys.exit(f"worker: {type(error).__name__}: {error}")
        """
    )
    assert started.status == 1
    assert started.message.startswith("PidfileHeld: ")
    assert f"held by process {daemon}" in started.message
    assert not nursery.forked()
    assert _status(place) == HeldBy(daemon)


def test_two_starts_at_once_have_one_daemon(nursery: Nursery, place: Path) -> None:
    """The other one is told so, and each starter's status is right."""
    for _ in range(4):
        begun = [nursery.begin(_HOLDS) for _ in range(3)]
        statuses = sorted(nursery.finish(one).status for one in begun)
        assert statuses == [0, 1, 1]
        daemon = nursery.daemon()
        assert _status(place) == HeldBy(daemon)
        os.kill(daemon, signal.SIGKILL)
        nursery.ended(daemon)


def test_a_reader_never_sees_it_unheld(nursery: Nursery, place: Path) -> None:
    """It is absent, then the starter's, then the daemon's, and always complete."""
    for _ in range(5):
        begun = nursery.begin(_HOLDS)
        seen = _watched(begun, place)
        assert nursery.finish(begun).status == 0
        daemon = nursery.daemon()
        order = [Absent(), HeldBy(begun.pid), HeldBy(daemon)]
        known = [status for status in seen if not isinstance(status, HeldByUnknown)]
        assert [order.index(status) for status in known] == sorted(
            order.index(status) for status in known
        )
        assert seen.index(known[-1]) > 0
        assert not any(isinstance(status, NotHeld) for status in seen)
        os.kill(daemon, signal.SIGKILL)
        nursery.ended(daemon)
        (place / "pid").unlink()


def _watched(begun: subprocess.Popen[bytes], place: Path) -> list[PidfileStatus]:
    seen: list[PidfileStatus] = []
    running = True
    while running:
        running = begun.poll() is None
        status = _status(place)
        if not isinstance(status, Absent):
            assert re.fullmatch(r"[1-9][0-9]*\n", (place / "pid").read_text())
        if not seen or seen[-1] != status:
            seen.append(status)
    return seen


def test_it_is_held_while_a_daemon_sets_itself_up(nursery: Nursery, place: Path) -> None:
    """By the daemon already, so that it can be stopped before it is ready."""
    begun = nursery.begin(
        """
        daemon = Daemon(pidfile=PidLock(PLACE + "/pid"), ready="by hand").start()
        tell(os.getpid())
        live()
        """
    )
    daemon = nursery.wait_until_told()
    assert isinstance(daemon, int)
    assert _status(place) == HeldBy(daemon)
    PidLock(str(place / "pid")).signal_holder(signal.SIGTERM)
    started = nursery.finish(begun)
    assert started.status == 1
    assert "killed by signal 15" in started.message
    assert not (place / "pid").exists()


@pytest.mark.parametrize(
    "ending",
    [
        "raise ValueError('no database')",
        "sys.exit(3)",
        "os._exit(3)",
        "os.kill(os.getpid(), 9)",
        "daemon.execute('/no/such/program', ['x'])",
        "daemon.execute('/etc/passwd', ['x'])",
    ],
)
def test_a_failed_start_leaves_none_behind(nursery: Nursery, place: Path, ending: str) -> None:
    """When the starter has left it is gone already; so are the private files beside it."""
    started = nursery.start(
        f"""
        with Daemon(pidfile=PidLock(PLACE + "/pid"), ready="by hand").start() as daemon:
            {ending}
        """
    )
    assert started.status != 0
    assert os.listdir(place) == ["worker"]


def test_the_lock_that_was_handed_over_is_the_daemons_own(nursery: Nursery, place: Path) -> None:
    """The program sees that it is held, and may release it by hand."""
    nursery.start(
        """
        daemon = Daemon(pidfile=PidLock(PLACE + "/pid")).start()
        held = daemon.pidfile.still_held()
        daemon.release()
        daemon.release()
        tell([held, daemon.pidfile.still_held(), os.path.exists(PLACE + "/pid")])
        live()
        """
    )
    assert nursery.wait_until_told() == [True, False, False]
