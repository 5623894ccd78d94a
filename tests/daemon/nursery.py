"""Where the tests' daemons are born: what starts them is run here, and no daemon gets away.

While a test runs its process is a subreaper, prctl(2): whoever is orphaned below it becomes its
child. So a daemon can be found, waited for as a child is, and at the end of the test everything
that is still there is killed, whatever its environment, session or user.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h

_PATIENCE = 30.0  # seconds until a starter, or a daemon's end, is called overdue

_MANAGERS = ("NOTIFY_SOCKET", "LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES")

#: What every worker begins with. ``tell`` says something to the test; ``live`` says who lives, and
#: stays until it is killed; after ``note_forks`` a fork leaves a file behind.
_PRELUDE = """\
import atexit, json, os, signal, sys, time
from abdicate.identity.ids import parse_owner
from abdicate.identity.resolve import KeepGroups
from abdicate.plan.policy import DropPolicy
from abdicate.process.daemon import Daemon
from abdicate.process.pidlock import PidLock
from abdicate.request import DropRequest

PLACE = sys.argv[1]

def tell(value):
    text = json.dumps(value)
    with open(PLACE + "/told", "w") as file:
        file.write(text)

def live():
    signal.alarm(60)
    try:
        with open(PLACE + "/living", "a") as file:
            file.write(f"{os.getpid()}\\n")
    except OSError:
        pass
    while True:
        time.sleep(60)

def fds():
    listed = map(int, os.listdir("/proc/self/fd"))
    return [number for number in listed if os.path.exists(f"/proc/self/fd/{number}")]

def note_forks():
    os.register_at_fork(before=lambda: open(PLACE + "/forked", "w").close())

"""


@dataclass(frozen=True)
class Started:
    """What the terminal saw of a start."""

    status: int
    output: bytes
    errors: bytes

    @property
    def message(self) -> str:
        """The one line on standard error, without the program's name in front of it."""
        text = self.errors.decode()
        assert text.count("\n") == 1, self
        assert text.endswith("\n"), self
        name, colon, message = text[:-1].partition(": ")
        assert colon, self
        assert name, self
        return message


class Nursery:
    """Starts programs that become daemons; a context manager that leaves none of them alive."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._ours: set[int] = set()
        self._begun: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Nursery:
        _subreaper(True)
        self._ours = set(_children())
        return self

    def __exit__(self, *_exception: object) -> None:
        try:
            # A child that is killed may leave children of its own, which become ours then.
            while left := set(_children()) - self._ours:
                for pid in left:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                for pid in left:
                    with contextlib.suppress(ChildProcessError):
                        os.waitpid(pid, 0)
        finally:
            _subreaper(False)
            for begun in self._begun:
                with begun:
                    begun.kill()

    # --- Starting -------------------------------------------------------------------------------

    def worker(self, source: str) -> list[str]:
        """Write a program, and return the command that runs it; its name is ``worker``."""
        program = self.place / "worker"
        fresh = self.place / "fresh"
        fresh.write_text(_PRELUDE + textwrap.dedent(source))
        # At once: another one that was begun may be about to read it.
        fresh.rename(program)
        return [sys.executable, str(program), str(self.place)]

    def begin(
        self,
        command: str | Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        before: Callable[[], object] | None = None,
        keep: Sequence[int] = (),
        group: int | None = None,
        through: Sequence[str] = (),
    ) -> subprocess.Popen[bytes]:
        """Start a worker from its source, or a command, and don't wait for it.

        Args:
            command: the source of a worker, or the words of a command.
            env: more variables.
            before: called in the child, before it executes.
            keep: descriptors that it inherits.
            group: the process group to put it in; 0 is one of its own.
            through: a command that runs the command.
        """
        words = self.worker(command) if isinstance(command, str) else list(command)
        plain = {name: value for name, value in os.environ.items() if name not in _MANAGERS}
        begun = subprocess.Popen(
            [*through, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=plain | dict(env or {}),
            preexec_fn=before,
            pass_fds=keep,
            process_group=group,
        )
        self._begun.append(begun)
        return begun

    def start(
        self,
        command: str | Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        before: Callable[[], object] | None = None,
        keep: Sequence[int] = (),
        through: Sequence[str] = (),
    ) -> Started:
        """Start a worker, or a command, and wait for the starter and all that it printed.

        A daemon that kept the terminal's descriptors would be waited for in vain.
        """
        begun = self.begin(command, env=env, before=before, keep=keep, through=through)
        return self.finish(begun)

    def finish(self, begun: subprocess.Popen[bytes]) -> Started:
        """Wait for a starter that was begun."""
        output, errors = begun.communicate(timeout=_PATIENCE)
        return Started(begun.returncode, output, errors)

    # --- Looking --------------------------------------------------------------------------------

    def told(self) -> object:
        """Return what the worker told last."""
        value: object = json.loads((self.place / "told").read_text())
        return value

    def wait_until_told(self) -> object:
        """Wait until the worker has told something, and return it."""
        told = self.place / "told"
        until(lambda: told.exists() and told.read_text() != "", "the worker tells something")
        return self.told()

    def forked(self) -> bool:
        """Tell whether a worker that noted its forks has forked."""
        return (self.place / "forked").exists()

    def orphans(self) -> list[int]:
        """Return who was orphaned and has not ended: daemons, and watchers without a starter."""
        return sorted(pid for pid in set(_children()) - self._ours if not _has_ended(pid))

    def daemon(self) -> int:
        """Return the pid of the one daemon that there is."""
        (pid,) = self.orphans()
        return pid

    def living(self) -> int:
        """Return the pid of the one daemon that there is, when it has done all but live on."""
        pid, living = self.daemon(), self.place / "living"
        until(lambda: living.exists() and f"{pid}\n" in living.read_text(), f"process {pid} lives")
        return pid

    def program(self) -> int:
        """Return the pid of the one daemon that there is, when it has executed a program.

        The starter leaves as soon as execve(2) can't fail any more: some moments before the
        kernel has closed every descriptor, and shown the program's arguments and environment.
        """
        pid = self.daemon()
        until(lambda: executes(pid), f"process {pid} executes a program")
        return pid

    def ended(self, pid: int) -> int:
        """Wait until an orphan has ended; return its exit status, negative for a signal."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.01)
        raise AssertionError(f"process {pid} is to end, and runs after {_PATIENCE} s")

    def wait_until_empty(self) -> None:
        """Wait until no orphan is left."""
        until(lambda: not self.orphans(), "every daemon has ended")


