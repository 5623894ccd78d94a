"""What pidfiles of real systems got wrong, one test and more for each, on the real kernel."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from abdicate.errors import LockFailed, SpecError
from abdicate.process import lockfile
from abdicate.process.pidfile import Pidfile
from abdicate.process.pidlock import HeldPidfile, PidLock
from abdicate.process.pidobstacle import PidfileHeld
from abdicate.process.pidstatus import HeldBy, HeldByUnknown, NotHeld
from harness.child import error_in_child, held_child, in_child
from harness.needs import unshare_command
from harness.pidfiles import (
    DEAD_PID,
    NOBODY,
    as_ordinary_user,
    become_nobody,
    holder,
    leave,
    read,
    running,
    zombie,
)

pytestmark = pytest.mark.needs("linux")

PRECIOUS = b"root:x:0:0:root:/root:/bin/sh\n"


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A path in a directory of its own."""
    return str(tmp_path / "worker.pid")


@pytest.fixture
def public() -> Iterator[str]:
    """A directory that everybody may write to; pytest's own nobody else may enter."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o777)
        yield directory


@contextlib.contextmanager
def at(place: str, act: Callable[[], object]) -> Iterator[None]:
    """Let somebody act between two system calls of the algorithm, once."""
    acts = [act]

    def pause(here: str) -> None:
        if here == place and acts:
            acts.pop()()

    before, lockfile._at_race_point = lockfile._at_race_point, pause
    try:
        yield
    finally:
        lockfile._at_race_point = before
    assert not acts, f"the algorithm never came to {place!r}"


# --- F1 to F3: the races --------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["locked", "claimed"])
def test_f01_two_that_find_the_same_stale_file_do_not_both_take_it(path: str, place: str) -> None:
    """F1: whoever looks at a stale file has it locked, until it has replaced it."""
    leave(path, b"%d\n" % DEAD_PID)
    refused: list[BaseException] = []
    contend = PidLock(path).acquire
    with at(place, lambda: refused.append(error_in_child(contend))):
        held = contend()
    assert isinstance(refused[0], PidfileHeld)
    assert held.still_held()
    held.release()


def test_f01_the_slower_one_sees_that_the_stale_file_is_gone(path: str) -> None:
    """F1: it had opened what the faster one has replaced since."""
    leave(path, b"%d\n" % DEAD_PID)
    faster: list[HeldPidfile] = []
    with (
        at("opened", lambda: faster.append(PidLock(path).acquire())),
        pytest.raises(PidfileHeld, match="by this process already"),
    ):
        PidLock(path).acquire()
    assert faster[0].still_held()
    faster[0].release()


def test_f02_a_lock_on_a_file_that_was_removed_meanwhile_holds_nothing(path: str) -> None:
    """F2: the holder releases and another acquires, between our open and our lock."""
    first = PidLock(path).acquire()
    second: list[HeldPidfile] = []

    def change_hands() -> None:
        first.release()
        second.append(PidLock(path).acquire())

    with at("opened", change_hands), pytest.raises(PidfileHeld):
        PidLock(path).acquire()
    assert second[0].still_held()
    second[0].release()


def test_f02_the_file_is_removed_before_its_lock_is_given_up(path: str) -> None:
    """F2: closed first, the file that is then removed could be the next holder's."""
    held = PidLock(path).acquire()
    seen: list[object] = []
    with at("removed", lambda: seen.append((os.path.exists(path), held.fileno() > 2))):
        held.release()
    assert seen == [(False, True)]


def test_f03_who_is_refused_changes_nothing(path: str) -> None:
    """F3: the loser doesn't empty the holder's file, nor touch it."""
    with holder(path) as pid:
        before = os.stat(path)
        for _ in range(3):
            with pytest.raises(PidfileHeld):
                PidLock(path).acquire()
        after = os.stat(path)
        assert read(path) == b"%d\n" % pid
        assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


# --- F4 to F6: what a pid tells -------------------------------------------------------------------


def test_f04_a_live_process_of_another_user_is_alive(public: str) -> None:
    """F4: EPERM is no ESRCH; nobody takes root's file, locked or not."""
    path = os.path.join(public, "worker.pid")

    def contend() -> str:
        leave(path, b"1\n")
        with pytest.raises(PidfileHeld) as caught:
            PidLock(path).acquire()
        assert caught.value.holder == 1
        assert not Pidfile(path).remove_if_stale()
        return read(path).decode()

    assert as_ordinary_user(contend) == "1\n"


