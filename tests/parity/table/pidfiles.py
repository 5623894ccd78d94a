"""`Pidfile`: making it, and reading it."""

from __future__ import annotations

import os
from pathlib import Path

from harness.pidfiles import DEAD_PID, leave
from parity.case import PIDFILE, Case, Module, differs, same
from parity.start import ORDINARY
from parity.table.leftovers import (
    AGE,
    a_dangling_link,
    a_directory,
    a_fifo,
    a_hard_link,
    a_link,
    a_link_to_itself,
    empty,
    garbage,
    locked_from_another_namespace,
    of_a_dead_process,
    of_a_running_process,
    unreadable,
    with_our_pid,
)

__all__ = ["CASES"]

# --- What is done in place of one call ------------------------------------------------------------


def path(m: Module, given: object) -> object:
    """Return the path."""
    return m.Pidfile(given).path


def and_mode(m: Module, umask: int) -> object:
    """Return whether the pid is read back, and the file's permissions."""
    os.umask(umask)
    lock = m.Pidfile(PIDFILE).acquire()
    return lock.is_locked(), lock.read_pid() == os.getpid(), f"{os.stat(PIDFILE).st_mode:o}"


def returns_itself(m: Module) -> object:
    lock = m.Pidfile(PIDFILE)
    return lock.acquire() is lock


def twice(m: Module) -> object:
    return m.Pidfile(PIDFILE).acquire().acquire()


def of_two_objects(m: Module) -> object:
    first = m.Pidfile(PIDFILE).acquire()
    return first, m.Pidfile(PIDFILE).acquire()


def after_release(m: Module) -> object:
    lock = m.Pidfile(PIDFILE).acquire()
    lock.release()
    return lock.acquire().is_locked()


def at(m: Module, directory: str) -> object:
    return m.Pidfile(f"{directory}/{PIDFILE}").acquire()


def around_a_block(m: Module) -> object:
    lock = m.Pidfile(PIDFILE)
    with lock as given:
        inside = given is lock, os.path.exists(PIDFILE)
    return inside, os.path.exists(PIDFILE)


def around_a_block_that_raises(m: Module) -> object:
    with m.Pidfile(PIDFILE):
        raise ValueError("in the block")


def of_a_file_with(m: Module, content: bytes) -> object:
    leave(PIDFILE, content, age=AGE)
    value = m.Pidfile(PIDFILE).read_pid()
    os.unlink(PIDFILE)
    return value


# --- The table ------------------------------------------------------------------------------------

_MALFORMED = "raises SpecError"
_TAKEN = f"rewrites {PIDFILE}=PID"

_MAKING: tuple[Case, ...] = (
    *(
        same("Pidfile", given, doing=path)
        for given in (PIDFILE, "/run/app.pid", "", "a/../b", Path("app.pid"), None, 7)
    ),
    differs(
        32,
        "Pidfile",
        b"app.pid",
        doing=path,
        celery="returns b'DIR/app.pid'",
        ours="returns 'DIR/app.pid'",
    ),
    same("PIDFile.read_pid", given=of_a_dead_process),
    *(same("Pidfile.acquire", umask, doing=and_mode) for umask in (0o022, 0)),
    *(
        differs(
            34,
            "Pidfile.acquire",
            umask,
            doing=and_mode,
            celery=f"returns (True, True, '{mode}'); makes {PIDFILE}=PID",
            ours=f"returns (True, True, '100644'); makes {PIDFILE}=PID",
        )
        for umask, mode in ((0o027, "100640"), (0o077, "100600"))
    ),
    same("Pidfile.acquire", doing=returns_itself),
    same("Pidfile.acquire", doing=twice),
    same("Pidfile.acquire", doing=of_two_objects),
    same("Pidfile.acquire", doing=after_release),
    same("Pidfile.acquire", "missing", doing=at),
    same("Pidfile.acquire", "/proc", doing=at),
    same("Pidfile.acquire", "/etc", doing=at, start=ORDINARY),
    *(
        same("Pidfile.acquire", given=given)
        for given in (
            of_a_running_process,
            locked_from_another_namespace,
            a_directory,
            a_fifo,
            a_link,
            a_dangling_link,
        )
    ),
    *(
        differs(
            33,
            "Pidfile.acquire",
            given=given,
            celery="raises LockFailed",
            ours=f"returns '<Pidfile>'; {_TAKEN}",
        )
        for given in (of_a_dead_process, empty, garbage, with_our_pid)
    ),
    same("Pidfile.__enter__", doing=around_a_block),
    same("Pidfile.__enter__", doing=around_a_block_that_raises),
    same("Pidfile.write_pid"),
    *(
        same("Pidfile.write_pid", given=given)
        for given in (of_a_dead_process, of_a_running_process, a_dangling_link, a_fifo)
    ),
)

_READING: tuple[Case, ...] = (
    same("Pidfile.is_locked"),
    *(
        same("Pidfile.is_locked", given=given)
        for given in (of_a_dead_process, of_a_running_process, empty, a_dangling_link, a_fifo)
    ),
    same("Pidfile.read_pid"),
    *(
        same("Pidfile.read_pid", content, doing=of_a_file_with)
        for content in (
            b"1\n",
            b"123\n",
            b"4194304\n",
            b"",
            b"\n",
            b"123",
            b"abc\n",
            b"12\0\n",
            b"123 /usr/bin/app\n",
            b"9" * 5000 + b"\n",
        )
    ),
    *(
        differs(
            35,
            "Pidfile.read_pid",
            content,
            doing=of_a_file_with,
            celery=f"returns {number}",
            ours=f"{_MALFORMED}; makes {PIDFILE}={content!r}",
        )
        for content, number in (
            (b" 12\n", 12),
            (b"12\r\n", 12),
            (b"+12\n", 12),
            (b"1_0\n", 10),
            (b"007\n", 7),
            (b"0\n", 0),
            (b"-1\n", -1),
            (b"4294967296\n", 2**32),
            (b"12\n34\n", 12),
        )
    ),
    differs(
        35,
        "Pidfile.read_pid",
        b"\xff\n",
        doing=of_a_file_with,
        celery=rf"raises UnicodeDecodeError; makes {PIDFILE}=b'\xff\n'",
        ours=rf"{_MALFORMED}; makes {PIDFILE}=b'\xff\n'",
    ),
    same("Pidfile.read_pid", given=a_hard_link),
    same("Pidfile.read_pid", given=unreadable, start=ORDINARY),
    differs(36, "Pidfile.read_pid", given=a_fifo, celery="hangs", ours="raises ValueError"),
    differs(
        36,
        "Pidfile.read_pid",
        given=a_link,
        celery=f"returns {DEAD_PID}",
        ours="raises ValueError",
    ),
    differs(
        36,
        "Pidfile.read_pid",
        given=a_dangling_link,
        celery="returns None",
        ours="raises ValueError",
    ),
    differs(
        36,
        "Pidfile.read_pid",
        given=a_link_to_itself,
        celery="raises OSError(ELOOP)",
        ours="raises ValueError",
    ),
    differs(
        36,
        "Pidfile.read_pid",
        given=a_directory,
        celery="raises IsADirectoryError(EISDIR)",
        ours="raises ValueError",
    ),
)

CASES: tuple[Case, ...] = (*_MAKING, *_READING)
