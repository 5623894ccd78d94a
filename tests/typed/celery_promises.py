"""What our stub says of celery.platforms, name by name; checked, and never executed."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import FrameType
from typing import TextIO, assert_type

from celery import platforms


def constants() -> None:
    """Texts, numbers and flags."""
    statuses: list[int] = [platforms.EX_OK, platforms.EX_FAILURE, platforms.EX_USAGE]
    statuses += [platforms.EX_UNAVAILABLE, platforms.EX_CANTCREAT]
    assert_type(platforms.SYSTEM, str)
    assert_type(platforms.IS_macOS, bool)
    assert_type(platforms.IS_WINDOWS, bool)
    assert_type(platforms.DAEMON_WORKDIR, str)
    assert_type(platforms.PIDFILE_FLAGS, int)
    assert_type(platforms.PIDFILE_MODE, int)
    assert_type(platforms.PIDLOCKED.format("/run/app.pid", 1), str)
    assert_type(platforms.ROOT_DISALLOWED, str)
    assert_type(platforms.ROOT_DISCOURAGED, str)
    assert_type(platforms.ASSUMING_ROOT, str)
    assert_type(platforms.SIGNAMES, set[str])
    assert_type(platforms.SIGMAP, dict[int, str])
    assert_type(platforms.SIGMAP[signal.SIGTERM], str)


def errors() -> None:
    """Exceptions and a warning, as classes to catch."""
    try:
        platforms.create_pidlock("/run/app.pid")
    except platforms.LockFailed as error:
        assert_type(error, platforms.LockFailed)
    except platforms.SecurityError as error:
        assert_type(error, platforms.SecurityError)
    warning: type[UserWarning] = platforms.SecurityWarning
    raise warning


def pidfiles() -> None:
    """The lock, in each of the ways to take it."""
    pidfile = assert_type(platforms.create_pidlock("/run/app.pid"), platforms.Pidfile)
    assert_type(platforms._create_pidlock("/run/app.pid"), platforms.Pidfile)  # pyright: ignore[reportPrivateUsage]  # of the contract
    assert_type(pidfile.path, str)
    assert_type(pidfile.acquire(), platforms.Pidfile)
    assert_type(pidfile.is_locked(), bool)
    assert_type(pidfile.read_pid(), int | None)
    assert_type(pidfile.remove_if_stale(), bool)
    pidfile.write_pid()
    pidfile.remove()
    pidfile.release()
    with platforms.PIDFile("/run/app.pid") as held:
        assert_type(held, platforms.Pidfile)


def descriptors() -> None:
    """Numbers, files, and None, which sys.stdin may be."""
    assert_type(platforms.get_fdmax(), int | None)
    assert_type(platforms.get_fdmax(2048), int | None)
    assert_type(platforms.fd_by_path(["/dev/urandom", b"/dev/null"]), list[int])
    platforms.close_open_fds()
    platforms.close_open_fds([0, sys.stdout, None])
    assert_type(platforms.isatty(sys.stdin), bool | None)
    assert_type(platforms.isatty(None), bool | None)


def daemons() -> None:
    """Detaching, with the words of the command line as they come."""
    with platforms.detached(
        logfile="/var/log/app.log",
        pidfile="/run/app.pid",
        uid="nobody",
        gid=65534,
        umask="022",
        workdir="/",
        fake=True,
        executable=None,
    ) as nothing:
        assert_type(nothing, None)
    assert_type(platforms.detached(), platforms.DaemonContext)
    context = platforms.DaemonContext(umask="022", after_chdir=lambda: None, stdout=None)
    assert_type(context.workdir, str)
    assert_type(context.umask, int | None)
    assert_type(context.fake, bool)
    assert_type(context.after_chdir, Callable[[], object] | None)
    assert_type(context.after_forkers, bool)
    assert_type(context.stdfds, tuple[TextIO | None, TextIO | None, TextIO | None])
    context.redirect_to_null(None)
    context.open()
    context.close()


def privileges() -> None:
    """Names and numbers both, and None for what stays."""
    assert_type(platforms.parse_uid("nobody"), int)
    assert_type(platforms.parse_gid(65534), int)
    platforms.setgroups([65534])
    platforms.initgroups(65534, 65534)
    platforms.setgid("nogroup")
    platforms.setuid(65534)
    platforms.maybe_drop_privileges()
    platforms.maybe_drop_privileges(uid="nobody", gid=None)
    platforms.check_privileges({"json", "pickle"})


def handlers(stop: Callable[[int, FrameType | None], None]) -> None:
    """Signals by name and number, in each of the ways to set one."""
    assert_type(platforms.signals, platforms.Signals)
    assert_type(platforms.signals.ignored, signal.Handlers)
    assert_type(platforms.signals.default, signal.Handlers)
    assert_type(platforms.signals.signum("TERM"), int)
    assert_type(platforms.signals.supported("TERM"), bool)
    assert_type(platforms.signals.reset_alarm(), int)
    assert_type(platforms.signals["TERM"], Callable[[int, FrameType | None], object] | int | None)
    platforms.signals.arm_alarm(0.5)
    platforms.signals["TERM"] = stop
    platforms.signals["HUP"] = platforms.signals.ignored
    platforms.signals["USR1"] = platforms.signals["USR2"]
    platforms.signals.update({"INT": stop}, TERM=stop)
    platforms.signals.update([("INT", stop), ("HUP", signal.SIG_DFL)])
    platforms.signals.reset("TERM", signal.SIGINT)
    platforms.signals.ignore("USR1", 12)
    assert_type(platforms.get_signal("TERM"), int)
    platforms.install_signal_handler("TERM", stop)
    platforms.reset_signal("TERM")
    platforms.ignore_signal("USR1")
    assert_type(platforms.signal_name(signal.SIGTERM), str)
    platforms.set_pdeathsig("SIGKILL")


def small() -> None:
    """The rest."""
    assert_type(platforms.pyimplementation(), str)
    assert_type(platforms.strargv(sys.argv), str)
    assert_type(platforms.set_process_title("app", info="ready"), str)
    assert_type(platforms.set_mp_process_title("app", "ready", hostname=None), str | None)
    assert_type(platforms.get_errno_name("ENOENT"), int)
    ignoring: AbstractContextManager[None, bool | None] = platforms.ignore_errno("ENOENT", 13)
    with ignoring, platforms.ignore_errno("EPERM", types=(OSError,)) as nothing:
        assert_type(nothing, None)
