"""A place where Celery runs, for real: programs, broker, logs and pidfiles, all of it nobody's.

Everything that Celery needs is copied there, since a checkout and its virtual environment may be
out of an ordinary user's reach. Its processes leave the test's session, group and parents; they
are known by the place's name in their environment, or in their arguments.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TypeVar

import abdicate
from harness.child import thread_statuses

T = TypeVar("T")
Ran = subprocess.CompletedProcess[str]

_PATIENCE = 60.0  # seconds that a command may take before the test calls it hung
_WAIT = 30.0  # seconds to wait for what a daemon does; most takes less than one
_OF_NOBODY = ("inbox", "outbox", "control", "told", "run", "log", "tmp")
_IDENTITY = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapAmb")

NOBODY = pwd.getpwnam("nobody")
#: What each thread of a process of nobody's has to hold, in proc_pid_status(5)'s words.
NOBODYS = {
    "Uid": "\t".join([str(NOBODY.pw_uid)] * 4),
    "Gid": "\t".join([str(NOBODY.pw_gid)] * 4),
    "Groups": " ".join(map(str, sorted(os.getgrouplist(NOBODY.pw_name, NOBODY.pw_gid)))),
    **dict.fromkeys(("CapInh", "CapPrm", "CapEff", "CapAmb"), "0" * 16),
}


def wait_for(what: str, look: Callable[[], T | None], tell: Callable[[], str] = str) -> T:
    """Return what *look* finds, as soon as it finds anything true; else fail with *tell*."""
    deadline = time.monotonic() + _WAIT
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"waited {_WAIT:.0f} s for {what}\n{tell()}"
        time.sleep(0.02)


# --- Processes, seen from outside -----------------------------------------------------------------


@dataclass(frozen=True)
class Process:
    """What ``/proc/<pid>/stat`` says: proc_pid_stat(5)."""

    pid: int
    state: str
    parent: int
    session: int
    terminal: int


def process(pid: int) -> Process | None:
    """Return the process, or None where it has ended: a zombie only waits for its parent."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    state, parent, _, session, terminal = text.rpartition(")")[2].split()[:5]
    found = Process(pid, state, int(parent), int(session), int(terminal))
    return None if state in "ZX" else found


