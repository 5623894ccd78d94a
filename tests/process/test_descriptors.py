"""Open descriptors: listed, found, closed and redirected, whatever the limits and the kernel."""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import logging.handlers
import os
import resource
import signal
import socket
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abdicate.errors import SecurityWarning
from abdicate.process.descriptors import (
    close_open_fds,
    fd_by_path,
    fileno_of,
    get_fdmax,
    is_open,
    isatty,
    logging_descriptors,
    occupy_standard_descriptors,
    open_descriptors,
    redirect_to_null,
)
from harness.child import ChildFailed, error_in_child, in_child
from harness.seccomp import CLOSE_RANGE, refuse

TESTS = Path(__file__).parents[1]

# How close_range(2) may be missing: seccomp filters say EPERM, old kernels ENOSYS.
refusals = pytest.mark.parametrize(
    "refusal", [None, errno.EPERM, errno.ENOSYS], ids=["close_range", "EPERM", "ENOSYS"]
)


def _left_open_by(function: Callable[[], object]) -> list[int]:
    """What a forked child has open after *function*, seen from outside: it may be nothing."""
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            signal.alarm(60)
            os.closerange(3, 4096)  # what the test process itself holds
            function()
            os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(70)
    _, status = os.waitpid(pid, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        raise ChildFailed(f"the child died: wait status {status:#x}")
    try:
        return sorted(int(name) for name in os.listdir(f"/proc/{pid}/fd"))
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _maybe_refuse(refusal: int | None) -> None:
    if refusal is not None:
        refuse(CLOSE_RANGE, refusal)


def _limit(soft: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _fill(*numbers: int) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    for number in numbers:
        os.dup2(null, number)
    if null not in numbers:
        os.close(null)


# --- close_open_fds -----------------------------------------------------------------------------


@refusals
@pytest.mark.needs("linux")
def test_d2_every_descriptor_is_closed(refusal: int | None) -> None:
    """D2: with close_range refused, through the descriptor directory."""

    def child() -> None:
        _fill(3, 4, 50, 900)
        _maybe_refuse(refusal)
        close_open_fds()

    assert _left_open_by(child) == []


@refusals
@pytest.mark.needs("linux")
def test_d2_what_is_kept_stays_open(refusal: int | None) -> None:
    """D2: numbers, and objects that have one; what isn't open doesn't become so."""

    def child() -> None:
        _fill(50, 51, 52, 53, 900)
        with open(51, closefd=False) as file:
            _maybe_refuse(refusal)
            close_open_fds([2, 900, file, 53, 53, 700])

    assert _left_open_by(child) == [2, 51, 53, 900]


@refusals
@pytest.mark.needs("linux")
def test_what_has_no_descriptor_is_passed_over(refusal: int | None) -> None:
    def child() -> None:
        _fill(50)
        with open(os.devnull) as closed:
            pass
        _maybe_refuse(refusal)
        close_open_fds([None, io.StringIO(), closed, -1, -50, 2**31, 2**32 + 50, 2**70, 50])

    assert _left_open_by(child) == [50]


def test_keep_may_be_any_iterable() -> None:
    def child() -> None:
        _fill(50, 51)
        close_open_fds(number for number in (51, 50))

    assert _left_open_by(child) == [50, 51]


@settings(max_examples=40, deadline=None)
@given(
    opened=st.sets(st.integers(100, 140)),
    kept=st.lists(st.integers(90, 150)),
    refusal=st.sampled_from([None, errno.EPERM]),
)
@pytest.mark.needs("linux")
def test_afterwards_is_open_what_was_open_and_is_kept(
    opened: set[int], kept: list[int], refusal: int | None
) -> None:
    def child() -> None:
        _fill(*opened)
        _maybe_refuse(refusal)
        close_open_fds(kept)

    assert _left_open_by(child) == sorted(opened & set(kept))


@refusals
@pytest.mark.needs("linux")
def test_d2_descriptors_above_a_lowered_limit_are_closed(refusal: int | None) -> None:
    """D2: celery 5.6 leaks them."""

    def child() -> None:
        _fill(50, 900, 901)
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        _maybe_refuse(refusal)
        close_open_fds([50, 901])

    assert _left_open_by(child) == [50, 901]


@refusals
@pytest.mark.needs("linux")
def test_d2_a_full_table_is_closed_too(refusal: int | None) -> None:
    """D2: reading the directory takes a descriptor, and there is none to be had."""

    def child() -> None:
        _limit(64)
        with contextlib.suppress(OSError):
            while True:
                os.open(os.devnull, os.O_RDONLY)
        _maybe_refuse(refusal)
        # Nor must a module be needed that can't be opened: ctypes, with all that it has.
        for name in [
            name for name in sys.modules if name.partition(".")[0] in {"ctypes", "_ctypes"}
        ]:
            del sys.modules[name]
        close_open_fds([0, 5])

    assert _left_open_by(child) == [0, 5]


@refusals
@pytest.mark.needs("linux", "root")
def test_a_user_who_has_dropped_root_can_still_close(refusal: int | None) -> None:
    """P33: after the drop the process isn't dumpable, and /proc/self belongs to root."""

    def child() -> None:
        _fill(50, 51)
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        _maybe_refuse(refusal)
        close_open_fds([50])

    assert _left_open_by(child) == [50]


def _without_proc(directory: Path) -> None:
    os.chroot(directory)
    os.chdir("/")


@pytest.mark.needs("linux", "root", "CAP_SYS_CHROOT")
def test_d2_without_proc_the_ranges_are_closed(tmp_path: Path) -> None:
    """D2, P44: in a chroot, close_range is all there is, and enough."""

    def child() -> None:
        import ctypes  # noqa: F401 - its file is out of reach in there

        _fill(50, 51)
        _without_proc(tmp_path)
        with warnings.catch_warnings(action="error"):
            close_open_fds([50])

    assert _left_open_by(child) == [50]


@pytest.mark.needs("linux", "root", "CAP_SYS_CHROOT")
def test_d2_with_neither_proc_nor_close_range_it_says_what_it_can_see(tmp_path: Path) -> None:
    """D2: each number up to the hard limit, and a warning that higher ones are not seen."""

    def child() -> None:
        _fill(50, 51, 90)
        # As the last: what is open at 90 can't be known any more.
        resource.setrlimit(resource.RLIMIT_NOFILE, (80, 80))
        refuse(CLOSE_RANGE)
        _without_proc(tmp_path)
        with pytest.warns(SecurityWarning, match="below 80; a descriptor above it"):
            close_open_fds([50])

    assert _left_open_by(child) == [50, 90]


# --- The cost, which must not follow RLIMIT_NOFILE ----------------------------------------------

_COUNTED = """
import ctypes, os, resource, sys
from abdicate.process.descriptors import close_open_fds, fd_by_path
from harness.seccomp import CLOSE_RANGE, refuse

limit, opened, refused, action = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
try:  # the most that this machine allows: root with CAP_SYS_RESOURCE may go beyond
    most = int(open("/proc/sys/fs/nr_open").read())
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
except (OSError, ValueError):
    most = hard
soft = limit or most
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, soft))
close_open_fds([0, 1, 2])
for _ in range(opened - 1):
    os.open("/dev/null", os.O_RDONLY)
os.dup2(3, soft - 1)  # the last one at the highest number that there may be
if refused == "refused":
    refuse(CLOSE_RANGE)
os.getsid(0)
found = close_open_fds([0, 1, 2]) if action == "close" else fd_by_path(["/dev/null"])
os.getsid(0)
if action == "find":
    assert len([number for number in found if number > 2]) == opened, found
"""


def _calls(limit: int, opened: int, action: str, refused: str = "", *, log: Path) -> list[str]:
    """The system calls of one action under a soft limit (0: the most), as strace sees them."""
    arguments = (str(limit), str(opened), refused or "allowed", action)
    subprocess.run(
        ["strace", "-o", str(log), sys.executable, "-c", _COUNTED, *arguments],
        env=os.environ | {"PYTHONPATH": str(TESTS)},
        check=True,
        timeout=120,
    )
    names = [line.partition("(")[0] for line in log.read_text().splitlines()]
    first, last = (index for index, name in enumerate(names) if name == "getsid")
    return names[first + 1 : last]


@pytest.mark.needs("linux", "strace")
def test_d2_closing_costs_the_same_at_the_highest_limit(tmp_path: Path) -> None:
    """D2: one close_range above what is kept; celery took seconds at 2^20."""
    calls = _calls(1024, 10, "close", log=tmp_path / "log")
    assert calls.count("close_range") == 1
    assert "close" not in calls
    assert _calls(0, 10, "close", log=tmp_path / "log") == calls


@pytest.mark.needs("linux", "strace")
def test_d2_closing_without_close_range_costs_the_same_at_the_highest_limit(tmp_path: Path) -> None:
    """D2: one close for each that is open, and a few to list them; not one for each number."""
    calls = _calls(1024, 10, "close", "refused", log=tmp_path / "log")
    assert 10 <= calls.count("close") <= 20
    assert len(calls) <= 30
    assert _calls(0, 10, "close", "refused", log=tmp_path / "log") == calls


@pytest.mark.needs("linux", "strace")
@pytest.mark.parametrize("opened", [10, 500])
def test_d2_finding_costs_the_same_at_the_highest_limit(tmp_path: Path, opened: int) -> None:
    """D2, D3: one fstat for each that is open."""
    calls = _calls(1024, opened, "find", log=tmp_path / "log")
    assert len(calls) <= opened + 30
    assert _calls(0, opened, "find", log=tmp_path / "log") == calls


# --- Listing and finding ------------------------------------------------------------------------


@pytest.mark.needs("linux")
def test_all_open_descriptors_are_listed_and_none_besides() -> None:
    def child() -> tuple[list[int], list[int]]:
        before = open_descriptors()
        _fill(50, 900)
        return before, open_descriptors()

    before, after = in_child(child)
    assert after == sorted([*before, 50, 900])


@pytest.mark.needs("linux")
def test_listing_works_with_the_standard_ones_closed() -> None:
    """D4: the listing's own descriptors land on 0 to 2, and prove nothing there."""

    def child() -> list[int]:
        inherited = open_descriptors()
        for number in (0, 1, 2):
            os.close(number)
        assert open_descriptors() == [number for number in inherited if number > 2]
        return open_descriptors()

    assert min(in_child(child)) > 2


@pytest.mark.parametrize("closed", [(), (0,), (0, 1, 2)])
@pytest.mark.needs("linux", "root", "CAP_SYS_CHROOT")
def test_d2_a_directory_that_does_not_list_its_own_descriptor_is_not_trusted(
    tmp_path: Path, closed: tuple[int, ...]
) -> None:
    """D2: on FreeBSD without fdescfs, /dev/fd has 0, 1 and 2, and never another."""
    (tmp_path / "dev" / "fd").mkdir(parents=True)
    for name in "012":
        (tmp_path / "dev" / "fd" / name).touch()

    def child() -> bool:
        _fill(50)
        _without_proc(tmp_path)
        for number in closed:
            os.close(number)
        with pytest.warns(SecurityWarning, match="no descriptor directory can be read"):
            return 50 in open_descriptors()

    assert in_child(child)


@pytest.mark.needs("linux")
def test_d2_listing_with_no_descriptor_free_says_what_it_can_see() -> None:
    """D2: each number below the hard limit is looked at, and the rest is named unseen."""

    def child() -> list[int]:
        inherited = open_descriptors()
        highest = max(64, *inherited) + 1
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest, highest))
        with contextlib.suppress(OSError):
            while True:
                os.open(os.devnull, os.O_RDONLY)
        with pytest.warns(SecurityWarning, match=f"below {highest}; a descriptor above it"):
            listed = open_descriptors()
        assert listed == list(range(highest))
        return listed

    assert in_child(child)