def test_f05_a_number_that_was_used_again_is_no_holder(path: str) -> None:
    """F5: the process started an hour after the file was written."""
    with running() as pid:
        leave(path, b"%d\n" % pid, age=3600)
        with pytest.raises(LockFailed, match="may not be taken over"):
            PidLock(path, stale="dead").acquire()
        with PidLock(path).acquire() as held:
            assert held.still_held()


def test_f05_our_own_number_from_before_a_restart_is_no_holder(path: str) -> None:
    """F5: in a container we are process 7 every time."""
    leave(path, b"%d\n" % os.getpid())
    with PidLock(path).acquire() as held:
        assert held.still_held()


_IN_A_NAMESPACE = """
import os, sys
from abdicate.process.pidlock import PidLock
from abdicate.process.pidobstacle import PidfileHeld
try:
    PidLock(sys.argv[1]).acquire()
except PidfileHeld as error:
    print("refused", error.holder, os.getpid(), flush=True)
else:
    print("held", os.getpid(), flush=True)
    sys.stdin.read()
"""


def _namespaced(path: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *unshare_command("--pid", "--fork", "--mount-proc"),
            *(sys.executable, "-c", _IN_A_NAMESPACE, path),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.needs("mount and pid namespaces")
def test_f06_a_holder_outside_a_pid_namespace_keeps_its_file(path: str) -> None:
    """F6: inside, its number is nobody's, or the contender's own; the lock is the same."""
    with holder(path):
        output, _ = _namespaced(path).communicate(timeout=60)
        assert output.split() == ["refused", "None", "1"]


@pytest.mark.needs("mount and pid namespaces")
def test_f06_a_holder_inside_a_pid_namespace_keeps_its_file(path: str) -> None:
    """F6: outside, its number is another process's."""
    process = _namespaced(path)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held 1\n"
        with pytest.raises(PidfileHeld):
            PidLock(path).acquire()
        assert read(path) == b"1\n"
        assert isinstance(PidLock(path).status(), HeldBy | HeldByUnknown)
    finally:
        process.communicate(timeout=60)


# --- F7 to F9: children ---------------------------------------------------------------------------


def test_f07_a_forked_child_releases_nothing(path: str) -> None:
    """F7: neither its release() nor its exit is the holder's."""
    held = PidLock(path).acquire()

    def release() -> tuple[bool, bool]:
        held.release()
        with held:
            pass
        return held.still_held(), os.path.exists(path)

    assert in_child(release) == (False, True)
    assert held.still_held()
    held.release()


def test_f07_nor_does_a_child_that_python_knows_nothing_of(path: str) -> None:
    """F7: forked by a C library, it finds everything as the holder left it, but for its pid."""
    held = PidLock(path).acquire()
    pid = ctypes.CDLL(None).fork()
    if pid == 0:
        held.release()
        os._exit(held.still_held())
    assert os.waitpid(pid, 0) == (pid, 0)
    assert held.still_held()
    assert read(path) == b"%d\n" % os.getpid()
    held.release()


def test_f07_the_exit_of_a_forked_child_does_not_remove_the_file(path: str) -> None:
    """F7: an exit handler runs in the child as well."""
    program = f"""
import os, sys
from abdicate.process.pidfile import create_pidlock
lock = create_pidlock({path!r})
if os.fork() == 0:
    sys.exit(0)
_, status = os.wait()
assert status == 0, status
assert lock.read_pid() == os.getpid()
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    assert not os.path.exists(path)


def test_f08_a_forked_child_does_not_hold_the_lock_on(path: str) -> None:
    """F8: the holder is killed, its child lives on."""
    found, told = os.pipe()
    holding = os.fork()
    if holding == 0:
        PidLock(path).acquire()
        child = os.fork()
        signal.alarm(60)  # in both: a child inherits none, alarm(2)
        if child != 0:
            os.write(told, b"%d" % child)
        while True:
            signal.pause()
    child = int(os.read(found, 32))
    os.close(found)
    os.close(told)
    os.kill(holding, signal.SIGKILL)
    os.waitpid(holding, 0)
    with PidLock(path).acquire() as held:
        assert held.still_held()
        os.kill(child, signal.SIGKILL)


def test_f08_children_forked_by_another_thread_do_not_hold_it_either(path: str) -> None:
    """F8: at any moment of an acquisition, with private and with stale files open and locked."""
    inherited: list[int] = []
    for place in ("staged", "there is a file", "opened", "locked", "claimed"):
        leave(path, b"%d\n" % DEAD_PID)
        inherited.clear()
        with (
            at(place, lambda: inherited.append(in_child(_open_lock_files))),
            PidLock(path).acquire(),
        ):
            inherited.append(in_child(_open_lock_files))
        assert inherited == [0, 0]


def _open_lock_files() -> int:
    return len(lockfile._open_here)


def test_f08_a_thousand_locks_leave_one_handler(path: str) -> None:
    """F8: a handler for each would stay for ever, and slow every fork."""
    program = f"""
import os
count = 0
def register(**handlers):
    global count
    count += 1
os.register_at_fork = register
from abdicate.process.pidlock import PidLock
for _ in range(1000):
    PidLock({path!r}).acquire().release()
raise SystemExit(count)
"""
    run = subprocess.run([sys.executable, "-c", program], check=False)
    assert run.returncode == 1


def test_f09_the_same_process_acquires_once(path: str, tmp_path: Path) -> None:
    """F9: whatever the object, and whatever the path is called."""
    (tmp_path / "alias").symlink_to(tmp_path)
    alias = str(tmp_path / "alias" / "worker.pid")
    with PidLock(path).acquire() as held:
        for again in (PidLock(path).acquire, PidLock(alias).acquire, Pidfile(path).acquire):
            with pytest.raises(PidfileHeld, match="held by this process already"):
                again()
        assert held.still_held()


# --- F10 and F11: content -------------------------------------------------------------------------

CONTENTS = {
    "empty": b"",
    "no newline": b"%d" % DEAD_PID,
    "binary": bytes(range(256)),
    "zero": b"0\n",
    "everybody": b"-1\n",
    "a process group": b"-7\n",
    "2^31": b"2147483648\n",
    "10^30": b"1" + b"0" * 30 + b"\n",
    "underscores": b"1_0\n",
    "wide digits": "１２\n".encode(),
    "a megabyte of digits": b"1" * 1_000_000,
    "no such process": b"%d\n" % DEAD_PID,
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS.keys())
def test_f10_whatever_the_file_says_it_is_no_live_holder(path: str, content: bytes) -> None:
    """F10: no hang, no OverflowError; an old file that names no process is taken over."""
    leave(path, content, age=3)
    began = time.monotonic()
    assert isinstance(PidLock(path).status(), NotHeld)
    with PidLock(path).acquire() as held:
        assert held.still_held()
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS.keys())
def test_f10_whatever_the_file_says_a_live_holder_keeps_it(path: str, content: bytes) -> None:
    """F10: it was overwritten, and it is locked."""
    with holder(path):
        with open(path, "r+b") as file:
            file.truncate(0)
            file.write(content)
        os.utime(path, (0, 0))
        inode = os.stat(path).st_ino
        with pytest.raises(PidfileHeld):
            PidLock(path).acquire()
        assert PidLock(path).status() == HeldByUnknown()
        with pytest.raises(LockFailed):
            PidLock(path).signal_holder(signal.SIGKILL)
        assert os.stat(path).st_ino == inode


def test_f10_a_file_without_a_newline_is_not_taken_from_a_live_process(path: str) -> None:
    """F10: a program that writes none may be running."""
    leave(path, b"1", age=3)
    with pytest.raises(PidfileHeld, match="process 1"):
        PidLock(path).acquire()
    with pytest.raises(ValueError, match="newline"):
        Pidfile(path).read_pid()


def test_f10_three_gibibytes_of_holes(path: str) -> None:
    """F10: 32 bytes of it are read."""
    leave(path, b"")
    os.truncate(path, 3 << 30)
    os.utime(path, (0, 0))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    with pytest.raises(ValueError):
        Pidfile(path).read_pid()
    with PidLock(path).acquire() as held:
        assert held.still_held()
    assert time.monotonic() - began < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 20


@pytest.mark.parametrize("start", [None, b"%d\n" % DEAD_PID], ids=["absent", "stale"])
def test_f11_a_reader_sees_a_whole_file_or_none(path: str, start: bytes | None) -> None:
    """F11: at every step of an acquisition and of a release."""
    if start is not None:
        leave(path, start)
    seen: list[bytes | None] = []

    def look(_place: str) -> None:
        seen.append(read(path) if os.path.exists(path) else None)

    before, lockfile._at_race_point = lockfile._at_race_point, look
    try:
        PidLock(path).acquire().release()
    finally:
        lockfile._at_race_point = before
    assert len(seen) > 2
    assert set(seen) <= {None, start, b"%d\n" % os.getpid()}


# --- F12 and F13: what else may be at the path, and who may put it there --------------------------


def _make_symlink(path: str) -> None:
    leave(path + ".precious", PRECIOUS)
    os.symlink(path + ".precious", path)


def _make_socket(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as unix, contextlib.chdir(os.path.dirname(path)):
        unix.bind(os.path.basename(path))


STRANGE: dict[str, tuple[str, Callable[[str], None]]] = {
    "symlink": ("a symbolic link", _make_symlink),
    "dangling": ("a symbolic link", lambda path: os.symlink(path + ".precious", path)),
    "loop": ("a symbolic link", lambda path: os.symlink(path, path)),
    "fifo": ("a FIFO", os.mkfifo),
    "directory": ("a directory", os.mkdir),
    "socket": ("a socket", _make_socket),
}


def _refuses_what_is_no_file(path: str, kind: str) -> None:
    began = time.monotonic()
    before = sorted(os.listdir(os.path.dirname(path)))
    lock = PidLock(path)
    for use in (lock.acquire, lock.status, lambda: lock.signal_holder(0), lock.remove_stale):
        with pytest.raises(LockFailed, match=kind):
            use()
    with pytest.raises(ValueError, match=kind):
        Pidfile(path).read_pid()
    assert sorted(os.listdir(os.path.dirname(path))) == before
    assert time.monotonic() - began < 1


@pytest.mark.parametrize(("kind", "make"), STRANGE.values(), ids=STRANGE.keys())
def test_f12_what_is_no_regular_file_is_refused(
    path: str, kind: str, make: Callable[[str], None]
) -> None:
    """F12: never followed, never opened, never a hang."""
    make(path)
    _refuses_what_is_no_file(path, kind)
    if os.path.exists(path + ".precious"):
        assert read(path + ".precious") == PRECIOUS


@pytest.mark.needs("root", "CAP_MKNOD")
def test_f12_a_device_is_refused(path: str) -> None:
    """F12: and not opened: a watchdog would begin to count."""
    os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    _refuses_what_is_no_file(path, "a device")


def test_f12_what_comes_into_the_way_meanwhile_is_refused(path: str) -> None:
    """F12: looked at as a file, and a FIFO or a link when it is opened."""
    for make in (os.mkfifo, _make_symlink):
        leave(path, b"%d\n" % DEAD_PID)

        def swap(make: Callable[[str], None] = make) -> None:
            os.unlink(path)
            make(path)

        with at("opened", swap), pytest.raises(LockFailed, match=r"FIFO|symbolic link"):
            PidLock(path).acquire()
        os.unlink(path)


def test_f12_a_hard_link_is_never_written_through(path: str) -> None:
    """F12: the other name's file stays as it was; ours is a new one."""
    precious = path + ".precious"
    leave(precious, PRECIOUS, age=3)
    os.link(precious, path)
    before = os.stat(precious)
    with PidLock(path).acquire() as held:
        assert held.still_held()
        assert os.stat(path).st_ino != before.st_ino
    after = os.stat(precious)
    assert read(precious) == PRECIOUS
    assert (after.st_mode, after.st_uid, after.st_mtime_ns) == (
        before.st_mode,
        before.st_uid,
        before.st_mtime_ns,
    )


@pytest.mark.needs("root", "CAP_CHOWN")
@pytest.mark.parametrize("content", [b"1\n", b"%d\n" % DEAD_PID])
def test_f13_a_strangers_file_is_refused_by_name(path: str, content: bytes) -> None:
    """F13: root takes no part in a file that any user put into its way."""
    leave(path, content)
    os.chown(path, NOBODY, NOBODY)
    for use in (PidLock(path).acquire, lambda: PidLock(path).signal_holder(0)):
        with pytest.raises(LockFailed, match=f"belongs to uid {NOBODY}"):
            use()
    assert read(path) == content


@pytest.mark.needs("root", "CAP_CHOWN")
@pytest.mark.parametrize("trusted", ["root", "asked for", "of the directory"])
def test_f13_a_trusted_owners_stale_file_is_taken_over(path: str, trusted: str) -> None:
    """F13: root's own, the owner's that was asked for, and the directory's owner's."""
    leave(path, b"%d\n" % DEAD_PID)
    os.chown(path, 0 if trusted == "root" else NOBODY, 0)
    if trusted == "of the directory":
        os.chown(os.path.dirname(path), NOBODY, NOBODY)
    with PidLock(path, owner=NOBODY if trusted == "asked for" else None).acquire() as held:
        assert held.still_held()


@pytest.mark.parametrize("mode", [0o666, 0o664, 0o646, 0o777])
def test_f13_a_file_that_others_may_write_is_not_made(path: str, mode: int) -> None:
    """F13: they would aim the signals of whoever reads it."""
    with pytest.raises(SpecError, match="mode"):
        PidLock(path, mode=mode)


@pytest.mark.needs("root", "CAP_SETUID")
def test_p41_the_dropped_user_cannot_aim_the_pidfile(public: str) -> None:
    """P41, F13: made before the drop, it is root's: not to be opened, replaced or removed."""
    os.chmod(public, 0o755)
    path = os.path.join(public, "worker.pid")

    def drop() -> list[int | None]:
        PidLock(path).acquire()
        become_nobody()
        errors: list[int | None] = []
        for attempt in (
            lambda: os.open(path, os.O_WRONLY),
            lambda: os.unlink(path),
            lambda: os.rename(path, path + ".old"),
            lambda: os.chmod(path, 0o666),
        ):
            try:
                attempt()
            except OSError as error:
                errors.append(error.errno)
        return errors

    with held_child(drop) as child:
        assert child.value == [errno.EACCES, errno.EACCES, errno.EACCES, errno.EPERM]
        assert read(path) == b"%d\n" % child.pid
        assert os.stat(path).st_uid == 0
        assert PidLock(path).signal_holder(0) == child.pid


# --- F14 and F15: making it -----------------------------------------------------------------------

_TRY_AND_TELL = """
import os, sys
from abdicate.errors import LockFailed
from abdicate.process.pidlock import PidLock
try:
    PidLock(sys.argv[1]).acquire()
except LockFailed as error:
    print(error)
    print(sorted(os.listdir(os.path.dirname(sys.argv[1]))))
"""


def _mounted(directory: Path, options: str, prepare: str) -> list[str]:
    """Try to acquire in a directory with a small tmpfs of its own; what was said, what is left."""
    mount = f'mount -t tmpfs -o {options} tmpfs "$1"\n{prepare}\nshift\nexec "$@"'
    command = [
        *unshare_command("--mount"),
        *("sh", "-ec", mount, "sh", str(directory)),
        *(sys.executable, "-c", _TRY_AND_TELL, str(directory / "worker.pid")),
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return run.stdout.splitlines()


@pytest.mark.needs("mount and pid namespaces")
@pytest.mark.parametrize("stale", [False, True])
def test_f14_a_full_disk(tmp_path: Path, stale: bool) -> None:
    """F14: ENOSPC; no empty file is left, and a stale one stays as it was."""
    prepare = f'echo {DEAD_PID} >"$1/worker.pid"; ' if stale else ""
    prepare += 'dd if=/dev/zero of="$1/fill" bs=4096 2>/dev/null || true'
    message, left = _mounted(tmp_path, "size=64k", prepare)
    assert message == (
        f"pidfile {tmp_path}/worker.pid can't be made in {tmp_path}: No space left on device;"
        " free some space there"
    )
    assert left == str(["fill", "worker.pid"] if stale else ["fill"])


@pytest.mark.needs("mount and pid namespaces")
def test_f14_no_inode_left(tmp_path: Path) -> None:
    """F14: ENOSPC when the file is made, and not when it is written."""
    prepare = 'touch "$1/1" "$1/2" "$1/3" "$1/4" 2>/dev/null || true'
    message, _ = _mounted(tmp_path, "nr_inodes=4", prepare)
    assert "No space left on device; free some space there" in message


@pytest.mark.needs("mount and pid namespaces")
def test_f14_a_read_only_file_system(tmp_path: Path) -> None:
    """F14: EROFS."""
    message, left = _mounted(tmp_path, "size=64k,ro", "true")
    assert message.endswith(
        "Read-only file system; use a file system that is not mounted read-only"
    )
    assert left == "[]"


def test_f14_a_limit_on_file_sizes(path: str) -> None:
    """F14: EFBIG, and no signal."""

    def acquire() -> None:
        # As Python starts; a test before this one may have changed it.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        PidLock(path).acquire()

    assert "RLIMIT_FSIZE" in str(error_in_child(acquire))
    assert os.listdir(os.path.dirname(path)) == []


def test_f14_a_record_that_was_cut_off(path: str) -> None:
    """F14: write(2) may write less than it was given, and that is no error to it."""

    def acquire() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, 1))
        PidLock(path).acquire()

    assert isinstance(error_in_child(acquire), LockFailed)
    assert os.listdir(os.path.dirname(path)) == []