def processes() -> list[Process]:
    """Return all processes."""
    found = (process(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return [one for one in found if one is not None]


def children(pid: int) -> list[int]:
    """Return the children of a process."""
    return [one.pid for one in processes() if one.parent == pid]


def holdings(pid: int) -> list[dict[str, str]]:
    """Return the ids, groups and capabilities of each thread of a process."""
    return [{key: status[key] for key in _IDENTITY} for status in thread_statuses(pid).values()]


def title(pid: int) -> str:
    """Return what ps(1) shows for a process."""
    return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").rstrip("\0")


def open_files(pid: int) -> dict[int, tuple[int, int]]:
    """Return the device and inode that each descriptor of a process refers to."""
    found = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            status = os.stat(f"/proc/{pid}/fd/{name}")
            found[int(name)] = (status.st_dev, status.st_ino)
    return found


# --- The place ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Told:
    """What the task told of the process that ran it."""

    process: int
    parent: int
    platforms: Mapping[str, str]


class Site:
    """A directory for one Celery, everything that it needs, and all its processes."""

    def __init__(self, root: Path, library: Path) -> None:
        """Furnish *root*, a directory with a name that nothing else on this machine has.

        *library* is what `copy_programs` made.
        """
        self.root = root
        self._library = library
        root.chmod(0o755)
        for name in _OF_NOBODY:
            directory = root / name
            directory.mkdir()
            os.chown(directory, NOBODY.pw_uid, NOBODY.pw_gid)
        # The environment's own interpreter may be out of reach; the one behind it is not.
        self._python = os.path.realpath(sys.executable)
        self.interpreter = root / "python-on-abdicate"
        launcher = library / "celery_on_abdicate.py"
        self.interpreter.write_text(f'#!/bin/sh\nexec {self._python} {launcher} "$@"\n')
        self.interpreter.chmod(0o755)
        self._environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "HOME": "/",
            "TMPDIR": str(root / "tmp"),
            "PYTHONPATH": str(library),
            "PYTHONDONTWRITEBYTECODE": "1",
            "ABDICATE_CELERY_HOME": str(root),
            # setproctitle would write its title over the environment that we look for.
            "SPT_NOENV": "1",
        }

    # --- Its files ------------------------------------------------------------------------------

    def pidfile(self, node: str) -> Path:
        """Return where a node's pidfile is to be."""
        return self.root / "run" / f"{node}.pid"

    def log(self, node: str) -> Path:
        """Return where a node's log is to be."""
        return self.root / "log" / f"{node}.log"

    def pid(self, node: str) -> int:
        """Return the pid in a pidfile, as soon as there is one: it is complete from the start."""
        path, log = self.pidfile(node), self.log(node)
        return int(wait_for(f"the pidfile of {node}", lambda: _text(path), lambda: _text(log)))

    def options(self, node: str = "%n") -> list[str]:
        """Return the words that daemons of all kinds are given."""
        return [
            # In one word: of two, Celery takes the first away when it executes itself anew.
            f"--uid={NOBODY.pw_name}",
            f"--pidfile={self.pidfile(node)}",
            f"--logfile={self.log(node)}",
            f"--executable={self.interpreter}",
            "--loglevel=INFO",
        ]

    def worker_options(self, node: str) -> list[str]:
        """Return the words that a worker is given; its name has the place's, for its children."""
        return [*self.options(node), f"--hostname={node}@{self.root.name}", "--concurrency=2"]

    # --- Its programs ---------------------------------------------------------------------------

    def celery(self, *words: str) -> Ran:
        """Run ``celery`` to its end, as a terminal would.

        Its output is read to the end of file: a daemon that keeps it open makes this time out.
        """
        return subprocess.run(
            self._command(words),
            env=self._environment,
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )

    @contextlib.contextmanager
    def foreground(self, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run ``celery`` while the block runs; its output goes to a file."""
        with (
            open(self.root / "foreground.out", "wb") as output,
            subprocess.Popen(
                self._command(words),
                env=self._environment,
                cwd=self.root,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            ) as running,
        ):
            try:
                yield running
            finally:
                running.kill()

    def start_worker(self, node: str) -> int:
        """Start a worker that detaches, and return its pid once it is ready."""
        ran = self.celery("worker", "--detach", *self.worker_options(node))
        assert ran.returncode == 0, ran
        return self.ready_worker(node)

    def ready_worker(self, node: str, times: int = 1) -> int:
        """Return a worker's pid once it has said, so many times, that it is ready."""
        pid = self.pid(node)
        log = self.log(node)

        def said() -> bool:
            assert process(pid) is not None, f"the worker died: {_text(log)}"
            return _text(log).count(" ready.") == times

        wait_for(f"{node} to be ready", said, lambda: _text(log))
        return self.pid(node)

    def ask(self, name: str) -> Told:
        """Have a worker run the task, and return what it told."""
        subprocess.run(
            [self._python, str(self._library / "celery_app.py"), name],
            env=self._environment,
            cwd="/",
            user=NOBODY.pw_uid,
            group=NOBODY.pw_gid,
            extra_groups=[],
            timeout=_PATIENCE,
            check=True,
        )
        for message in (self.root / "outbox").glob("*.celery.msg"):
            self.deliver(message)
        return self.told(name)

    def deliver(self, message: Path) -> None:
        """Bring a message that is complete from those who send to those who take."""
        message.rename(self.root / "inbox" / message.name)

    def sent(self) -> list[Path]:
        """Return the messages that were sent and not delivered, the oldest first."""
        return sorted((self.root / "outbox").glob("*.celery.msg"))

    def told(self, name: str) -> Told:
        """Return what the task told, once it has."""
        path = self.root / "told" / name
        return Told(**json.loads(wait_for(f"the task {name}", lambda: _text(path))))

    def stopped(self, node: str, pid: int) -> None:
        """Wait until a node has ended, and its pidfile is gone."""
        wait_for(f"{node} to end", lambda: process(pid) is None)
        assert not self.pidfile(node).exists()

    def _command(self, words: tuple[str, ...]) -> list[str]:
        return [str(self.interpreter), "--app=celery_app", *words]

    # --- Its processes --------------------------------------------------------------------------

    def processes(self) -> list[int]:
        """Return all processes of this place."""
        return [one.pid for one in processes() if self._belongs(one.pid)]

    def _belongs(self, pid: int) -> bool:
        # The environment first; of a process that changed its user only who may trace reads it.
        for name in ("environ", "cmdline"):
            with contextlib.suppress(OSError):
                if self.root.name.encode() in Path(f"/proc/{pid}/{name}").read_bytes():
                    return True
        return False

    def kill_all(self) -> None:
        """End every process of this place, however far it has got away; until none is left."""

        def none_left() -> bool:
            left = self.processes()
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return not left

        wait_for("all processes to be killed", none_left)


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def copy_programs(library: Path) -> None:
    """Copy Celery, all that it needs, our package and the launcher, for everybody to read."""
    for distribution in _needed("celery", "setproctitle"):
        for file in distribution.files or ():
            source, target = Path(str(file.locate())), library / file
            if ".." not in file.parts and source.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
    assert abdicate.__file__ is not None
    shutil.copytree(Path(abdicate.__file__).parent, library / "abdicate")
    for name in ("celery_app.py", "celery_on_abdicate.py"):
        shutil.copy2(Path(__file__).with_name(name), library)
    for path in (library, *library.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _needed(*names: str) -> list[metadata.Distribution]:
    """Return the distributions of these names and all that they require, as far as installed."""
    found: dict[str, metadata.Distribution] = {}
    left = list(names)
    while left:
        try:
            distribution = metadata.distribution(left.pop())
        except metadata.PackageNotFoundError:
            continue
        name = distribution.metadata["Name"]
        if name not in found:
            found[name] = distribution
            required = [text for text in distribution.requires or () if "extra ==" not in text]
            left += [re.split(r"[^\w.-]", text)[0] for text in required]
    return list(found.values())