def test_d3_descriptors_are_found_by_path(tmp_path: Path) -> None:
    """D3: all of them: of hard links, of symlinks, and duplicates."""
    wanted, other, hard, soft = (tmp_path / name for name in ("wanted", "other", "hard", "soft"))
    wanted.touch()
    other.touch()
    hard.hardlink_to(wanted)
    soft.symlink_to(wanted)
    with open(wanted) as first, open(other), open(hard, "a") as second, open(soft) as third:
        duplicate = os.dup(first.fileno())
        try:
            found = sorted([first.fileno(), second.fileno(), third.fileno(), duplicate])
            assert fd_by_path([str(wanted)]) == found
            assert fd_by_path([soft]) == found
            assert fd_by_path([os.fsencode(hard)]) == found
        finally:
            os.close(duplicate)


def test_files_that_are_missing_are_passed_over(tmp_path: Path) -> None:
    with open(tmp_path / "here", "w") as file:
        paths = [tmp_path / "missing", tmp_path / "here", tmp_path / "here" / "not-a-directory"]
        assert fd_by_path(paths) == [file.fileno()]
    assert fd_by_path([tmp_path / "missing"]) == []
    assert fd_by_path([]) == []


def test_a_number_is_not_a_path() -> None:
    """os.stat(0) would be standard input's."""
    with pytest.raises(TypeError):
        fd_by_path([0])  # type: ignore[list-item]  # what is tested