def test_f14_a_directory_that_may_not_be_written(public: str) -> None:
    """F14: EACCES."""
    os.chmod(public, 0o555)
    path = os.path.join(public, "worker.pid")
    with pytest.raises(LockFailed, match="Permission denied; use a directory that"):
        raise as_ordinary_user(lambda: _error_of(PidLock(path).acquire))
    os.chmod(public, 0o777)


def test_f14_no_directory(tmp_path: Path) -> None:
    """F14: ENOENT."""
    with pytest.raises(LockFailed, match="make that directory first"):
        PidLock(str(tmp_path / "none" / "worker.pid")).acquire()


@pytest.mark.needs("root", "CAP_CHOWN")
@pytest.mark.parametrize(
    ("owner", "mode", "said"),
    [(1000, 0o666, "belongs to uid 1000"), (0, 0o644, "may replace files"), (0, 0o600, "owner")],
)
def test_f14_anothers_file_in_a_sticky_directory(
    public: str, owner: int, mode: int, said: str
) -> None:
    """F14: a clear error, and the file is as it was."""
    os.chmod(public, 0o1777)
    path = os.path.join(public, "worker.pid")
    leave(path, b"%d\n" % DEAD_PID)
    os.chown(path, owner, owner)
    os.chmod(path, mode)
    before = os.stat(path)
    error = as_ordinary_user(lambda: _error_of(PidLock(path).acquire))
    assert isinstance(error, LockFailed)
    assert said in str(error)
    assert read(path) == b"%d\n" % DEAD_PID
    assert os.stat(path).st_ino == before.st_ino
    assert os.listdir(public) == ["worker.pid"]


