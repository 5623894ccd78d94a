"""`Pidfile`: stale ones, and letting go; `create_pidlock`."""

from __future__ import annotations

import atexit
import os

from parity.aside import aside
from parity.case import PIDFILE, Case, Module, differs, same
from parity.start import NOBODY, ORDINARY, ROOT
from parity.table.leftovers import (
    a_dangling_link,
    a_directory,
    a_fifo,
    a_hard_link,
    a_link,
    empty,
    everybody,
    garbage,
    huge,
    locked_from_another_namespace,
    of_a_dead_process,
    of_a_running_process,
    of_a_stranger,
    of_a_stranger_in_a_sticky_directory,
    of_a_zombie,
    with_a_reused_pid,
    with_our_pid,
    zero,
)

__all__ = ["CASES"]

# --- What is done in place of one call ------------------------------------------------------------


def and_is_it_there(m: Module, method: str, *, acquired: bool = False) -> object:
    """Call a method of an object that acquired the file before, or of another one."""
    lock = m.Pidfile(PIDFILE)
    holder = m.Pidfile(PIDFILE).acquire() if not acquired else lock.acquire()
    getattr(lock, method)()
    return os.path.exists(holder.path)


def by_a_forked_child(m: Module) -> object:
    lock = m.Pidfile(PIDFILE).acquire()
    aside(lock.release)
    return os.path.exists(PIDFILE)


def by_another_process(m: Module, function: str) -> object:
    m.create_pidlock(PIDFILE)

    def second() -> object:
        try:
            return getattr(m, function)(PIDFILE)
        except SystemExit as error:
            return f"exits {error.code}"

    return aside(second)


def by_the_same_process(m: Module) -> object:
    m.create_pidlock(PIDFILE)
    return m.create_pidlock(PIDFILE)


def and_exit(m: Module, function: str) -> object:
    """Return whether the file is there before, and after, the exit handlers run."""
    lock = getattr(m, function)(PIDFILE)
    before = os.path.exists(lock.path)
    atexit._run_exitfuncs()
    return before, os.path.exists(PIDFILE)


def and_a_childs_exit(m: Module) -> object:
    """Return whether the file is there after a forked child ran its exit handlers."""
    lock = m.create_pidlock(PIDFILE)
    aside(atexit._run_exitfuncs)
    return os.path.exists(lock.path)


def in_a_directory_of_roots(m: Module) -> object:
    return m.Pidfile("/etc/passwd").remove()


# --- The table ------------------------------------------------------------------------------------

_TAKEN = f"rewrites {PIDFILE}=PID"

_STALE: tuple[Case, ...] = (
    same("Pidfile.remove_if_stale"),
    *(
        same("Pidfile.remove_if_stale", given=given)
        for given in (with_our_pid, zero, of_a_running_process)
    ),
    *(
        differs(
            37,
            "Pidfile.remove_if_stale",
            given=given,
            celery=f"returns True; prints; removes {PIDFILE}",
            ours=f"returns True; removes {PIDFILE}",
        )
        for given in (of_a_dead_process, empty, garbage, a_hard_link)
    ),
    *(
        differs(
            38,
            "Pidfile.remove_if_stale",
            given=given,
            celery="returns False",
            ours=f"returns True; removes {PIDFILE}",
        )
        for given in (of_a_zombie, with_a_reused_pid, everybody)
    ),
    differs(
        38,
        "Pidfile.remove_if_stale",
        given=huge,
        celery="raises OverflowError",
        ours=f"returns True; removes {PIDFILE}",
    ),
    differs(
        10,
        "Pidfile.remove_if_stale",
        given=of_a_running_process,
        start=NOBODY,
        celery=f"returns True; prints; removes {PIDFILE}",
        ours="returns False",
    ),
    differs(
        11,
        "Pidfile.remove_if_stale",
        given=locked_from_another_namespace,
        celery=f"returns True; prints; removes {PIDFILE}",
        ours="returns False",
    ),
    differs(36, "Pidfile.remove_if_stale", given=a_fifo, celery="hangs", ours="raises LockFailed"),
    differs(
        36,
        "Pidfile.remove_if_stale",
        given=a_dangling_link,
        celery=f"returns True; removes {PIDFILE}",
        ours="raises LockFailed",
    ),
    # Removing, and letting go.
    same("Pidfile.remove"),
    *(same("Pidfile.remove", given=given) for given in (of_a_dead_process, of_a_running_process)),
    same("Pidfile.remove", "remove", acquired=True, doing=and_is_it_there),
    same("Pidfile.remove", doing=in_a_directory_of_roots, start=ORDINARY),
    differs(
        11,
        "Pidfile.remove",
        "remove",
        doing=and_is_it_there,
        celery="returns False",
        ours=f"raises LockFailed; makes {PIDFILE}=PID",
    ),
    differs(
        11,
        "Pidfile.remove",
        given=locked_from_another_namespace,
        celery=f"returns None; removes {PIDFILE}",
        ours="raises LockFailed",
    ),
    *(
        differs(
            36,
            "Pidfile.remove",
            given=given,
            celery=f"returns None; removes {PIDFILE}",
            ours="raises LockFailed",
        )
        for given in (a_fifo, a_link)
    ),
    same("Pidfile.release"),
    same("Pidfile.release", "release", acquired=True, doing=and_is_it_there),
    same("Pidfile.release", None, ValueError(), None),
    *(
        differs(
            39,
            "Pidfile.release",
            given=given,
            celery=f"returns None; removes {PIDFILE}",
            ours="returns None",
        )
        for given in (of_a_dead_process, of_a_running_process)
    ),
    differs(
        39,
        "Pidfile.release",
        doing=by_a_forked_child,
        celery="returns False",
        ours=f"returns True; makes {PIDFILE}=PID",
    ),
)