def test_d3_a_fifo_without_a_reader_does_not_hang(tmp_path: Path) -> None:
    """D3: celery opens it, and waits for a writer for ever."""
    os.mkfifo(tmp_path / "fifo")

    def child() -> tuple[list[int], bool]:
        nobody = fd_by_path([tmp_path / "fifo"])
        end = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
        return nobody, fd_by_path([tmp_path / "fifo"]) == [end]

    assert in_child(child, timeout=10) == ([], True)


@pytest.mark.needs("linux")
def test_d3_finding_opens_no_file(tmp_path: Path) -> None:
    """D3: a file that this user may not read is found; a terminal or tape doesn't act."""
    (tmp_path / "secret").touch()

    def child() -> bool:
        os.chdir(tmp_path)
        file = os.open("secret", os.O_RDONLY)
        os.chmod("secret", 0)
        os.chmod(".", 0o755)
        if os.geteuid() == 0:
            os.setresuid(65534, 65534, 65534)
        with pytest.raises(PermissionError):
            os.open("secret", os.O_RDONLY)
        return fd_by_path(["secret"]) == [file]

    assert in_child(child)


def test_the_limit_is_the_soft_one() -> None:
    def child() -> tuple[int | None, int | None]:
        _limit(100)
        return get_fdmax(), get_fdmax(default=2048)

    assert in_child(child) == (100, 100)


