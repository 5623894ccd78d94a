"""A daemon that gives up root: what root made stays root's, and a failed drop is no daemon."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from abdicate.process.pidlock import PidLock
from abdicate.process.pidstatus import HeldBy, NotHeld
from daemon.nursery import Nursery, descriptors_of, status_of, until
from harness.child import thread_statuses

pytestmark = pytest.mark.needs("linux", "root")

_NOBODY = 65534

_DAEMON = (
    'Daemon(drop=DropRequest(parse_owner("nobody")), pidfile=PidLock(PLACE + "/run/pid"),'
    ' logfile=PLACE + "/run/log")'
)
_DROPS = f"daemon = {_DAEMON}.start(); "


@pytest.fixture
def run(place: Path) -> Path:
    """A directory as /run is: everybody may enter it, root alone may write."""
    directory = place / "run"
    directory.mkdir()
    directory.chmod(0o755)
    return directory


def test_the_daemon_is_the_user_wholly(nursery: Nursery, run: Path) -> None:
    """Four uids, four gids, no group of root's, no capability, in every thread."""
    assert nursery.start(_DROPS + "live()", before=lambda: os.setgroups([0, 4, 27])).status == 0
    for found in thread_statuses(nursery.daemon()).values():
        assert found["Uid"].split() == [str(_NOBODY)] * 4
        assert found["Gid"].split() == [str(_NOBODY)] * 4
        assert found["Groups"].split() == [str(_NOBODY)]
        assert {int(found[name], 16) for name in ("CapPrm", "CapEff", "CapInh", "CapAmb")} == {0}


def test_the_starter_stays_root(nursery: Nursery, run: Path) -> None:
    """It is another process, and may still remove a pidfile that the daemon can only empty."""
    started = nursery.start(
        """
        with Daemon(
            drop=DropRequest(parse_owner("nobody")),
            pidfile=PidLock(PLACE + "/run/pid"),
            ready="by hand",
        ).start():
            raise ValueError("no database")
        """
    )
    assert started.status == 1
    assert started.message == "ValueError: no database"
    assert os.listdir(run) == []


def test_a_program_that_can_not_be_executed_leaves_no_pidfile(nursery: Nursery, run: Path) -> None:
    """After the drop too: the starter hears of it when the lock is released, and removes it."""
    started = nursery.start(
        """
        with Daemon(
            drop=DropRequest(parse_owner("nobody")),
            pidfile=PidLock(PLACE + "/run/pid"),
            ready="by hand",
        ).start() as daemon:
            daemon.execute("/etc/passwd", ["passwd"])
        """
    )
    assert started.status == 126
    assert os.listdir(run) == []


def test_a_daemon_that_dies_after_the_drop_leaves_no_pidfile(nursery: Nursery, run: Path) -> None:
    """It releases nothing: the starter does."""
    started = nursery.start(f'{_DAEMON}.replace(ready="by hand").start(); os._exit(3)')
    assert started.status == 3
    assert os.listdir(run) == ["log"]


def test_p41_the_pidfile_stays_roots(nursery: Nursery, run: Path) -> None:
    """P41: whoever may write to it aims what root's tools signal."""
    nursery.start(_DROPS + "live()")
    found = (run / "pid").stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (0, 0, 0o644)
    daemon = nursery.daemon()
    assert PidLock(str(run / "pid")).status() == HeldBy(daemon)


def test_p41_the_log_stays_roots(nursery: Nursery, run: Path) -> None:
    """P41: opened before the drop. The daemon appends to it, and can't replace it."""
    nursery.start(_DROPS + 'print(os.getuid(), flush=True); tell("printed"); live()')
    assert nursery.wait_until_told() == "printed"
    found = (run / "log").stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (0, 0, 0o640)
    assert (run / "log").read_text() == f"{_NOBODY}\n"


def test_a_release_after_the_drop_empties_the_pidfile(nursery: Nursery, run: Path) -> None:
    """It can't be removed any more. It names nobody, and the next start takes it over."""
    assert nursery.start(_DROPS + "daemon.release()").status == 0
    nursery.wait_until_empty()
    assert (run / "pid").read_bytes() == b""
    assert PidLock(str(run / "pid")).status() == NotHeld(None)


def test_the_proof_is_the_daemons(nursery: Nursery, run: Path) -> None:
    """What a function that wants root gone asks for."""
    nursery.start(
        _DROPS
        + "report = daemon.proof.report; tell([check.verdict for check in report.checks]); live()"
    )
    told = nursery.wait_until_told()
    assert isinstance(told, list)
    assert set(told) <= {"ok", "not verified"}
    assert "ok" in told


