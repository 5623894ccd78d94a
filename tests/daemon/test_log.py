"""The log: opened in the foreground, for appending, and never through a name that deceives."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from daemon.nursery import Nursery, until

pytestmark = pytest.mark.needs("linux")

_STARTS = 'Daemon(logfile=PLACE + "/log").start(); print("hello", flush=True); live()'


def _refused(nursery: Nursery, log: str = "log") -> str:
    """Return the last line that a start says whose log can't be opened, ahead of any fork."""
    before = sorted(os.listdir(nursery.place))
    started = nursery.start(
        f"""
        note_forks()
        try:
            Daemon(pidfile=PidLock(PLACE + "/pid"), logfile=PLACE + "/{log}").start()
        except Exception as error:
            sys.exit(f"worker: {{error}}")
        """
    )
    assert started.status == 1
    assert not nursery.forked()
    assert sorted({*os.listdir(nursery.place)} - {"worker"}) == before
    return started.message


def test_it_is_appended_to(nursery: Nursery, place: Path) -> None:
    """What was there stays, and what others append meanwhile isn't overwritten."""
    (place / "log").write_text("before\n")
    nursery.start(_STARTS)
    until(lambda: (place / "log").read_text() == "before\nhello\n", "it prints")


def test_one_that_is_cut_off_is_not_padded(nursery: Nursery, place: Path) -> None:
    """O_APPEND: after a rotation that truncates, the next line is the first."""
    nursery.start(
        """
        Daemon(logfile=PLACE + "/log").start()
        print("before", flush=True)
        os.truncate(PLACE + "/log", 0)
        print("after", flush=True)
        tell("done")
        """
    )
    assert nursery.wait_until_told() == "done"
    assert (place / "log").read_text() == "after\n"


@pytest.mark.parametrize("umask", [0, 0o022, 0o077, 0o777], ids=oct)
def test_its_mode_does_not_depend_on_the_umask(nursery: Nursery, place: Path, umask: int) -> None:
    """The group may read it, nobody else: a log has secrets, and somebody has to read it."""
    nursery.start(_STARTS, before=lambda: (os.umask(umask), None)[1])
    assert stat.S_IMODE((place / "log").stat().st_mode) == 0o640


def test_the_mode_of_one_that_is_there_stays(nursery: Nursery, place: Path) -> None:
    """Whoever made it wanted it so."""
    (place / "log").touch()
    (place / "log").chmod(0o604)
    nursery.start(_STARTS)
    assert stat.S_IMODE((place / "log").stat().st_mode) == 0o604


@pytest.mark.parametrize("target", ["there", "missing"])
def test_a_symbolic_link_is_not_followed(nursery: Nursery, place: Path, target: str) -> None:
    """Nor is what it points to made: in another's directory it may point to anything."""
    (place / "there").write_text("secret\n")
    (place / "log").symlink_to(place / target)
    assert str(place / "log") in _refused(nursery)
    assert (place / "there").read_text() == "secret\n"


def test_a_fifo_does_not_block(nursery: Nursery, place: Path) -> None:
    """Without a reader, open(2) would wait for one."""
    os.mkfifo(place / "log")
    assert str(place / "log") in _refused(nursery)


def test_a_fifo_with_a_reader_is_refused_too(nursery: Nursery, place: Path) -> None:
    """Whoever stops reading stops the daemon."""
    os.mkfifo(place / "log")
    reader = os.open(place / "log", os.O_RDONLY | os.O_NONBLOCK)
    message = _refused(nursery)
    os.close(reader)
    assert str(place / "log") in message
    assert "regular file" in message


def test_a_directory_is_refused(nursery: Nursery, place: Path) -> None:
    """By its name."""
    (place / "log").mkdir()
    assert str(place / "log") in _refused(nursery)


def test_a_missing_directory_is_not_made(nursery: Nursery, place: Path) -> None:
    """A log in a place that nobody prepared is a mistake in the configuration."""
    assert str(place / "no/log") in _refused(nursery, "no/log")


@pytest.mark.needs("CAP_MKNOD")
def test_a_block_device_is_refused(nursery: Nursery, place: Path) -> None:
    """What is logged would overwrite a file system."""
    try:
        os.mknod(place / "log", stat.S_IFBLK | 0o600, os.makedev(7, 255))
    except PermissionError:
        pytest.skip("needs to make a device")
    assert str(place / "log") in _refused(nursery)


def test_a_character_device_is_a_log(nursery: Nursery) -> None:
    """/dev/null is, and /dev/console."""
    started = nursery.start('Daemon(logfile="/dev/null").start(); live()')
    assert started.status == 0


def test_a_full_disk_is_not_in_the_way_of_the_start(nursery: Nursery) -> None:
    """The log can be opened; that nothing can be written to it is the daemon's to notice."""
    started = nursery.start('Daemon(logfile="/dev/full").start(); live()')
    assert started.status == 0