@pytest.mark.parametrize("number", [-1, 2**31 - 1, 2**31, 2**70])
def test_no_number_that_is_not_open_is_an_error(number: int) -> None:
    assert not is_open(number)


def test_the_descriptor_of_a_thing() -> None:
    with open(os.devnull) as file:
        number = file.fileno()
        assert fileno_of(file) == number
        assert fileno_of(number) == number
    assert fileno_of(file) is None
    assert fileno_of(io.BytesIO()) is None
    assert fileno_of(None) is None


# --- isatty -------------------------------------------------------------------------------------


def test_a_terminal_is_one() -> None:
    master, slave = os.openpty()
    try:
        with open(slave, "w") as terminal:
            assert isatty(terminal) is True
    finally:
        os.close(master)


def test_a_file_is_no_terminal(tmp_path: Path) -> None:
    with open(tmp_path / "file", "w") as file:
        assert isatty(file) is False


def test_a_closed_file_is_no_terminal(tmp_path: Path) -> None:
    """D13: its isatty() raises ValueError."""
    with open(tmp_path / "file", "w") as file:
        pass
    assert isatty(file) is False


@pytest.mark.parametrize("thing", [None, 1, object()])
def test_what_cannot_be_asked_is_none(thing: object) -> None:
    assert isatty(thing) is None


# --- Standard input, output, error --------------------------------------------------------------


@pytest.mark.needs("linux")
def test_d5_redirecting_leaks_no_descriptor() -> None:
    """D5: celery leaves three of /dev/null behind."""

    def child() -> tuple[list[int], list[int], list[str]]:
        before = open_descriptors()
        redirect_to_null(0, 1, 2)
        redirect_to_null(1)
        return before, open_descriptors(), [os.readlink(f"/proc/self/fd/{n}") for n in range(3)]

    before, after, targets = in_child(child)
    assert after == sorted({0, 1, 2, *before})
    assert targets == ["/dev/null"] * 3


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1), (0, 2), (0, 1, 2)])
def test_standard_descriptors_that_were_closed_at_the_start_are_occupied(
    closed: tuple[int, ...],
) -> None:
    """D4: else the next file opened is standard output, and gets what anything prints."""

    def child() -> tuple[list[int], int, list[str], list[int]]:
        before = open_descriptors()
        for number in closed:
            os.close(number)
        occupied = occupy_standard_descriptors()
        after = open_descriptors()
        next_one = os.open(os.devnull, os.O_RDONLY)
        names = [os.readlink(f"/proc/self/fd/{number}") for number in occupied]
        return occupied, next_one, names, sorted(set(after) ^ {0, 1, 2, *before})

    occupied, next_one, names, leaked = in_child(child)
    assert occupied == list(closed)
    assert next_one > 2
    assert set(names) == {"/dev/null"}
    assert leaked == []


def test_standard_descriptors_that_are_open_are_left_alone(tmp_path: Path) -> None:
    """D4: only what was closed is opened."""

    def child() -> tuple[list[int], bool]:
        file = os.open(tmp_path / "out", os.O_CREAT | os.O_WRONLY)
        for number in (0, 1, 2):
            os.dup2(file, number)
        return occupy_standard_descriptors(), os.path.sameopenfile(file, 1)

    assert in_child(child) == ([], True)