def _error_of(function: Callable[[], object]) -> Exception:
    try:
        function()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize("umask", [0, 0o022, 0o777])
def test_f15_the_umask_has_no_say(path: str, umask: int) -> None:
    """F15: neither a file that everybody may write, nor one that nobody may read."""

    def acquire() -> int:
        os.umask(umask)
        with PidLock(path).acquire():
            return stat.S_IMODE(os.stat(path).st_mode)

    assert in_child(acquire) == 0o644


# --- F16 to F19 -----------------------------------------------------------------------------------


def test_f16_a_zombie_holds_nothing(path: str) -> None:
    """F16: it answers kill(pid, 0), and will never release."""
    with zombie() as pid:
        leave(path, b"%d\n" % pid)
        assert PidLock(path).status() == NotHeld(pid)
        with PidLock(path).acquire() as held:
            assert held.still_held()


def test_f17_the_file_is_the_pid_and_a_newline(path: str) -> None:
    """F17: every reader of pidfiles reads it."""
    with holder(path) as pid:
        assert read(path) == b"%d\n" % pid
        shell = subprocess.run(
            ["sh", "-c", 'kill -0 $(cat "$1") && echo alive', "sh", path],
            capture_output=True,
            check=True,
        )
        assert shell.stdout == b"alive\n"


