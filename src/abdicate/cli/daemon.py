"""``abdicate daemon``: start a command as a daemon, tell whether it started; stop it; look."""

from __future__ import annotations

import os
import signal
import sys
import time

from abdicate.cli.console import Refusal, UsageError, say
from abdicate.cli.options import (
    Parser,
    add_command,
    add_drop_options,
    command_of,
    refuse_what_an_exec_undoes,
)
from abdicate.cli.profiles import asked, service
from abdicate.cli.target import EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND, find, undo_locale_coercion
from abdicate.errors import LockFailed, PreflightError
from abdicate.executor import standing_in_the_way
from abdicate.kernel import system_kernel
from abdicate.plan.grammar import parse_mode
from abdicate.process.daemon import Daemon
from abdicate.process.pidlock import PidLock
from abdicate.process.pidstatus import HeldBy, HeldByUnknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from abdicate.request import DropRequest
    from abdicate.service import Service

__all__ = ["main", "parser"]

_EXIT_NO = 1
_WORKDIR = "/"
_UMASK = "0022"
_TICK = 0.05  # seconds between looks at a daemon that was told to stop


def parser() -> Parser:
    """Return what the command line of ``daemon`` may say."""
    words = Parser(
        "daemon",
        "Detach, take the pidfile, give up root, execute a command. The exit status is 0 once "
        "the command runs; else its error is printed here.",
        "[OPTION…] [--] COMMAND [ARGUMENT…]\n       abdicate daemon --stop|--status --pidfile FILE",
    )
    add_drop_options(words)
    detaching = words.add_argument_group("daemon")
    detaching.add_argument("--pidfile", metavar="FILE", help="taken before root is given up")
    detaching.add_argument(
        "--logfile", metavar="FILE", help="standard output and error; opened before, appended to"
    )
    detaching.add_argument(
        "--foreground", action="store_true", help="do everything else, and stay: under systemd"
    )
    other = words.add_argument_group("instead of starting")
    other.add_argument("--stop", action="store_true", help="send TERM, and wait for its end")
    other.add_argument("--status", action="store_true", help="tell whether it runs: exit 0, or 1")
    other.add_argument(
        "--timeout", metavar="SECONDS", default="10", help="how long --stop waits; 10"
    )
    add_command(words)
    return words


def main(words: list[str]) -> int:
    """Start, stop or look. Return 0 for done, or "it runs"; 1 for "it does not"."""
    known = parser()
    options = known.parse_args(words)
    if options.stop or options.status:
        return _look(options)
    return _start(known, options)


def _start(known: Parser, options: Namespace) -> int:
    drop, found = asked(known, options)
    command = command_of("daemon", options, found)
    refuse_what_an_exec_undoes(drop.policy)
    kernel = system_kernel()
    plan = drop.plan(kernel=kernel)
    if reasons := standing_in_the_way(plan, kernel):
        raise PreflightError(*reasons)
    start = _WORKDIR if found is None or found.daemon is None else found.daemon.workdir
    path = find(command[0], plan, start=start)
    undo_locale_coercion()
    # The name under which the starter tells what went wrong in the daemon.
    sys.argv[0] = "abdicate daemon"
    daemon = _asked_by_options(options, drop) if found is None else _asked_by(found)
    with daemon.start() as running:
        try:
            running.execute(path, command)
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            status = EXIT_NOT_FOUND if missing else EXIT_NOT_EXECUTABLE
            raise Refusal(f"can't execute {path}: {error.strerror}", status) from None


def _asked_by_options(options: Namespace, drop: DropRequest) -> Daemon:
    return Daemon(
        pidfile=_lock(options),
        drop=drop,
        logfile=None if options.logfile is None else os.path.abspath(options.logfile),
        umask=parse_mode(_UMASK if options.umask is None else options.umask, field="--umask"),
        workdir=_WORKDIR,
        detach=not options.foreground,
        ready="by hand",
    )


def _asked_by(found: Service) -> Daemon:
    """Return the profile's daemon; a profile without one is started with the defaults."""
    if found.daemon is None:
        return Daemon(pidfile=found.pidfile, drop=found.drop, ready="by hand")
    # The command says nothing by itself: that it was executed is what ready means here.
    return found.daemon.replace(ready="by hand")


def _lock(options: Namespace) -> PidLock | None:
    if options.pidfile is not None:
        return PidLock(os.path.abspath(options.pidfile))
    found = service(options)
    return None if found is None else found.pidfile


def _look(options: Namespace) -> int:
    lock = _lock(options)
    if lock is None or (options.stop and options.status):
        raise UsageError("--stop, or --status, and --pidfile is wanted; see abdicate daemon --help")
    if options.stop:
        return _stop(lock, _seconds(options.timeout))
    status = lock.status()
    say(f"pidfile {lock.path}: {status}")
    return 0 if isinstance(status, HeldBy | HeldByUnknown) else _EXIT_NO


def _stop(lock: PidLock, timeout: float) -> int:
    if not isinstance(lock.status(), HeldBy | HeldByUnknown):
        say(f"pidfile {lock.path}: nothing to stop")
        return 0
    pid = lock.signal_holder(signal.SIGTERM)
    deadline = time.monotonic() + timeout
    while _still_held_by(lock, pid):
        if time.monotonic() > deadline:
            raise LockFailed(f"process {pid} still runs {timeout:g} s after it was sent TERM")
        time.sleep(_TICK)
    try:
        # The command has left it behind, unlocked. Somebody else's by now: it stays.
        lock.remove_stale()
    except LockFailed:
        pass
    say(f"stopped process {pid}")
    return 0


def _still_held_by(lock: PidLock, pid: int) -> bool:
    status = lock.status()
    # Another process may have been started in its place by now: this one is done.
    return isinstance(status, HeldByUnknown) or (isinstance(status, HeldBy) and status.pid == pid)


def _seconds(text: str) -> float:
    if not text.isascii() or not text.replace(".", "", 1).isdigit() or len(text) > 9:
        raise UsageError(f"--timeout {text!r}: seconds, 0 or more, are wanted")
    return float(text)
