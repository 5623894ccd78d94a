"""The lock on a pidfile, in the hands of one process, and of two that behave."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from abdicate.errors import LockFailed, SpecError
from abdicate.process import lockfile
from abdicate.process.pidlock import HeldPidfile, PidLock
from abdicate.process.pidobstacle import PidfileHeld
from abdicate.process.pidstatus import Absent, HeldBy, HeldByUnknown, NotHeld, flock_holders
from harness.child import in_child
from harness.pidfiles import DEAD_PID, become_nobody, holder, leave, read, running

if TYPE_CHECKING:
    from abdicate.process.liveness import StalePolicy

pytestmark = pytest.mark.needs("linux")


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A path in a directory of its own."""
    return str(tmp_path / "worker.pid")


# --- Holding and letting go -----------------------------------------------------------------------


def test_the_holder_has_the_file_and_the_lock(path: str) -> None:
    """The file names the holder, and says nothing else."""
    with PidLock(path).acquire() as held:
        assert read(path) == b"%d\n" % os.getpid()
        assert held.still_held()
        assert held.path == path
        assert held.holder() == os.getpid()


def test_released_nothing_is_left(path: str) -> None:
    """Neither the pidfile nor the private file that became it, nor a descriptor."""
    PidLock(path).acquire().release()
    assert os.listdir(os.path.dirname(path)) == []
    assert not lockfile._open_here


def test_releasing_again_is_nothing(path: str) -> None:
    """The next holder's file is not ours to remove."""
    first = PidLock(path).acquire()
    first.release()
    with PidLock(path).acquire() as second:
        first.release()
        assert second.still_held()


def test_a_release_in_the_midst_of_a_release_is_nothing(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal handler, or another thread: it must not open the gate before the first is done."""
    held = PidLock(path).acquire()
    refused: list[LockFailed] = []

    def release_and_contend(_place: str) -> None:
        monkeypatch.undo()
        held.release()
        with pytest.raises(PidfileHeld) as caught:
            PidLock(path).acquire()
        refused.append(caught.value)

    monkeypatch.setattr(lockfile, "_at_race_point", release_and_contend)
    held.release()
    assert len(refused) == 1
    assert not os.path.exists(path)


def test_an_exception_in_the_block_releases(path: str) -> None:
    """As any context manager does."""
    with pytest.raises(ZeroDivisionError), PidLock(path).acquire():
        raise ZeroDivisionError
    assert not os.path.exists(path)


def test_a_forgotten_lock_is_held_until_the_process_ends(path: str) -> None:
    """``create_pidlock(path)`` as a statement of its own."""
    PidLock(path).acquire()
    with pytest.raises(PidfileHeld):
        PidLock(path).acquire()
    for file in tuple(lockfile._open_here):
        file.close()


def test_another_process_is_told_who_holds_it(path: str) -> None:
    """What was asked, what was found, what to do."""
    with holder(path) as pid:
        with pytest.raises(PidfileHeld) as caught:
            PidLock(path).acquire()
        assert caught.value.holder == pid
        assert caught.value.path == path
        assert str(caught.value) == (
            f"pidfile {path} is held by process {pid}: stop it first, or use another pidfile"
        )


def test_a_holder_is_named_though_the_clock_was_set(path: str) -> None:
    """A file that is older than its process would be another's; not while it is locked."""
    with holder(path) as pid:
        os.utime(path, (0, 0))
        with pytest.raises(PidfileHeld, match=f"held by process {pid}"):
            PidLock(path).acquire()


def test_what_a_killed_holder_left_is_taken_over(path: str) -> None:
    """The lock went with it, and its number is nobody's."""
    with holder(path):
        pass
    assert os.path.exists(path)
    with PidLock(path).acquire() as held:
        assert held.still_held()
        assert read(path) == b"%d\n" % os.getpid()


def test_a_process_started_without_standard_output_does_not_print_into_it(path: str) -> None:
    """Its descriptor is none of 0, 1 and 2, even where they are free."""
    program = (
        "import os, sys; from abdicate.process.pidlock import PidLock;"
        f"held = PidLock({path!r}).acquire(); sys.exit(held.fileno())"
    )
    run = subprocess.run(["sh", "-c", '"$0" -c "$1" <&- >&-', sys.executable, program], check=False)
    assert run.returncode >= 3


# --- Waiting --------------------------------------------------------------------------------------


def test_it_waits_for_a_holder_as_long_as_it_was_told(path: str) -> None:
    """And takes the lock as soon as it is free."""
    held = PidLock(path).acquire()
    threading.Timer(0.2, held.release).start()
    began = time.monotonic()
    with PidLock(path, timeout=10).acquire() as second:
        assert second.still_held()
    assert 0.15 < time.monotonic() - began < 5


def test_patience_has_an_end(path: str) -> None:
    """The holder is then named as without any."""
    with PidLock(path).acquire():
        began = time.monotonic()
        with pytest.raises(PidfileHeld, match="held by this process"):
            PidLock(path, timeout=0.2).acquire()
        assert 0.2 <= time.monotonic() - began < 5


def test_an_empty_file_is_given_two_seconds(path: str) -> None:
    """A program without locks makes it first, and writes to it next."""
    leave(path, b"")
    began = time.monotonic()
    with PidLock(path).acquire() as held:
        assert held.still_held()
    assert 1.9 < time.monotonic() - began < 4


def test_who_writes_in_these_two_seconds_keeps_the_file(path: str) -> None:
    """It was about to."""
    leave(path, b"")
    threading.Timer(0.2, lambda: leave(path, b"1\n")).start()
    with pytest.raises(PidfileHeld, match="process 1, which is running"):
        PidLock(path).acquire()
    assert read(path) == b"1\n"


# --- Stale files ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stale", "content", "age", "taken"),
    [
        ("never", b"%d\n" % DEAD_PID, 0, False),
        ("never", b"", 3600, False),
        ("dead", b"%d\n" % DEAD_PID, 0, True),
        ("dead", b"", 3600, True),
        ("dead", b"LIVE\n", 3600, False),
        ("reused", b"%d\n" % DEAD_PID, 0, True),
        ("reused", b"LIVE\n", 3600, True),
        ("reused", b"LIVE\n", 0, False),
    ],
)
def test_the_policy_says_what_is_taken_over(
    path: str, stale: StalePolicy, content: bytes, age: float, taken: bool
) -> None:
    """Of files that nobody has locked; LIVE stands for a process that has just started."""
    with running() as pid:
        leave(path, content.replace(b"LIVE", b"%d" % pid), age=age)
        before = os.stat(path).st_ino
        if taken:
            with PidLock(path, stale=stale).acquire() as held:
                assert held.still_held()
        else:
            with pytest.raises(LockFailed, match=r"remove|stop"):
                PidLock(path, stale=stale).acquire()
            assert os.stat(path).st_ino == before


