"""`DaemonContext` and `detached`, with real daemons.

What is written ``(0, False, …)`` is what the terminal sees, the exit status and whether anything
was printed, and then what the daemon says of itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import signal
import sys
import threading
import time
from multiprocessing import util
from typing import NoReturn

from parity.aside import started
from parity.case import PIDFILE, Case, Module, differs, same
from parity.start import ROOT
from parity.table.leftovers import of_a_running_process

__all__ = ["CASES"]

_FAILED = "returns (1, True, None)"


def _umask() -> str:
    umask = os.umask(0)
    os.umask(umask)
    return f"{umask:04o}"


def _standard() -> list[str]:
    return [os.readlink(f"/proc/self/fd/{number}") for number in (0, 1, 2)]


def _self() -> object:
    """What a daemon is."""
    return (
        "leads its session" if os.getsid(0) == os.getpid() else "a follower",
        os.getcwd(),
        _umask(),
        *set(_standard()),
    )


def _raise() -> NoReturn:
    raise RuntimeError("set-up failed")


def _exit() -> NoReturn:
    raise SystemExit(9)


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


# --- What is done in place of one call ---------------------------------------------


def for_real(m: Module, **options: object) -> object:
    """Become a daemon."""
    return started(lambda: m.DaemonContext(**options).open(), _self)


def in_another_session(m: Module) -> object:
    """Tell whether the session is another, and the process group the session's."""
    session = os.getsid(0)
    return started(
        lambda: m.DaemonContext().open(),
        lambda: (os.getsid(0) != session, os.getpgrp() == os.getsid(0)),
    )