# --- What /proc says of a process ---------------------------------------------------------------


@dataclass(frozen=True)
class Standing:
    """Where a process stands among the others: the fields of proc_pid_stat(5) that tell."""

    parent: int
    group: int
    session: int
    terminal: int


def standing(pid: int) -> Standing:
    """Return a process's parent, process group, session and controlling terminal (0: none)."""
    return Standing(*map(int, _stat(pid)[1:5]))


def status_of(pid: int) -> dict[str, str]:
    """Return /proc/<pid>/status as key and text."""
    with open(f"/proc/{pid}/status") as file:
        pairs = (line.partition(":") for line in file)
        return {key: value.strip() for key, _, value in pairs}


def signals_in(mask: str) -> set[int]:
    """Return the signals of a mask as proc_pid_status(5) writes it."""
    return {number for number in range(1, 65) if int(mask, 16) >> (number - 1) & 1}


def descriptors_of(pid: int) -> dict[int, str]:
    """Return a process's open descriptors, and what each refers to."""
    found = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        # Of this process itself, the one that listed them is closed again.
        with contextlib.suppress(FileNotFoundError):
            found[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
    return found


def environment_of(pid: int) -> dict[str, str]:
    """Return the environment that a process was executed with."""
    with open(f"/proc/{pid}/environ", "rb") as file:
        entries = file.read().decode().split("\0")
    return dict(entry.split("=", 1) for entry in entries if entry)


def executes(pid: int) -> bool:
    """Tell whether a process that was a Python has executed another program."""
    # The last thing that execve(2) sets: before, there is nothing to be read here.
    with open(f"/proc/{pid}/environ", "rb") as file:
        return file.read(1) != b"" and not status_of(pid)["Name"].startswith("python")


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until *condition* holds; fail where it doesn't in good time."""
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.01)


def _stat(pid: int) -> list[str]:
    # The name, in parentheses, may hold anything: what counts is behind the last of them.
    with open(f"/proc/{pid}/stat", errors="replace") as file:
        return file.read().rpartition(")")[2].split()


def _has_ended(pid: int) -> bool:
    try:
        return _stat(pid)[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def _children() -> Iterator[int]:
    own = os.getpid()
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if standing(int(name)).parent == own:
                yield int(name)


def _subreaper(on: bool) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
