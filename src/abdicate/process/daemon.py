"""A daemon: everything that turns a program on a terminal into one without, in one order.

In the foreground, where the terminal still sees every error: the drop is planned, the log is
opened, the pidfile is taken. Then the process detaches (`abdicate.process.detach`). In the
daemon: the pidfile is accepted, handlers, mask, umask and directory are set, standard input,
output and error leave the terminal, every descriptor that nobody asked to keep is closed, and
privileges are dropped. Only then, or when the program says so itself, the starter hears "ready".

The log is opened before the drop and stays its opener's: the daemon can append to it, and
neither replace it nor point it elsewhere. The pidfile is written before the drop, for the same
reason: whoever may write to a pidfile aims the signals of root's tools.
"""

from __future__ import annotations

import os
import stat
import sys

from abdicate.errors import (
    LockFailed,
    PreflightError,
    SpecError,
    UnsupportedPlatformError,
)
from abdicate.executor import standing_in_the_way
from abdicate.kernel import system_kernel
from abdicate.plan.ranges import check_path
from abdicate.process.activation import announce_descriptors, passed_descriptors
from abdicate.process.descriptors import (
    close_open_fds,
    logging_descriptors,
    occupy_standard_descriptors,
    redirect_to_null,
)
from abdicate.process.detach import Readiness, detach, refuse_to_fork_unsafely
from abdicate.process.failure import leave, status_of, told
from abdicate.process.notify import Notifier
from abdicate.process.pidfile import Pidfile
from abdicate.process.pidlock import HeldPidfile, PidLock
from abdicate.process.signals import reset_all_signals
from abdicate.request import DropRequest
from abdicate.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Literal, NoReturn, Self

    from abdicate.executor import Dropped

    ReadyPolicy = Literal["after set-up", "by hand"]

__all__ = ["Daemon", "RunningDaemon"]

_LOG_MODE = 0o640  # a log often has secrets: its group may read it, others not


