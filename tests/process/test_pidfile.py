"""Pidfiles in the shape of ``celery.platforms``: `Pidfile` and `create_pidlock`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from abdicate.errors import LockFailed
from abdicate.process.exits import EX_CANTCREAT
from abdicate.process.pidfile import (
    PIDFILE_FLAGS,
    PIDFILE_MODE,
    PIDLOCKED,
    PIDFile,
    Pidfile,
    _create_pidlock,
    create_pidlock,
)
from harness.child import error_in_child, in_child
from harness.needs import unshare_command
from harness.pidfiles import DEAD_PID, holder, leave, read, running

pytestmark = pytest.mark.needs("linux")


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A path in a directory of its own."""
    return str(tmp_path / "worker.pid")


def test_the_constants() -> None:
    """As programs for celery.platforms use them."""
    assert PIDFile is Pidfile
    assert PIDFILE_FLAGS == os.O_CREAT | os.O_EXCL | os.O_WRONLY
    assert PIDFILE_MODE == 0o644
    assert "/run/x" in PIDLOCKED.format("/run/x", 7)
    assert "7" in PIDLOCKED.format("/run/x", 7)


def test_acquire_returns_the_pidfile(path: str) -> None:
    """``lock = Pidfile(path).acquire()``."""
    pidfile = Pidfile(path)
    assert pidfile.acquire() is pidfile
    assert pidfile.is_locked()
    assert pidfile.read_pid() == os.getpid()
    pidfile.release(None, None, None)
    assert not pidfile.is_locked()
    assert pidfile.read_pid() is None


def test_the_context_manager(path: str) -> None:
    """It releases at the end of the block."""
    with Pidfile(path) as pidfile:
        assert pidfile.read_pid() == os.getpid()
    assert not os.path.exists(path)


def test_a_relative_path_counts_from_where_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon changes to / before it releases."""
    monkeypatch.chdir(tmp_path)
    pidfile = Pidfile(Path("worker.pid")).acquire()
    monkeypatch.chdir("/")
    assert pidfile.path == str(tmp_path / "worker.pid")
    pidfile.release()
    assert os.listdir(tmp_path) == []


def test_a_held_pidfile_is_lock_failed(path: str) -> None:
    """By another process, and by this one."""
    with holder(path) as pid, pytest.raises(LockFailed, match=f"held by process {pid}"):
        Pidfile(path).acquire()
    with Pidfile(path), pytest.raises(LockFailed):
        Pidfile(path).acquire()


def test_what_cannot_be_made_is_lock_failed(tmp_path: Path) -> None:
    """No OSError."""
    with pytest.raises(LockFailed, match="No such file or directory"):
        Pidfile(tmp_path / "none" / "worker.pid").acquire()


@pytest.mark.parametrize("content", [b"", b"12", b"abc\n", b"0\n", b"-1\n", b"\xff\xfe\n"])
def test_a_malformed_pid_is_a_value_error(path: str, content: bytes) -> None:
    """F10: strictly the pid and a newline."""
    leave(path, content)
    with pytest.raises(ValueError):
        Pidfile(path).read_pid()


_ON_A_READ_ONLY_FILE_SYSTEM = """
mount -t tmpfs tmpfs "$1"
echo 4711 >"$1/worker.pid"
mount -o remount,bind,ro "$1"
shift
exec "$@"
"""

_READ_AND_REMOVE = """
import errno, sys
from abdicate.process.pidfile import Pidfile
pidfile = Pidfile(sys.argv[1])
print(pidfile.read_pid())
try:
    pidfile.remove()
except OSError as error:
    print(errno.errorcode[error.errno], pidfile.read_pid())
"""


@pytest.mark.needs("mount and pid namespaces")
def test_a_file_system_that_is_mounted_read_only_is_read_and_not_changed(tmp_path: Path) -> None:
    """Opening for writing fails there; and a file that stays is not "removed" in silence."""
    run = subprocess.run(
        [
            *unshare_command("--mount"),
            *("sh", "-ec", _ON_A_READ_ONLY_FILE_SYSTEM, "sh", str(tmp_path)),
            *(sys.executable, "-c", _READ_AND_REMOVE, str(tmp_path / "worker.pid")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.stdout, run.stderr) == ("4711\nEROFS 4711\n", "")


def test_read_pid_reads_what_others_wrote(path: str) -> None:
    """Held or not."""
    leave(path, b"4711\n")
    assert Pidfile(path).read_pid() == 4711


@pytest.mark.parametrize("content", [b"%d\n" % DEAD_PID, b"OURS\n", b"", b"broken\n"])
def test_a_stale_file_is_removed(path: str, content: bytes) -> None:
    """Of a dead process, of our own number, of nobody."""
    leave(path, content.replace(b"OURS", b"%d" % os.getpid()), age=3)
    assert Pidfile(path).remove_if_stale()
    assert not os.path.exists(path)


def test_no_file_is_stale_enough(path: str) -> None:
    """``if pidfile.is_locked() and not pidfile.remove_if_stale()`` is celery's own idiom."""
    assert Pidfile(path).remove_if_stale()