def test_f18_looking_at_the_file_does_not_unlock_it(path: str) -> None:
    """F18: as closing any descriptor of the file would, with a POSIX lock."""
    with PidLock(path).acquire() as held:
        read(path)
        Pidfile(path).read_pid()
        PidLock(path).status()
        assert isinstance(error_in_child(PidLock(path).acquire), PidfileHeld)
        assert held.still_held()


@pytest.mark.needs("strace")
def test_f18_the_path_is_never_opened_to_be_created_or_emptied(path: str, tmp_path: Path) -> None:
    """F18: fs.protected_regular refuses O_CREAT; NFS locks only what is open for writing."""
    leave(path, b"%d\n" % DEAD_PID)
    program = f"from abdicate.process.pidlock import PidLock; PidLock({path!r}).acquire()"
    trace = tmp_path / "trace"
    subprocess.run(
        [
            *("strace", "-f", "-o", str(trace), "-e", "trace=open,openat,creat,flock,fcntl"),
            *(sys.executable, "-c", program),
        ],
        check=True,
    )
    lines = trace.read_text().splitlines()
    opened = [line for line in lines if f'"{path}"' in line]
    assert opened
    assert all("O_RDWR|O_NOCTTY|O_NONBLOCK|O_NOFOLLOW|O_CLOEXEC" in line for line in opened)
    assert sum("LOCK_EX|LOCK_NB" in line for line in lines) == 2
    assert not any("F_SETLK" in line or "LOCK_UN" in line for line in lines)


