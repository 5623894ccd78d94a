"""`DaemonContext` and `detached` without a fork: attributes, and ``fake``."""

from __future__ import annotations

import os
from typing import NoReturn

from parity.case import PIDFILE, Case, Module, differs, same
from parity.start import NOBODY, ROOT
from parity.table.leftovers import of_a_dead_process, of_a_running_process

__all__ = ["CASES"]


def _umask() -> str:
    umask = os.umask(0)
    os.umask(umask)
    return f"{umask:04o}"


def _raise() -> NoReturn:
    raise RuntimeError("set-up failed")


def _exit() -> NoReturn:
    raise SystemExit(9)


# --- What is done in place of one call --------------------------------------------


def attributes(m: Module, *arguments: object, **keywords: object) -> object:
    """Return the attributes of a context."""
    context = m.DaemonContext(*arguments, **keywords)
    names = ("workdir", "umask", "fake", "after_chdir", "after_forkers")
    return [getattr(context, name) for name in names]


def faked(m: Module, **options: object) -> object:
    """Open a context that does not fork, and tell how it leaves the process."""
    here = os.getcwd()
    try:
        with m.DaemonContext(fake=True, **options) as given:
            return given, os.getcwd(), _umask()
    finally:
        os.chdir(here)


def opened_again(m: Module) -> object:
    """Return how many times it was really opened."""
    times: list[None] = []
    context = m.DaemonContext(
        fake=True, workdir=os.getcwd(), after_chdir=lambda: times.append(None)
    )
    context.open()
    context.open()
    context.close()
    context.open()
    context.close(None, None, None)
    context.close()
    return len(times)


def and_count(m: Module, number: int | None) -> object:
    """Return where 50 leads, and how many descriptors more there are."""
    zero = os.open("/dev/zero", os.O_RDONLY)
    os.dup2(zero, 50)
    before = len(os.listdir("/proc/self/fd"))
    m.DaemonContext().redirect_to_null(number)
    return os.readlink("/proc/self/fd/50"), len(os.listdir("/proc/self/fd")) - before


def faked_drop(m: Module, **options: object) -> object:
    """Detach without a fork, and tell how it leaves the process."""
    with m.detached(fake=True, **options):
        return os.getcwd(), _umask()


def attributes_of_detached(m: Module, **options: object) -> object:
    """Return the context's kind and attributes."""
    context = m.detached(**options)
    return type(context), context.workdir, context.umask, context.fake


def with_sigchld_ignored(m: Module) -> object:
    """Return the handler of SIGCHLD."""
    m.signals["CHLD"] = m.signals.ignored
    m.detached(fake=True)
    return m.signals["CHLD"]


# --- The table ------------------------------------------------------------------------------------

CASES: tuple[Case, ...] = (
    same("DaemonContext", doing=attributes),
    same("DaemonContext", PIDFILE, "/tmp", 0o22, True, _exit, False, doing=attributes),
    same("DaemonContext", workdir="", doing=attributes),
    same("DaemonContext", of_any_other_name=1, doing=attributes),
    *(
        same("DaemonContext", umask=umask, doing=attributes)
        for umask in ("022", "22", "0", "0o22", "8", "08", "", "abc", "0x12", None, 0, 0o777)
    ),
    same("DaemonContext.open", doing=faked),
    same("DaemonContext.open", workdir="/usr", doing=faked),
    same("DaemonContext.open", workdir="missing", doing=faked),
    same("DaemonContext.open", umask=0o27, doing=faked),
    same("DaemonContext.open", umask="0027", doing=faked),
    same("DaemonContext.open", umask="27", doing=faked),
    same("DaemonContext.open", umask=2**40, doing=faked),
    same("DaemonContext.open", after_chdir=_raise, doing=faked),
    same("DaemonContext.open", after_chdir=_exit, doing=faked),
    same("DaemonContext.close", doing=opened_again),
    same("DaemonContext.redirect_to_null", None, doing=and_count),
    differs(
        42,
        "DaemonContext.redirect_to_null",
        50,
        doing=and_count,
        celery="returns ('/dev/null', 1)",
        ours="returns ('/dev/null', 0)",
    ),
    same("detached", doing=attributes_of_detached),
    same("detached", umask="027", workdir="/usr", fake=True, other=2, doing=attributes_of_detached),
    same("detached", doing=with_sigchld_ignored),
    same("detached", doing=faked_drop),
    same("detached", umask=0o22, workdir="/usr", doing=faked_drop),
    same("detached", logfile="log", doing=faked_drop),
    same("detached", logfile="missing/log", doing=faked_drop),
    same("detached", pidfile=PIDFILE, doing=faked_drop),
    same("detached", pidfile=PIDFILE, doing=faked_drop, given=of_a_running_process),
    same("detached", uid="no-such-user", doing=faked_drop),
    same("detached", gid="no-such-group", doing=faked_drop),
    same("detached", logfile="log", uid="nobody", doing=faked_drop, start=ROOT),
    same("detached", uid="games", gid="adm", doing=faked_drop, start=ROOT),
    same("detached", uid="games", doing=faked_drop, start=NOBODY),
    differs(
        3,
        "detached",
        gid="adm",
        doing=faked_drop,
        start=ROOT,
        celery="returns ('DIR', '0000'); gid 4",
        ours="returns ('DIR', '0000'); gid 4; groups 4",
    ),
    differs(
        37,
        "detached",
        pidfile=PIDFILE,
        doing=faked_drop,
        given=of_a_dead_process,
        celery=f"returns ('DIR', '0000'); prints; removes {PIDFILE}",
        ours=f"returns ('DIR', '0000'); removes {PIDFILE}",
    ),
)