def test_a_live_process_keeps_its_file(path: str) -> None:
    """With the lock, and without."""
    with holder(path):
        assert not Pidfile(path).remove_if_stale()
    with running() as pid:
        leave(path, b"%d\n" % pid)
        assert not Pidfile(path).remove_if_stale()
        assert read(path) == b"%d\n" % pid


def test_our_own_lock_is_not_stale(path: str) -> None:
    """Celery removes it."""
    with Pidfile(path) as pidfile:
        assert not pidfile.remove_if_stale()
        assert not Pidfile(path).remove_if_stale()
        assert pidfile.read_pid() == os.getpid()


def test_remove_removes_what_nobody_has_locked(path: str) -> None:
    """Whatever it says; and no file is no error."""
    Pidfile(path).remove()
    leave(path, b"1\n")
    Pidfile(path).remove()
    assert not os.path.exists(path)


def test_remove_leaves_anothers_lock(path: str) -> None:
    """To remove it would be to let the next one in."""
    with holder(path) as pid:
        with pytest.raises(LockFailed, match="is held"):
            Pidfile(path).remove()
        assert read(path) == b"%d\n" % pid


def test_remove_removes_our_own(path: str) -> None:
    """It is a release."""
    pidfile = Pidfile(path).acquire()
    pidfile.remove()
    assert not os.path.exists(path)
    pidfile.release()


def test_releasing_what_was_not_acquired_is_nothing(path: str) -> None:
    """Celery removes whatever is there."""
    with holder(path) as pid:
        Pidfile(path).release()
        assert read(path) == b"%d\n" % pid


def test_write_pid_makes_the_file(path: str) -> None:
    """Where there is none; it is locked then."""
    pidfile = Pidfile(path)
    pidfile.write_pid()
    assert read(path) == b"%d\n" % os.getpid()
    assert isinstance(error_in_child(Pidfile(path).acquire), LockFailed)
    with pytest.raises(FileExistsError):
        pidfile.write_pid()
    pidfile.release()
    assert not os.path.exists(path)


def test_create_pidlock_leaves_the_program_where_it_is_held(
    path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a message that names the file and the holder, and EX_CANTCREAT."""
    for create in (create_pidlock, _create_pidlock):
        with holder(path) as pid:
            with pytest.raises(SystemExit) as caught:
                create(path)
            assert caught.value.code == EX_CANTCREAT == 73
            assert capsys.readouterr().err == PIDLOCKED.format(path, pid) + "\n"
            assert read(path) == b"%d\n" % pid


def test_create_pidlock_says_so_of_a_live_process_without_a_lock(
    path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A worker that uses celery's own pidfiles."""
    leave(path, b"1\n")
    with pytest.raises(SystemExit):
        create_pidlock(path)
    assert "(pid: 1)" in capsys.readouterr().err
    assert read(path) == b"1\n"


def test_create_pidlock_takes_a_stale_file_over(path: str) -> None:
    """Of a process that is gone."""
    leave(path, b"%d\n" % DEAD_PID)
    pidfile = _create_pidlock(path)
    assert pidfile.read_pid() == os.getpid()
    pidfile.release()


def test_what_create_pidlock_cannot_make_is_lock_failed(tmp_path: Path) -> None:
    """That is no "already running"."""
    with pytest.raises(LockFailed):
        create_pidlock(tmp_path / "none" / "worker.pid")


@pytest.mark.parametrize("end", ["", "sys.exit(3)", "raise ValueError"])
def test_the_lock_is_released_at_exit(path: str, end: str) -> None:
    """However the program ends, short of a signal."""
    program = f"import sys; from abdicate.process.pidfile import *; create_pidlock({path!r}); {end}"
    subprocess.run([sys.executable, "-c", program], check=False, stderr=subprocess.DEVNULL)
    assert not os.path.exists(path)


def test_without_the_exit_handler_the_file_is_left(path: str) -> None:
    """`_create_pidlock` leaves the releasing to the caller."""
    program = f"from abdicate.process.pidfile import _create_pidlock; _create_pidlock({path!r})"
    subprocess.run([sys.executable, "-c", program], check=True)
    assert os.path.exists(path)
    assert Pidfile(path).remove_if_stale()


def test_the_object_in_a_forked_child_holds_nothing(path: str) -> None:
    """F7: release(), remove_if_stale() and the block's end are the parent's."""
    pidfile = Pidfile(path).acquire()

    def meddle() -> bool:
        pidfile.release()
        return pidfile.remove_if_stale()

    assert not in_child(meddle)
    assert read(path) == b"%d\n" % os.getpid()
    pidfile.release()