def test_private_files_of_killed_processes_are_swept_up(path: str) -> None:
    """Once the file is taken over from one that was killed; young ones and others' stay."""
    directory = os.path.dirname(path)
    leave(os.path.join(directory, ".abdicate-old"), b"1\n", age=60)
    leave(os.path.join(directory, ".abdicate-young"), b"1\n")
    leave(os.path.join(directory, ".other"), b"1\n", age=60)
    os.mkdir(os.path.join(directory, ".abdicate-directory"))
    locked = os.path.join(directory, ".abdicate-locked")
    leave(locked, b"1\n", age=60)
    leave(path, b"%d\n" % DEAD_PID)
    with _locked(locked), PidLock(path).acquire():
        assert sorted(os.listdir(directory)) == [
            ".abdicate-directory",
            ".abdicate-locked",
            ".abdicate-young",
            ".other",
            "worker.pid",
        ]


def test_only_a_stale_file_is_removed_as_stale(path: str) -> None:
    """`remove_stale` is `acquire` without the second half."""
    lock = PidLock(path)
    lock.remove_stale()
    leave(path, b"%d\n" % DEAD_PID)
    lock.remove_stale()
    assert not os.path.exists(path)
    with lock.acquire() as held:
        with pytest.raises(PidfileHeld):
            lock.remove_stale()
        assert held.still_held()


# --- Status ---------------------------------------------------------------------------------------


def test_the_four_states(path: str) -> None:
    """Absent, held by a pid, not held."""
    lock = PidLock(path)
    assert lock.status() == Absent()
    with lock.acquire():
        assert lock.status() == HeldBy(os.getpid())
    leave(path, b"%d\n" % DEAD_PID)
    assert lock.status() == NotHeld(DEAD_PID)
    leave(path, b"")
    assert lock.status() == NotHeld(None)
    leave(path, b"1\n")
    assert lock.status() == HeldBy(1, locked=False)
    leave(path, b"%d\n" % DEAD_PID)
    with _locked(path):
        assert lock.status() == HeldByUnknown()
        assert lock.holder() is None


