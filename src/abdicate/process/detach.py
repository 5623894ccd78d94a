"""Detaching from the terminal, and telling it whether the daemon started.

Three processes: the *starter*, whose exit status the terminal sees; the *watcher*, who leads
the new session and waits; and the *daemon*, who is not a session leader and so can't acquire a
terminal again. The starter waits for the watcher, and the watcher for the daemon's word::

    starter --fork--> watcher --setsid, fork--> daemon
       waits            waits for "ready"          sets itself up, says "ready", or why not

Only "ready" is success. An end of file on the pipe is a daemon that died (the usual daemonizers
have left by then, with status 0), and its status becomes the starter's.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time

from abdicate.errors import PreflightError, UnsupportedPlatformError, printable
from abdicate.identity import native
from abdicate.kernel import system_kernel
from abdicate.process.descriptors import occupy_standard_descriptors
from abdicate.process.exits import EX_FAILURE
from abdicate.process.signals import reset_all_signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import NoReturn

__all__ = ["Readiness", "detach", "refuse_to_fork_unsafely"]

_READY = 0
_EXECUTING = 255  # not yet a word: an end of file behind it is an exec that succeeded
_LONGEST_MESSAGE = 4000  # within PIPE_BUF: written whole or not at all, pipe(7)
_TICK = 0.05  # seconds between looks at whether the daemon lives
_GRACE = 2.0  # seconds in which a daemon that closed its line may still tell its exit status


class Readiness:
    """The daemon's end of the line to its starter: `ready` or `failed`, once.

    In a process that did not detach there is nobody to tell, and both do nothing.
    """

    __slots__ = ("_line", "_owner", "_pipe")

    def __init__(self, pipe: int | None = None) -> None:
        self._pipe = pipe
        self._owner = os.getpid()
        self._line = None if pipe is None else _file_of(pipe)

    @property
    def is_pending(self) -> bool:
        """Tell whether the starter still waits for this process's word."""
        return self._pipe is not None and self._owner == os.getpid()

    def descriptors(self) -> tuple[int, ...]:
        """Return what must stay open while the word is pending."""
        return () if self._pipe is None else (self._pipe,)

    def ready(self) -> None:
        """Let the starter exit with status 0. Again, or in a forked child, it does nothing.

        Raises:
            BrokenPipeError: the starter has gone (somebody interrupted it): nobody wants this
                daemon any more.
        """
        self._say(bytes([_READY]))

    def executing(self) -> None:
        """Say that execve(2) is next: if it succeeds the starter hears "ready", by its own.

        The line is closed by a successful exec, since it is close-on-exec; after one that
        failed, say `failed`.

        Raises:
            BrokenPipeError: the starter has gone.
        """
        if self.is_pending and self._pipe is not None and _file_of(self._pipe) == self._line:
            os.write(self._pipe, bytes([_EXECUTING]))

    def failed(self, message: str, status: int = EX_FAILURE) -> None:
        """Let the starter print *message* and exit with *status*.

        Args:
            message: one line; empty for none.
            status: from 1 to 254. Whatever else, such as 0, becomes 1: this is no success.
        """
        code = status if 0 < status < _EXECUTING else EX_FAILURE
        text = message.encode(errors="backslashreplace")[:_LONGEST_MESSAGE]
        try:
            self._say(bytes([code]) + text)
        except BrokenPipeError:
            return  # nobody is there to be told

    def _say(self, word: bytes) -> None:
        if not self.is_pending or self._pipe is None:
            return
        pipe, self._pipe = self._pipe, None
        if _file_of(pipe) != self._line:
            return  # somebody closed it, and its number is another file's by now
        try:
            os.write(pipe, word)
        finally:
            os.close(pipe)


def _file_of(descriptor: int) -> tuple[int, int] | None:
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def refuse_to_fork_unsafely() -> None:
    """Refuse a fork that would leave the child with locks that nobody will ever release.

    fork(2) copies the calling thread alone: what the others hold stays held in the child,
    malloc's locks included. And an event loop's selector would be shared with the child.

    Raises:
        PreflightError: other threads run, or an event loop does. Nothing has changed.
    """
    reasons: list[str] = []
    count = _threads()
    if count > 1:
        reasons.append(
            f"{count} threads run, and this one alone would go on in the daemon; "
            "detach before the others are started"
        )
    events = sys.modules.get("asyncio.events")
    if events is not None and events._get_running_loop() is not None:
        reasons.append("an event loop runs, and can't be shared with the daemon; detach before it")
    if reasons:
        raise PreflightError(*reasons)


