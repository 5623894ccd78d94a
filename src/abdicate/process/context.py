"""Detaching in the shape of ``celery.platforms``: `DaemonContext` and `detached`."""

from __future__ import annotations

import atexit
import os
import signal
import sys

from abdicate.process.descriptors import (
    close_open_fds,
    fd_by_path,
    fileno_of,
    logging_descriptors,
    redirect_to_null,
)
from abdicate.process.detach import Readiness, detach
from abdicate.process.failure import leave
from abdicate.process.pidfile import (
    _create_pidlock,  # pyright: ignore[reportPrivateUsage]  # celery's name, and so ours
)
from abdicate.process.privileges import maybe_drop_privileges
from abdicate.process.signals import signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

__all__ = ["DAEMON_WORKDIR", "DaemonContext", "detached"]

DAEMON_WORKDIR = "/"
"""Where a daemon goes: the one directory that keeps no file system from being unmounted."""


class DaemonContext:
    """Turn the process into a daemon at `open`, as a context manager.

    The process that was started waits for the daemon and exits: with 0 once it is open, else
    with the daemon's message on standard error and its status.

    Args:
        pidfile: ignored, as in ``celery.platforms``; see `create_pidlock`.
        workdir: where to go; None is `DAEMON_WORKDIR`.
        umask: from 0 to 0o777, or text: octal if it begins with 0, else decimal. None leaves it.
        fake: do not fork and close nothing; for debugging.
        after_chdir: called in the daemon while the terminal can still be told of its errors.
        after_forkers: let multiprocessing, where it is loaded, know of the fork.
        kwargs: ignored.

    Raises:
        ValueError: the umask is not a number.
    """

    def __init__(
        self,
        pidfile: str | None = None,
        workdir: str | None = None,
        umask: int | str | None = None,
        fake: bool = False,
        after_chdir: Callable[[], object] | None = None,
        after_forkers: bool = True,
        **kwargs: object,
    ) -> None:
        if isinstance(umask, str):
            umask = int(umask, 8 if umask.startswith("0") else 10)
        self.workdir: str = workdir or DAEMON_WORKDIR
        self.umask: int | None = umask
        self.fake = fake
        self.after_chdir = after_chdir
        self.after_forkers = after_forkers
        self.stdfds: tuple[TextIO | None, ...] = (sys.stdin, sys.stdout, sys.stderr)
        self._is_open = False

    def redirect_to_null(self, fd: int | None) -> None:
        """Make a descriptor refer to the null device; None does nothing."""
        if fd is not None:
            redirect_to_null(fd)

    def open(self) -> None:
        """Become a daemon; this returns in the daemon alone. Again it does nothing.

        Raises:
            PreflightError: other threads run, or an event loop does. Nothing has changed.
            OSError: a process can't be made; with ``fake`` also what set-up raises.
            UnsupportedPlatformError: on Windows.
        """
        if self._is_open:
            return
        readiness = Readiness() if self.fake else detach()
        try:
            self._set_up(readiness)
            readiness.ready()
        except BaseException as error:
            if self.fake:
                raise
            # No terminal to raise to, and the caller's code is to go on in no copy.
            try:
                # What was taken on the way, a pidfile perhaps, is released as at any exit.
                # Python has no other name for it, and multiprocessing calls it likewise.
                atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]
            finally:
                leave(readiness, error)
        self._is_open = True

    def _set_up(self, readiness: Readiness) -> None:
        # Whoever started it with signals blocked would have a daemon that SIGTERM never reaches.
        if sys.platform != "win32" and not self.fake:
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.chdir(self.workdir)
        if self.umask is not None:
            os.umask(self.umask)
        if self.after_chdir is not None:
            self.after_chdir()
        if self.fake:
            return
        # Programs of this shape open /dev/urandom once, and their log before they detach.
        known = [*fd_by_path(["/dev/urandom"]), *logging_descriptors(), *readiness.descriptors()]
        close_open_fds([0, 1, 2, *self.stdfds, *known])
        # Also where the streams are replaced: the terminal is on 0, 1 and 2 all the same.
        streams = {0, 1, 2, *map(fileno_of, self.stdfds)}
        redirect_to_null(*(number for number in streams if number is not None))
        if self.after_forkers:
            _tell_of_the_fork()

    def close(self, *args: object) -> None:
        """Leave the context; the process stays a daemon."""
        self._is_open = False

    __enter__ = open
    __exit__ = close


def _tell_of_the_fork() -> None:
    modules = [sys.modules.get(name) for name in ("multiprocessing.util", "billiard.util")]
    # billiard's may be multiprocessing's own function: once is enough.
    for run in {module._run_after_forkers for module in modules if module is not None}:
        run()


def detached(
    logfile: str | None = None,
    pidfile: str | None = None,
    uid: int | str | None = None,
    gid: int | str | None = None,
    umask: int | str | None = 0,
    workdir: str | None = None,
    fake: bool = False,
    **opts: object,
) -> DaemonContext:
    """Drop privileges, and return the context that detaches.

    In the daemon, as the user who will use them, the log is opened for appending and the
    pidfile is looked at; what fails there is what the terminal sees. The pidfile is not made:
    that is `create_pidlock`'s, in the daemon.

    Args:
        logfile: must be writable; made where it is missing.
        pidfile: must not be held.
        uid: the user to become; see `maybe_drop_privileges`.
        gid: the group to become; see `maybe_drop_privileges`.
        umask: as for `DaemonContext`. The default, 0, is the one that this function always had,
            and lets everybody write to the daemon's files: give 0o022.
        workdir: where to go; None stays here.
        fake: do not detach; for debugging.
        opts: ignored.

    Raises:
        KeyError, ValueError, SecurityError, PermissionError, IncompleteDropError: as
            `maybe_drop_privileges`.
    """
    workdir = os.getcwd() if workdir is None else workdir
    # A parent that ignores it would leave the daemon unable to wait for its children.
    signals.reset("SIGCLD")
    maybe_drop_privileges(uid=uid, gid=gid)

    def look_at_log_and_pidfile() -> None:
        if logfile:
            with open(logfile, "a"):
                pass
        if pidfile:
            _create_pidlock(pidfile).release()

    return DaemonContext(
        umask=umask, workdir=workdir, fake=fake, after_chdir=look_at_log_and_pidfile
    )