def test_what_the_states_say() -> None:
    """A sentence for people."""
    assert [str(state) for state in (Absent(), NotHeld(7), NotHeld(None), HeldByUnknown())] == [
        "absent",
        "not held, left by process 7",
        "not held",
        "held by an unknown process",
    ]
    assert str(HeldBy(7)) == "held by process 7"
    assert str(HeldBy(7, locked=False)) == "held by process 7, without a lock"


def test_what_passes_in_a_moment_is_looked_at_again(path: str) -> None:
    """Somebody has it locked to take it over, or to look; that is no holder yet."""
    leave(path, b"%d\n" % DEAD_PID)
    with _locked(path) as contender:
        threading.Timer(0.01, contender.close).start()
        assert PidLock(path).status() == NotHeld(DEAD_PID)


def test_looking_does_not_disturb_who_acquires(path: str) -> None:
    """The probe is a lock of some microseconds; an acquisition that meets it tries again."""
    leave(path, b"%d\n" % DEAD_PID)
    with _locked(path, shared=True) as probe:
        threading.Timer(0.05, probe.close).start()
        with PidLock(path).acquire() as held:
            assert held.still_held()


def test_listed_locks() -> None:
    """/proc/locks: of this file, exclusive ones, and not who waits."""
    listing = (
        "1: FLOCK  ADVISORY  WRITE 708 08:01:42 0 EOF\n"
        "1: -> FLOCK  ADVISORY  WRITE 709 08:01:42 0 EOF\n"
        "2: FLOCK  ADVISORY  READ  710 08:01:42 0 EOF\n"
        "3: POSIX  ADVISORY  WRITE 711 08:01:42 0 EOF\n"
        "4: FLOCK  ADVISORY  WRITE 712 08:02:42 0 EOF\n"
    )
    assert flock_holders(listing, os.makedev(8, 1), 42) == {708}
    assert flock_holders("", os.makedev(8, 1), 42) == set()


class _locked:
    """Somebody who has the file locked, and isn't named in it."""

    def __init__(self, path: str, *, shared: bool = False) -> None:
        self.file = lockfile.LockFile(path, os.O_RDWR)
        assert self.file.try_lock(shared=shared)

    def __enter__(self) -> lockfile.LockFile:
        return self.file

    def __exit__(self, *_: object) -> None:
        self.file.close()


# --- Losing it ------------------------------------------------------------------------------------


def test_a_program_without_locks_can_take_the_file_away(path: str) -> None:
    """It is not prevented, but it is told, and the other's file is left alone."""
    held = PidLock(path).acquire()
    os.unlink(path)
    assert not held.still_held()
    leave(path, b"1\n")
    assert not held.still_held()
    held.release()
    assert read(path) == b"1\n"


def test_a_program_that_closes_all_descriptors_closes_the_lock(path: str) -> None:
    """The number may be another file's by then, which stays open, and the path another's."""
    held = PidLock(path).acquire()
    number = held.fileno()
    os.close(number)
    assert not held.still_held()
    other = os.open(os.devnull, os.O_RDONLY)
    os.dup2(other, number)
    held.release()
    os.fstat(number)
    assert in_child(lambda: os.fstat(number).st_mode)
    os.close(number)
    if other != number:
        os.close(other)


def test_a_lock_that_was_taken_away_is_not_held(path: str) -> None:
    """As a file server that starts anew may do; here, whoever got the descriptor."""
    held = PidLock(path).acquire()
    fcntl.flock(held.fileno(), fcntl.LOCK_UN)
    with _locked(path):
        assert not held.still_held()
    assert held.still_held()
    held.release()


@pytest.mark.needs("root", "CAP_SETUID")
def test_released_after_a_drop_the_file_names_nobody(path: str) -> None:
    """Where it may not be removed any more it is emptied."""

    def drop_and_release() -> bool:
        held = PidLock(path).acquire()
        become_nobody()
        held.release()
        return held.still_held()

    assert not in_child(drop_and_release)
    assert read(path) == b""
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o644
    with PidLock(path).acquire() as held:
        assert held.still_held()


@pytest.mark.needs("root", "CAP_SYS_CHROOT")
def test_released_after_a_chroot_the_file_names_nobody(path: str, tmp_path: Path) -> None:
    """The path means something else by then, or nothing."""
    jail = tmp_path / "jail"
    jail.mkdir()

    def enter_and_release() -> None:
        held = PidLock(path).acquire()
        os.chroot(jail)
        os.chdir("/")
        held.release()

    in_child(enter_and_release)
    assert read(path) == b""