def _threads() -> int:
    threading = sys.modules.get("threading")
    known = 1 if threading is None else int(threading.active_count())
    deadline = time.monotonic() + _TICK
    try:
        # One that was joined is gone for Python a moment before it is gone for the kernel.
        while (count := len(os.listdir("/proc/self/task"))) > known == 1:
            if time.monotonic() > deadline:
                break
            time.sleep(_TICK / 50)
    except OSError:
        return known
    return count


if sys.platform == "win32":

    def detach(undo: Callable[[], None] = lambda: None) -> Readiness:
        """Refuse: there is no fork on Windows.

        Raises:
            UnsupportedPlatformError: always.
        """
        raise UnsupportedPlatformError("Windows has no fork: run the program as a service there")

else:

    def detach(undo: Callable[[], None] = lambda: None) -> Readiness:
        """Go on as a daemon; this returns in the daemon alone.

        The starter waits for the daemon's word and exits: with 0 at `Readiness.ready`; with the
        daemon's message on standard error and its status at `Readiness.failed`, or where the daemon
        ended without a word. Its exit handlers don't run, since the daemon has them too; standard
        output and error are flushed before.

        The daemon is in a session of its own, without a terminal. All signals are blocked in it,
        until it is ready to handle them. Its descriptors, handlers, umask and directory are as
        they were: `abdicate.process.daemon` sees to those.

        Args:
            undo: called in the starter before it exits with another status than 0.

        Raises:
            PreflightError: other threads run, or an event loop does; or ctypes can't be loaded.
                Nothing has changed.
            OSError: a pipe or a process can't be made. Nothing has changed.
            UnsupportedPlatformError: on Windows.
        """
        refuse_to_fork_unsafely()
        try:
            # The watcher and the daemon need it both: loaded here, they load it once.
            native.preload()
        except (ImportError, OSError) as error:
            reason = f"no process can be tied to another without the C library: {error}"
            raise PreflightError(reason) from error
        # Or the pipe would be the daemon's standard output, where 0, 1 or 2 is closed.
        occupy_standard_descriptors()
        for stream in (sys.stdout, sys.stderr):
            # What is buffered would be written by both. A program's own stream may be anything.
            if stream is not None and hasattr(stream, "flush") and not _is_closed(stream):
                stream.flush()
        starter = os.getpid()
        hearing, speaking = os.pipe()
        # No handler of the program's may run from here in a process that is not to be one of it.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        # Who ignores it never learns how a child ended, wait(2).
        children = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        try:
            watcher = os.fork()
        except OSError:
            signal.signal(signal.SIGCHLD, children)
            os.close(hearing)
            os.close(speaking)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            raise
        if watcher:
            os.close(hearing)
            os.close(speaking)
            _exit_as(watcher, undo, mask)
        try:
            os.setsid()
            daemon = os.fork()
        except OSError as error:
            _leave(f"the daemon can't be made: {error.strerror}", EX_FAILURE)
        if daemon:
            os.close(speaking)
            _watch(starter, daemon, hearing)
        os.close(hearing)
        return Readiness(speaking)

    def _exit_as(watcher: int, undo: Callable[[], None], mask: Iterable[int]) -> NoReturn:
        """Be the starter: wait for the watcher, and leave with its status."""
        code, message = EX_FAILURE, ""
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            code = _end_of(watcher)
            if code < 0:
                code, message = EX_FAILURE, f"given up: signal {-code} killed the watcher"
        except BaseException as error:  # noqa: BLE001 - it ends the start, and this process
            # What a handler raises ends the start, and is not the program's to catch: it would
            # go on in two processes. The watcher is in another session, and has not seen the
            # key; without it the daemon finds nobody to be ready for, and ends.
            os.kill(watcher, signal.SIGKILL)
            code = 128 + signal.SIGINT if isinstance(error, KeyboardInterrupt) else EX_FAILURE
            message = "interrupted" if isinstance(error, KeyboardInterrupt) else "given up"
        finally:
            try:
                if code != 0:
                    undo()
            finally:
                _leave(message, code)

    def _end_of(child: int) -> int:
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status)

    def _watch(starter: int, daemon: int, hearing: int) -> NoReturn:
        """Be the watcher: wait for the daemon's word, print what it says, leave with its status."""
        status, message = EX_FAILURE, "the daemon's word was lost"
        try:
            reset_all_signals(for_exec=True)
            _die_with(starter)
            status, message = _Watch(starter, daemon, hearing).outcome()
        finally:
            _leave(message, status)

    def _die_with(starter: int) -> None:
        # Without the starter nobody hears the watcher, and without the watcher the daemon finds
        # nobody to be ready for. Where there is no such signal, the watcher looks by itself.
        try:
            system_kernel().set_thread_parent_death_signal(signal.SIGKILL)
        except OSError:
            return
        if os.getppid() != starter:
            _leave("", EX_FAILURE)

    class _Watch:
        """The watcher's view of the daemon: a line to hear, and a child to wait for."""

        def __init__(self, starter: int, daemon: int, hearing: int) -> None:
            self._starter = starter
            self._daemon = daemon
            self._hearing = hearing
            self._code: int | None = None

        def outcome(self) -> tuple[int, str]:
            """Return the status to leave with, and what to print."""
            word = self._hear()
            if word == bytes([_EXECUTING]):
                word = self._hear() or self._after_exec()
            word = word.removeprefix(bytes([_EXECUTING]))
            if word:
                return word[0], word[1:].decode(errors="replace")
            return self._end()

        def _hear(self) -> bytes:
            """Return the daemon's word; nothing where it ended, or closed its line, without one."""
            while not self._spoke(_TICK):
                # Somebody killed the starter: without a listener, the daemon gives up as well.
                if os.getppid() != self._starter:
                    _leave("", EX_FAILURE)
                # Its own children may hold the line open after it died.
                if self._has_ended() and not self._spoke(0):
                    return b""
            return os.read(self._hearing, _LONGEST_MESSAGE + 1)

        def _spoke(self, timeout: float) -> bool:
            # Not select(2), which knows descriptors below 1024 only.
            line = select.poll()
            line.register(self._hearing, select.POLLIN)
            return bool(line.poll(timeout * 1000))

        def _has_ended(self) -> bool:
            if self._code is None:
                ended, status = os.waitpid(self._daemon, os.WNOHANG)
                self._code = os.waitstatus_to_exitcode(status) if ended else None
            return self._code is not None

        def _after_exec(self) -> bytes:
            """Return what the end of file behind "executing" means: ready, unless it was killed.

            An exec that fails after the point of no return ends in a signal, execve(2).
            """
            deadline = time.monotonic() + _TICK
            while not self._has_ended() and time.monotonic() < deadline:
                time.sleep(_TICK / 10)
            return b"" if self._code is not None and self._code < 0 else bytes([_READY])

        def _end(self) -> tuple[int, str]:
            """Return the outcome of a daemon that left without a word."""
            deadline = time.monotonic() + _GRACE
            while not self._has_ended() and time.monotonic() < deadline:
                time.sleep(_TICK)
            code = self._code
            if code is None:
                silent = f"the daemon (process {self._daemon}) runs, and never said it was ready"
                return EX_FAILURE, silent
            how = f"was killed by signal {-code}" if code < 0 else f"exited with status {code}"
            told = f"the daemon {how} before it was ready; its log may tell more"
            return (code if code > 0 else EX_FAILURE), told


def _is_closed(stream: object) -> bool:
    return getattr(stream, "closed", False) is True


def _leave(message: str, status: int) -> NoReturn:
    try:
        if message:
            program = os.path.basename(sys.argv[0]) or "daemon"
            os.write(2, f"{program}: {printable(message)}\n".encode(errors="backslashreplace"))
    finally:
        # Not exit: the handlers and buffers of this copy are the daemon's.
        os._exit(status)
