"""The function API of ``celery.platforms``: an app switches by changing the import.

Same names, parameters, defaults, results and exceptions, except for the deliberate deviations
that the documentation lists. Nothing is decided here: each name comes from the room that it
belongs to. Nothing of celery, billiard, kombu or pydantic is imported.
"""

from __future__ import annotations

import os
import sys

from abdicate.errors import LockFailed, SecurityError, SecurityWarning
from abdicate.process.exits import EX_CANTCREAT, EX_FAILURE, EX_OK, EX_UNAVAILABLE, EX_USAGE
from abdicate.process.privileges import (
    ROOT_DISALLOWED,
    ROOT_DISCOURAGED,
    check_privileges,
    initgroups,
    maybe_drop_privileges,
    parse_gid,
    parse_uid,
    setgid,
    setgroups,
    setuid,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from abdicate.process.context import DAEMON_WORKDIR, DaemonContext, detached
    from abdicate.process.descriptors import close_open_fds, fd_by_path, get_fdmax, isatty
    from abdicate.process.errnos import get_errno_name, ignore_errno
    from abdicate.process.pidfile import (
        PIDFILE_FLAGS,
        PIDFILE_MODE,
        PIDLOCKED,
        PIDFile,
        Pidfile,
        # A private name, and of the contract.
        _create_pidlock,  # noqa: F401  # pyright: ignore[reportPrivateUsage, reportUnusedImport]
        create_pidlock,
    )
    from abdicate.process.signals import (
        SIGMAP,
        SIGNAMES,
        Signals,
        get_signal,
        ignore_signal,
        install_signal_handler,
        reset_signal,
        signal_name,
        signals,
    )
    from abdicate.process.title import set_mp_process_title, set_process_title

__all__ = [
    "DAEMON_WORKDIR",
    "EX_CANTCREAT",
    "EX_FAILURE",
    "EX_OK",
    "EX_UNAVAILABLE",
    "EX_USAGE",
    "IS_WINDOWS",
    "PIDFILE_FLAGS",
    "PIDFILE_MODE",
    "PIDLOCKED",
    "ROOT_DISALLOWED",
    "ROOT_DISCOURAGED",
    "SIGMAP",
    "SIGNAMES",
    "SYSTEM",
    "DaemonContext",
    "IS_macOS",
    "LockFailed",
    "PIDFile",
    "Pidfile",
    "SecurityError",
    "SecurityWarning",
    "Signals",
    "check_privileges",
    "close_open_fds",
    "create_pidlock",
    "detached",
    "fd_by_path",
    "get_errno_name",
    "get_fdmax",
    "get_signal",
    "ignore_errno",
    "ignore_signal",
    "initgroups",
    "install_signal_handler",
    "isatty",
    "maybe_drop_privileges",
    "parse_gid",
    "parse_uid",
    "pyimplementation",
    "reset_signal",
    "set_mp_process_title",
    "set_pdeathsig",
    "set_process_title",
    "setgid",
    "setgroups",
    "setuid",
    "signal_name",
    "signals",
    "strargv",
]

# Rooms that a plain drop does not enter; each is loaded with the first of its names (PEP 562).
# What drops privileges is loaded at once, above: it is called where a chroot may have put the
# interpreter's files out of reach.
_HOMES = {
    "context": "DAEMON_WORKDIR DaemonContext detached",
    "descriptors": "close_open_fds fd_by_path get_fdmax isatty",
    "errnos": "get_errno_name ignore_errno",
    "pidfile": (
        "PIDFILE_FLAGS PIDFILE_MODE PIDLOCKED PIDFile Pidfile _create_pidlock create_pidlock"
    ),
    "signals": (
        "SIGMAP SIGNAMES Signals get_signal ignore_signal install_signal_handler reset_signal "
        "signal_name signals"
    ),
    "title": "set_mp_process_title set_process_title",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'abdicate.platforms' has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"abdicate.process.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF})


if sys.platform == "win32":
    SYSTEM = "Windows"
else:
    SYSTEM = os.uname().sysname
IS_macOS: bool = sys.platform == "darwin"
IS_WINDOWS: bool = sys.platform == "win32"


def pyimplementation() -> str:
    """Return which Python this is: ``"CPython"``, or ``"PyPy 7.3.17"`` with its own version."""
    if sys.implementation.name == "pypy":
        return "PyPy " + ".".join(map(str, sys.implementation.version[:3]))
    return {"cpython": "CPython"}.get(sys.implementation.name, sys.implementation.name)


def set_pdeathsig(name: str | int) -> None:
    """Let the death of the parent send a signal to this thread, prctl(2) PR_SET_PDEATHSIG.

    Every change of ids disarms it. Where there is no such thing, nothing happens.

    Args:
        name: a signal's name, with or without SIG, or its number.

    Raises:
        ValueError: this platform has no such signal; also a `KeyError`.
    """
    from abdicate.process.signals import signals

    number = signals.signum(name)
    if sys.platform == "linux":
        from abdicate.kernel import system_kernel

        system_kernel().set_thread_parent_death_signal(number)


def strargv(argv: Sequence[str]) -> str:
    """Return the arguments of a command line as one text, without the program.

    The command behind ``manage.py`` counts as the program too.
    """
    first = 2 if "manage" in argv[0] else 1
    return " ".join(argv[first:])