def _stopped_by(pid: int) -> int:
    """The signal that ended a child of ours; 0 where it runs."""
    found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
    return 0 if found is None else found.si_status


def test_f19_the_holder_is_signalled(path: str) -> None:
    """F19: through a pidfd, once the lock and the file were looked at again."""
    with holder(path) as pid:
        assert PidLock(path).signal_holder(0) == pid
        assert _stopped_by(pid) == 0
        assert PidLock(path).signal_holder(signal.SIGTERM) == pid
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert _stopped_by(pid) == signal.SIGTERM


def test_f19_the_one_who_has_the_number_now_is_not_signalled(path: str) -> None:
    """F19: the file is stale; kill(int(read())) would have hit."""
    with running() as innocent:
        leave(path, b"%d\n" % innocent)
        with pytest.raises(LockFailed, match="is not held"):
            PidLock(path).signal_holder(signal.SIGKILL)
        assert _stopped_by(innocent) == 0


def test_f19_who_is_named_and_does_not_hold_the_lock_is_not_signalled(path: str) -> None:
    """F19, F13: the holder may write to its file, and names somebody else."""
    with running() as innocent, holder(path):
        with open(path, "r+b") as file:
            file.truncate(0)
            file.write(b"%d\n" % innocent)
        assert PidLock(path).status() == HeldByUnknown()
        with pytest.raises(LockFailed, match="another one has it locked"):
            PidLock(path).signal_holder(signal.SIGKILL)
        assert _stopped_by(innocent) == 0


def test_f19_who_has_released_meanwhile_is_not_signalled(path: str) -> None:
    """F19: between our look at the file and the opening of the process."""
    signalled: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _frame: signalled.append(number))
    held = PidLock(path).acquire()
    try:
        with (
            at("named", held.release),
            pytest.raises(LockFailed, match=r"nothing was signalled|not held"),
        ):
            PidLock(path).signal_holder(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert signalled == []


def test_f19_nobody_is_signalled_where_there_is_no_file(path: str) -> None:
    """F19: absent."""
    with pytest.raises(LockFailed, match="absent"):
        PidLock(path).signal_holder(signal.SIGTERM)


@pytest.mark.needs("root", "CAP_SETUID")
def test_f19_the_kernel_says_who_may_signal(public: str) -> None:
    """F19: another user's process may be looked at, and not signalled."""
    path = os.path.join(public, "worker.pid")
    with holder(path) as pid:
        error = as_ordinary_user(lambda: _error_of(lambda: PidLock(path).signal_holder(15)))
        assert isinstance(error, PermissionError)
        assert as_ordinary_user(lambda: PidLock(path).status()) == HeldBy(pid)