_LOCKS: tuple[Case, ...] = (
    same("create_pidlock", PIDFILE),
    same("create_pidlock", f"missing/{PIDFILE}"),
    *(
        same("create_pidlock", PIDFILE, given=given)
        for given in (of_a_running_process, with_our_pid, zero, a_dangling_link)
    ),
    same("create_pidlock", PIDFILE, start=ORDINARY),
    same("create_pidlock", f"/etc/{PIDFILE}", start=ORDINARY),
    same("create_pidlock", "create_pidlock", doing=by_another_process),
    same("_create_pidlock", "_create_pidlock", doing=by_another_process),
    same("create_pidlock", "create_pidlock", doing=and_exit),
    same("_create_pidlock", "_create_pidlock", doing=and_exit),
    *(
        differs(
            37,
            "create_pidlock",
            PIDFILE,
            given=given,
            celery=f"returns '<Pidfile>'; prints; {_TAKEN}",
            ours=f"returns '<Pidfile>'; {_TAKEN}",
        )
        for given in (of_a_dead_process, empty, garbage, a_hard_link)
    ),
    *(
        differs(
            38,
            "create_pidlock",
            PIDFILE,
            given=given,
            celery="exits 73; prints",
            ours=f"returns '<Pidfile>'; {_TAKEN}",
        )
        for given in (of_a_zombie, with_a_reused_pid, everybody)
    ),
    differs(
        38,
        "create_pidlock",
        PIDFILE,
        given=huge,
        celery="raises OverflowError",
        ours=f"returns '<Pidfile>'; {_TAKEN}",
    ),
    differs(
        10,
        "create_pidlock",
        PIDFILE,
        given=of_a_running_process,
        start=NOBODY,
        celery=f"returns '<Pidfile>'; prints; {_TAKEN}",
        ours="exits 73; prints",
    ),
    differs(
        11,
        "create_pidlock",
        PIDFILE,
        given=locked_from_another_namespace,
        celery=f"returns '<Pidfile>'; prints; {_TAKEN}",
        ours="exits 73; prints",
    ),
    differs(36, "create_pidlock", PIDFILE, given=a_fifo, celery="hangs", ours="raises LockFailed"),
    differs(
        36,
        "create_pidlock",
        PIDFILE,
        given=a_link,
        celery=f"returns '<Pidfile>'; prints; {_TAKEN}",
        ours="raises LockFailed",
    ),
    differs(
        36,
        "create_pidlock",
        PIDFILE,
        given=a_directory,
        celery="raises IsADirectoryError(EISDIR)",
        ours="raises LockFailed",
    ),
    *(
        differs(
            36,
            "create_pidlock",
            PIDFILE,
            given=given,
            start=start,
            celery=f"returns '<Pidfile>'; prints; {_TAKEN}",
            ours="raises LockFailed",
        )
        for given, start in (
            (of_a_stranger, NOBODY),
            (of_a_stranger, ROOT),
            (of_a_stranger_in_a_sticky_directory, ROOT),
        )
    ),
    differs(
        36,
        "create_pidlock",
        PIDFILE,
        given=of_a_stranger_in_a_sticky_directory,
        start=NOBODY,
        celery="raises PermissionError(EPERM); prints",
        ours="raises LockFailed",
    ),
    differs(
        37,
        "create_pidlock",
        PIDFILE,
        given=of_a_dead_process,
        start=NOBODY,
        celery=f"returns '<Pidfile>'; prints; {_TAKEN}",
        ours=f"returns '<Pidfile>'; {_TAKEN}",
    ),
    differs(
        39,
        "create_pidlock",
        doing=and_a_childs_exit,
        celery="returns False",
        ours=f"returns True; makes {PIDFILE}=PID",
    ),
    differs(
        40,
        "create_pidlock",
        doing=by_the_same_process,
        celery=f"returns '<Pidfile>'; makes {PIDFILE}=PID",
        ours=f"exits 73; prints; makes {PIDFILE}=PID",
    ),
)

CASES: tuple[Case, ...] = (*_STALE, *_LOCKS)