# --- Making it ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_the_mode_is_what_was_asked(path: str, mode: int) -> None:
    """Whatever the umask."""
    with PidLock(path, mode=mode).acquire():
        assert stat.S_IMODE(os.stat(path).st_mode) == mode


@pytest.mark.needs("root", "CAP_CHOWN")
def test_the_file_is_given_to_whom_was_asked(path: str) -> None:
    """Owner and group, each for itself; 0 is root and not "nobody asked"."""
    with PidLock(path, owner=1000, group=4).acquire():
        assert (os.stat(path).st_uid, os.stat(path).st_gid) == (1000, 4)
    with PidLock(path, group=4).acquire():
        assert (os.stat(path).st_uid, os.stat(path).st_gid) == (0, 4)
    os.chown(os.path.dirname(path), 0, 4)
    os.chmod(os.path.dirname(path), 0o2755)  # what is made here gets the directory's group
    with PidLock(path, owner=0, group=0).acquire():
        assert (os.stat(path).st_uid, os.stat(path).st_gid) == (0, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"path": "worker.pid"},
        {"path": ""},
        {"path": "/run/a\0b"},
        {"mode": 0o666},
        {"mode": 0o664},
        {"mode": 0o755},
        {"mode": 0o4644},
        {"mode": 0o444},
        {"timeout": -1.0},
        {"timeout": float("nan")},
        {"timeout": float("inf")},
        {"stale": "always"},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    """Before anything is opened."""
    with pytest.raises(SpecError, match="pidfile"):
        PidLock("/run/worker.pid").replace(**wrong)


def test_create_makes_it_where_there_is_nothing(path: str) -> None:
    """And only there."""
    with PidLock(path).create() as held:
        assert held.still_held()
        with pytest.raises(FileExistsError):
            PidLock(path).create()
    leave(path, b"%d\n" % DEAD_PID)
    with pytest.raises(FileExistsError):
        PidLock(path).create()
    assert os.listdir(os.path.dirname(path)) == ["worker.pid"]


def test_a_path_as_long_as_a_name_may_be(tmp_path: Path) -> None:
    """The private name isn't made from it."""
    path = str(tmp_path / ("x" * 255))
    with PidLock(path).acquire() as held:
        assert held.still_held()


def test_two_threads_never_both_hold_it(path: str) -> None:
    """A process has no more right to two locks than two processes have."""
    held: list[HeldPidfile] = []
    refused: list[LockFailed] = []
    start = threading.Barrier(8)

    def contend() -> None:
        start.wait()
        try:
            held.append(PidLock(path).acquire())
        except LockFailed as error:
            refused.append(error)

    threads = [threading.Thread(target=contend) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(held), len(refused)) == (1, 7)
    held[0].release()


def test_an_interrupt_leaves_nothing(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl+C may come between any two system calls; a file of ours that lives on would be ours."""
    for place in ("staged", "there is a file", "opened", "locked", "claimed", "replaced"):
        leave(path, b"%d\n" % DEAD_PID)

        def interrupt(here: str, there: str = place) -> None:
            if here == there:
                raise KeyboardInterrupt

        monkeypatch.setattr(lockfile, "_at_race_point", interrupt)
        with pytest.raises(KeyboardInterrupt):
            PidLock(path).acquire()
        monkeypatch.undo()
        assert not lockfile._open_here
        assert [n for n in os.listdir(os.path.dirname(path)) if n.startswith(".abdicate")] == []
        assert not os.path.exists(path) or read(path) == b"%d\n" % DEAD_PID
        with PidLock(path).acquire() as held:
            assert held.still_held()


# --- Where there is no flock ----------------------------------------------------------------------


def test_without_flock_it_can_be_imported_and_says_so(path: str) -> None:
    """Windows: importing works, acquiring is refused by name."""
    program = f"""
import sys
sys.modules["fcntl"] = None
from abdicate.errors import UnsupportedPlatformError
from abdicate.process.pidfile import Pidfile
from abdicate.process.pidlock import PidLock
for acquire in (PidLock({path!r}).acquire, Pidfile({path!r}).acquire):
    try:
        acquire()
    except UnsupportedPlatformError as error:
        assert "flock" in str(error)
    else:
        raise SystemExit("acquired")
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    assert not os.path.exists(path)