def test_the_environment_is_the_users(nursery: Nursery, run: Path) -> None:
    """P40: HOME, USER and LOGNAME of root would be looked at by the daemon's libraries."""
    nursery.start(
        _DROPS + 'tell([os.environ.get(name) for name in ("USER", "LOGNAME")]); live()',
        env={"USER": "root", "LOGNAME": "root", "HOME": "/root"},
    )
    assert nursery.wait_until_told() == ["nobody", "nobody"]


@pytest.mark.needs("CAP_SYS_CHROOT")
def test_a_daemon_in_a_new_root_leaves_no_root_outside(
    nursery: Nursery, place: Path, run: Path
) -> None:
    """P35: its descriptors are the null device and the lock; nothing leads out."""
    (place / "root").mkdir()
    started = nursery.start(
        """
        policy = DropPolicy(chroot=PLACE + "/root")
        Daemon(
            drop=DropRequest(parse_owner("nobody"), policy=policy),
            pidfile=PidLock(PLACE + "/run/pid"),
        ).start()
        live()
        """
    )
    assert (started.status, started.errors) == (0, b"")
    daemon = nursery.daemon()
    assert os.readlink(f"/proc/{daemon}/root") == str(place / "root")
    assert os.readlink(f"/proc/{daemon}/cwd") == str(place / "root")
    kept = [*["/dev/null"] * 3, str(run / "pid")]
    until(lambda: sorted(descriptors_of(daemon).values()) == kept, "it has no other descriptor")


# --- A drop that fails --------------------------------------------------------------------------


def test_a_drop_that_can_not_be_is_refused_in_the_foreground(nursery: Nursery, run: Path) -> None:
    """PreflightError: nothing was forked, opened or taken."""
    started = nursery.start(
        """
        note_forks()
        try:
            Daemon(
                drop=DropRequest(parse_owner("root")),
                pidfile=PidLock(PLACE + "/run/pid"),
                logfile=PLACE + "/run/log",
            ).start()
        except Exception as error:
            sys.exit(f"worker: {type(error).__name__}: {error}")
        """
    )
    assert started.status == 1
    assert started.message.startswith("PreflightError: ")
    assert not nursery.forked()
    assert os.listdir(run) == []


@pytest.mark.needs("strace")
@pytest.mark.parametrize("call", ["setgroups", "setresgid", "setresuid"])
@pytest.mark.parametrize("error", ["EPERM", "EAGAIN"])
def test_a_drop_that_fails_in_the_daemon_is_told(
    nursery: Nursery, run: Path, call: str, error: str
) -> None:
    """IncompleteDropError: the starter says so and exits with 125, and nothing runs on."""
    inject = ["-e", f"trace={call}", "-e", f"inject={call}:error={error}"]
    started = nursery.start(
        f"""
        try:
            {_DROPS}
        finally:
            open(PLACE + "/ran", "w").close()
        """,
        through=["strace", "-f", "-o", "/dev/null", *inject],
    )
    assert started.status == 125
    assert "incomplete drop" in started.message
    assert os.strerror({"EPERM": 1, "EAGAIN": 11}[error]) in started.message
    nursery.wait_until_empty()
    assert not (run.parent / "ran").exists()
    assert not (run / "pid").exists()


@pytest.mark.needs("strace")
def test_a_failed_drop_leaves_no_daemon_by_hand(nursery: Nursery, run: Path) -> None:
    """Also where the program would have said by itself that it is ready."""
    inject = ["-e", "trace=setresuid", "-e", "inject=setresuid:error=EPERM:when=1"]
    started = nursery.start(
        """
        with Daemon(drop=DropRequest(parse_owner("nobody")), ready="by hand").start() as daemon:
            tell("runs half-root")
            daemon.ready()
        """,
        through=["strace", "-f", "-o", "/dev/null", *inject],
    )
    assert started.status == 125
    assert "setresuid" in started.message or "uid" in started.message
    assert not (nursery.place / "told").exists()


def test_the_daemon_may_stay_who_it_is(nursery: Nursery, run: Path) -> None:
    """Without a drop nothing changes, and there is no proof of one."""
    nursery.start("daemon = Daemon().start(); tell(daemon.proof is None); live()")
    assert nursery.wait_until_told() is True
    until(lambda: bool(nursery.orphans()), "it runs")
    assert status_of(nursery.daemon())["Uid"].split() == [str(os.geteuid())] * 4