def and_what_is_open(m: Module) -> object:
    """Return what is open besides standard input, output and error."""
    # Those of the tests' own logs would be kept.
    logging._handlerList.clear()  # type: ignore[attr-defined]  # by it logging finds them itself

    def files() -> object:
        paths = (f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd") if int(name) > 2)
        return [os.readlink(path) for path in paths if os.path.exists(path)]

    return started(lambda: m.DaemonContext().open(), files)


def with_standard_output_replaced(m: Module) -> object:
    """Return what standard output is, where the program prints somewhere else."""
    elsewhere: list[object] = []

    def start() -> None:
        # Still used, as `sys.__stdout__` would be: or it would be closed.
        elsewhere.append(sys.stdout)
        sys.stdout = io.StringIO()
        m.DaemonContext().open()

    def output() -> object:
        try:
            return os.readlink("/proc/self/fd/1")
        except FileNotFoundError:
            return "closed"

    return started(start, output)


def with_sigterm_blocked(m: Module) -> object:
    """Return the signals that are blocked in the daemon."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    return started(
        lambda: m.DaemonContext().open(),
        lambda: sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, ()))),
    )


def with_a_handler(m: Module) -> object:
    """Return the handlers in the daemon."""
    m.signals["USR1"] = m.signals.ignored
    return started(lambda: m.DaemonContext().open(), lambda: m.signals["USR1"])


def with_urandom_open(m: Module) -> object:
    """Read from a descriptor that was opened before."""
    number = os.open("/dev/urandom", os.O_RDONLY)
    return started(lambda: m.DaemonContext().open(), lambda: len(os.read(number, 4)))


def with_a_log_open(m: Module) -> object:
    """Log through a handler that was opened before; return what is in the file."""
    here = os.getcwd()
    with contextlib.closing(logging.FileHandler("log")) as handler:

        def log() -> object:
            handler.emit(logging.makeLogRecord({"msg": "hello"}))
            with open("log") as file:
                return file.read()

        return started(lambda: m.DaemonContext(workdir=here).open(), log)


def with_a_thread(m: Module) -> object:
    """Detach while another thread runs."""

    def start() -> None:
        threading.Thread(target=time.sleep, args=(0.5,), daemon=True).start()
        m.DaemonContext().open()

    return started(start, lambda: "went on")


def in_an_event_loop(m: Module) -> object:
    """Detach in a coroutine."""

    async def main() -> None:
        m.DaemonContext().open()

    return started(lambda: asyncio.run(main()), lambda: "went on")


def with_an_after_forker(m: Module, *, after_forkers: bool) -> object:
    """Return how many times what was registered with multiprocessing ran."""
    times: list[object] = []
    # Registered for as long as this function is there: it is held weakly.
    util.register_after_fork(_self, times.append)
    return started(lambda: m.DaemonContext(after_forkers=after_forkers).open(), lambda: len(times))


def detached(m: Module, **options: object) -> object:
    """Detach, and drop."""
    return started(
        lambda: m.detached(**options).open(),
        lambda: (_self(), os.getresuid(), os.getresgid(), os.getgroups()),
    )


def detached_with_a_log_out_of_reach(m: Module) -> object:
    """Detach with a log in a directory that the user may not enter."""
    os.mkdir("private", 0o700)
    return detached(m, logfile="private/log", uid="nobody")


# --- The table ------------------------------------------------------------------------------------

CASES: tuple[Case, ...] = (
    same("DaemonContext.open", doing=for_real),
    same("DaemonContext.open", umask=0o27, workdir="/usr", doing=for_real),
    same("DaemonContext.open", doing=in_another_session),
    same("DaemonContext.open", doing=with_standard_output_replaced),
    same("DaemonContext.open", doing=with_a_handler),
    same("DaemonContext.open", doing=with_urandom_open),
    same("DaemonContext.open", after_forkers=True, doing=with_an_after_forker),
    same("DaemonContext.open", after_forkers=False, doing=with_an_after_forker),
    differs(
        42,
        "DaemonContext.open",
        doing=and_what_is_open,
        celery="returns (0, False, ['/dev/null', '/dev/null', '/dev/null'])",
        ours="returns (0, False, [])",
    ),
    differs(
        43,
        "DaemonContext.open",
        doing=with_sigterm_blocked,
        celery="returns (0, False, [15])",
        ours="returns (0, False, [])",
    ),
    differs(
        44,
        "DaemonContext.open",
        doing=with_a_log_open,
        celery="returns (0, False, ''); makes log",
        ours=r"returns (0, False, 'hello\n'); makes log=b'hello\n'",
    ),
    differs(
        45,
        "DaemonContext.open",
        doing=with_a_thread,
        celery="returns (0, False, 'went on')",
        ours=_FAILED,
    ),
    differs(
        45,
        "DaemonContext.open",
        doing=in_an_event_loop,
        celery="returns (0, False, None)",
        ours=_FAILED,
    ),
    *(
        differs(
            12,
            "DaemonContext.open",
            after_chdir=set_up,
            doing=for_real,
            celery=f"returns (0, {told}, None)",
            ours=ours,
        )
        for set_up, told, ours in (
            (_raise, True, _FAILED),
            (_exit, False, "returns (9, False, None)"),
            (_kill, False, _FAILED),
        )
    ),
    differs(
        12,
        "DaemonContext.open",
        workdir="/no/such",
        doing=for_real,
        celery="returns (0, True, None)",
        ours=_FAILED,
    ),
    same("detached", doing=detached),
    same("detached", uid="no-such-user", doing=detached),
    same(
        "detached",
        logfile="log",
        pidfile=PIDFILE,
        uid="games",
        gid="adm",
        umask="022",
        doing=detached,
        start=ROOT,
    ),
    differs(
        12,
        "detached",
        doing=detached_with_a_log_out_of_reach,
        start=ROOT,
        celery="returns (0, True, None); makes private",
        ours=f"{_FAILED}; makes private",
    ),
    differs(
        12,
        "detached",
        pidfile=PIDFILE,
        doing=detached,
        given=of_a_running_process,
        celery="returns (0, True, None)",
        ours="returns (73, True, None)",
    ),
)