def test_a_program_executed_afterwards_inherits_them() -> None:
    """D4: opened on its own number the device would be close-on-exec, and dup2 not needed."""

    def child() -> list[bool]:
        for number in (0, 1, 2):
            os.close(number)
        occupy_standard_descriptors()
        return [os.get_inheritable(number) for number in (0, 1, 2)]

    assert in_child(child) == [True] * 3


@pytest.mark.needs("root", "CAP_SYS_CHROOT")
def test_d5_a_plain_file_in_the_place_of_the_device_is_refused(tmp_path: Path) -> None:
    """D5: in a chroot it would collect what the daemon prints until the disk is full."""
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "null").touch()

    def child() -> None:
        before = os.fstat(1)
        number = os.dup(1)
        _without_proc(tmp_path)
        try:
            redirect_to_null(1)
        finally:
            assert os.path.samestat(before, os.fstat(1))
            os.close(number)
            assert os.dup(1) == number, "a descriptor was leaked"

    error = error_in_child(child)
    assert isinstance(error, OSError)
    assert (error.errno, error.filename) == (errno.ENODEV, "/dev/null")


@pytest.mark.needs("root", "CAP_SYS_CHROOT")
def test_a_missing_device_is_named(tmp_path: Path) -> None:
    def child() -> None:
        _without_proc(tmp_path)
        redirect_to_null(1)

    error = error_in_child(child)
    assert isinstance(error, FileNotFoundError)
    assert error.filename == "/dev/null"


# --- Log handlers -------------------------------------------------------------------------------


def _descriptor(handler: logging.FileHandler) -> int:
    assert handler.stream is not None
    return handler.stream.fileno()


@pytest.mark.needs("linux")
def test_a_log_that_is_kept_goes_on(tmp_path: Path) -> None:
    """D11: closed under its owner, the log's lines land in the file opened next."""
    alive: list[logging.Handler] = []

    def child() -> None:
        _fill(50)
        handler = logging.FileHandler(tmp_path / "app.log")
        number = _descriptor(handler)
        close_open_fds(number for number in logging_descriptors() if number > 2)
        handler.emit(logging.makeLogRecord({"msg": f"still at {number}"}))
        alive.append(handler)

    (number,) = _left_open_by(child)
    assert (tmp_path / "app.log").read_text() == f"still at {number}\n"


def test_handlers_behind_handlers_and_sockets_are_found(tmp_path: Path) -> None:
    """D11: no logger knows the target of a MemoryHandler; syslog is a socket."""

    def child() -> tuple[bool, ...]:
        memory = logging.handlers.MemoryHandler(10, target=logging.FileHandler(tmp_path / "log"))
        assert isinstance(memory.target, logging.FileHandler)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
            server.bind(str(tmp_path / "syslog"))
            syslog = logging.handlers.SysLogHandler(str(tmp_path / "syslog"))
            (client,) = _sockets(syslog)
            found = logging_descriptors()
            return _descriptor(memory.target) in found, client in found, server.fileno() in found

    assert in_child(child) == (True, True, False)


def _sockets(handler: logging.handlers.SysLogHandler) -> list[int]:
    return [value.fileno() for value in vars(handler).values() if isinstance(value, socket.socket)]


def test_a_handler_without_an_open_file_is_passed_over(tmp_path: Path) -> None:
    """D11: one that opens its file later, and one that has closed it."""

    def child() -> bool:
        before = logging_descriptors()
        late = logging.FileHandler(tmp_path / "late.log", delay=True)
        closed = logging.FileHandler(tmp_path / "closed.log")
        closed.close()
        return logging_descriptors() == before and late.stream is None

    assert in_child(child)


def test_logging_is_not_imported_to_look() -> None:
    """D11: where nothing has imported it, there is no handler."""
    program = """
        import sys
        from abdicate.process.descriptors import logging_descriptors
        assert logging_descriptors() == []
        assert "logging" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=60)


def test_the_random_device_can_be_kept() -> None:
    """D11: a library that holds /dev/urandom open must not read from another file."""

    def child() -> None:
        _fill(51)
        os.dup2(os.open("/dev/urandom", os.O_RDONLY), 50)
        close_open_fds(number for number in fd_by_path(["/dev/urandom"]) if number >= 50)

    assert _left_open_by(child) == [50]