class Daemon(Value):
    """How to become a daemon.

    Attributes:
        pidfile: taken before the privileges are dropped, and held while the daemon runs.
        drop: whom to become; None: nobody else.
        logfile: where standard output and error go, absolute, appended to; None: /dev/null.
        umask: from 0 to 0o777. 0o022 by default: with 0, everybody may write to its files.
        workdir: the directory to go to, absolute; ``/`` blocks no unmount.
        keep: descriptors that stay open, besides standard input, output and error, the
            pidfile's lock, what systemd passed, and the files of log handlers.
        detach: False stays in the foreground, with everything else the same: under systemd, in
            a container. It is never guessed.
        ready: ``after set-up``, or ``by hand``: the program calls `RunningDaemon.ready`.
    """

    pidfile: PidLock | None = None
    drop: DropRequest | None = None
    logfile: str | None = None
    umask: int = 0o022
    workdir: str = "/"
    keep: tuple[int, ...] = ()
    detach: bool = True
    ready: ReadyPolicy = "after set-up"

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            SpecError: a field is out of its range.
        """
        for field, path in (("logfile", self.logfile), ("workdir", self.workdir)):
            if path is not None:
                check_path(field, path)
        if isinstance(self.umask, bool) or not 0 <= self.umask <= 0o777:
            raise SpecError("umask", self.umask, "a number from 0 to 0o777 is wanted")
        if self.detach and self.drop is not None and self.drop.policy.parent_death_signal:
            rule = "a daemon's parent, which started it, ends when it is ready"
            raise SpecError("parent_death_signal", self.drop.policy.parent_death_signal, rule)
        if self.ready not in ("after set-up", "by hand"):
            raise SpecError("ready", self.ready, "'after set-up' or 'by hand' is wanted")

    def start(self) -> RunningDaemon:
        """Become a daemon. With ``detach``, this returns in the daemon alone.

        The starter exits with 0 once the daemon is ready; else it prints the daemon's error and
        exits with its status.

        Returns:
            The running daemon: a context manager that tells the starter of an exception before
            it is ready, and releases the pidfile at its end.

        Raises:
            AbdicateError: what was asked can't be done from here. Nothing has changed, nothing
                is left behind.
            OSError: the log can't be opened, or a process can't be made; likewise.
            UnsupportedPlatformError: on Windows.
        """
        if sys.platform == "win32":
            raise UnsupportedPlatformError("Windows has no daemons: run a service there")
        occupy_standard_descriptors()
        self._check()
        passed = passed_descriptors()
        notifier = Notifier()
        held = None if self.pidfile is None else self.pidfile.acquire()
        try:
            log = None if self.logfile is None else _open_log(self.logfile)
        except BaseException:
            if held is not None:
                held.release()
            raise
        handover = held.hand_over() if held is not None and self.detach else None

        def let_go() -> None:
            if held is None:
                return
            if handover is not None:
                handover.withdraw()
            held.release()
            try:
                # What the daemon had accepted is another file. After a drop it could only empty
                # that one; where it lives in spite of all, it has it locked.
                Pidfile(held.path).remove()
            except (LockFailed, OSError):
                return

        try:
            readiness = detach(undo=let_go) if self.detach else Readiness()
        except BaseException:
            let_go()
            raise
        running = RunningDaemon(readiness, notifier, held)
        try:
            if handover is not None:
                running.pidfile = handover.accept()
            self._leave_the_terminal(running, log, [fd.number for fd in passed])
            announce_descriptors(passed)
            if self.drop is not None:
                running.proof = self.drop.apply()
                # Once more: the environment may have been reset.
                announce_descriptors(passed)
            if self.ready == "after set-up":
                running.ready()
        except BaseException as error:
            if not self.detach:
                running.release()
                raise
            # There is no terminal to raise to, and the caller's code goes on in no copy.
            try:
                running.release()
            finally:
                leave(readiness, error)
        return running

    def _check(self) -> None:
        """Find out, while the terminal is there to be told, what would fail without it."""
        if self.detach:
            refuse_to_fork_unsafely()
        try:
            there = stat.S_ISDIR(os.stat(self.workdir).st_mode)
        except OSError as error:
            raise PreflightError(f"workdir {self.workdir}: {error.strerror}") from None
        if not there:
            raise PreflightError(f"workdir {self.workdir} is not a directory")
        if self.drop is None:
            if not os.access(self.workdir, os.X_OK, effective_ids=True):
                raise PreflightError(f"workdir {self.workdir} may not be entered by this user")
            return
        kernel = system_kernel()
        plan = self.drop.plan(kernel=kernel)
        reasons = list(standing_in_the_way(plan, kernel))
        if self.drop.policy.chroot is None and self.drop.policy.working_directory is None:
            blocked = kernel.obstacle(self.workdir, plan.identity, directory=True)
            reasons += [f"workdir {self.workdir}: {blocked}"] if blocked else []
        if reasons:
            raise PreflightError(*reasons)

    def _leave_the_terminal(
        self, running: RunningDaemon, log: int | None, passed: list[int]
    ) -> None:
        reset_all_signals(for_exec=False)
        os.umask(self.umask)
        os.chdir(self.workdir)
        if self.detach:
            redirect_to_null(0)
        if log is not None:
            for stream in (1, 2):
                os.dup2(log, stream)
        elif self.detach:
            redirect_to_null(1, 2)
        # A program's own standard streams stay: with their descriptors closed, what it prints
        # would land in the next file that it opens.
        own = (sys.stdin, sys.stdout, sys.stderr)
        needed = (*passed, *logging_descriptors(), *running.descriptors())
        close_open_fds([0, 1, 2, *own, *self.keep, *needed])


class RunningDaemon:
    """This process, as a daemon.

    A context manager: an exception before `ready` is told to the starter, and the pidfile is
    released at the end.

    Attributes:
        pidfile: the lock that is held, None where none was asked for.
        proof: of the drop, None where none was asked for.
    """

    def __init__(
        self, readiness: Readiness, notifier: Notifier, pidfile: HeldPidfile | None
    ) -> None:
        self._readiness = readiness
        self._notifier = notifier
        self.pidfile = pidfile
        self.proof: Dropped | None = None

    def ready(self) -> None:
        """Say that the daemon does its work: to the starter, and to a service manager.

        The manager is told where NOTIFY_SOCKET was set, sd_notify(3). Again it does nothing.

        Raises:
            BrokenPipeError: the starter has gone, somebody interrupted it.
        """
        self._readiness.ready()
        self._notifier.ready()

    def execute(self, path: str, arguments: Sequence[str]) -> NoReturn:
        """Execute a program in this process's place; the starter hears "ready" when it runs.

        The program holds the pidfile's lock from here on, and so do children that it does not
        outlive; the file is left behind when it ends, unlocked, and the next start takes it
        over. A service manager hears of its readiness from the program itself.

        Args:
            path: the program's file.
            arguments: its argument list, its name first.

        Raises:
            OSError: execve(2) failed. The starter has been told.
        """
        try:
            # First: with the signals as a program expects them, a starter that has gone would
            # end this process by SIGPIPE, and the pidfile would stay.
            self._readiness.executing()
            reset_all_signals(for_exec=True)
            if self.pidfile is not None:
                os.set_inheritable(self.pidfile.fileno(), True)
            os.execve(path, list(arguments), os.environ)  # noqa: S606 - no shell is wanted
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            self.release()
            self._readiness.failed(
                f"can't execute {path}: {error.strerror}", 127 if missing else 126
            )
            raise

    def give_up(self, error: BaseException) -> None:
        """Release the pidfile, and tell the starter of *error*."""
        # In this order: whoever hears of the failure finds the pidfile released.
        self.release()
        self._readiness.failed(told(error), status_of(error))

    def release(self) -> None:
        """Release the pidfile, if there is one."""
        if self.pidfile is not None:
            self.pidfile.release()

    def descriptors(self) -> tuple[int, ...]:
        """Return the descriptors that a running daemon needs."""
        held = () if self.pidfile is None else (self.pidfile.fileno(),)
        return (*self._readiness.descriptors(), *self._notifier.descriptors(), *held)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self.give_up(error)
        else:
            self.release()


def _open_log(path: str) -> int:
    # O_NOFOLLOW and the look at its kind: in a directory that others may write to, the name may
    # be a link to the shadow file by now, or a FIFO that blocks until somebody reads it.
    if sys.platform == "win32":
        raise UnsupportedPlatformError("Windows has no daemons")
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
    try:
        log = os.open(path, flags | os.O_EXCL | os.O_CLOEXEC, _LOG_MODE)
        # Made here: whatever the umask was.
        os.fchmod(log, _LOG_MODE)
    except FileExistsError:
        log = os.open(path, flags | os.O_CLOEXEC, _LOG_MODE)
    kind = os.fstat(log).st_mode
    if not stat.S_ISREG(kind) and not stat.S_ISCHR(kind):
        os.close(log)
        raise SpecError("logfile", path, "a regular file, or a device, is wanted")
    os.set_blocking(log, True)
    return log
