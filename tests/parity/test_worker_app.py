"""An application that was written for celery.platforms runs on either module, all the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from parity.oracle import CELERY, OURS

_APP = Path(__file__).with_name("worker_app.py")
_ROOT = os.geteuid() == 0
_WHO = ("--user", "nobody", "--group", "adm") if _ROOT else ()
_PATIENCE = 20.0

pytestmark = pytest.mark.needs("celery", "linux", "setproctitle")


@dataclass(frozen=True)
class Facts:
    """What can be observed of the application from outside."""

    start: tuple[int, str, str]
    pidfile: str
    credentials: tuple[str, ...]
    place: tuple[str, ...]
    titles: tuple[str, ...]
    ignored: int
    second_start: tuple[int, bool, bool]
    second_start_in_the_background: int
    stopped: bool
    left: Mapping[str, str]
    log: tuple[str, ...]


def _until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


class _Application:
    """The application in a directory of its own."""

    def __init__(self, module: str, directory: Path) -> None:
        self._module = module
        self._directory = directory
        self.log = directory / "worker.log"
        self.pidfile = directory / "worker.pid"

    def start(self, *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-P", str(_APP), str(self._directory), *_WHO, *options],
            env=os.environ | {"PLATFORMS": self._module},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )

    def lines(self) -> tuple[str, ...]:
        return tuple(self.log.read_text().splitlines()) if self.log.exists() else ()

    def title(self, pid: int) -> str:
        run = subprocess.run(
            ["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        return run.stdout.strip()


@contextmanager
def _place() -> Iterator[Path]:
    """A directory that is the worker's user's own."""
    with tempfile.TemporaryDirectory(prefix="abdicate-worker-") as name:
        if _ROOT:
            os.chown(name, 65534, 4)
        os.chmod(name, 0o755)
        yield Path(name).resolve()


def _status(pid: int, *fields: str) -> tuple[str, ...]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return tuple(" ".join(line.split()) for line in lines if line.split(":")[0] in fields)


def _observe(module: str) -> Facts:
    with _place() as directory:
        app = _Application(module, directory)
        started = app.start()
        # celery's starter leaves before there is a daemon.
        assert _until(lambda: "ready" in app.lines()), started
        pid = int(app.pidfile.read_text())
        try:
            titles = [app.title(pid)]
            os.kill(pid, signal.SIGHUP)
            assert _until(lambda: "HUP: reloaded" in app.lines())
            _until(lambda: app.title(pid) != titles[0])
            titles.append(app.title(pid))
            os.kill(pid, signal.SIGUSR1)
            second = app.start("--foreground")
            background = app.start()
            facts = Facts(
                start=(started.returncode, started.stdout, started.stderr),
                pidfile=app.pidfile.read_text().replace(str(pid), "PID"),
                credentials=_status(pid, "Uid", "Gid", "Groups", "CapEff", "CapPrm", "Umask"),
                place=(
                    str(Path(f"/proc/{pid}/cwd").readlink()).replace(str(directory), "DIRECTORY"),
                    *(str(Path(f"/proc/{pid}/fd/{number}").readlink()) for number in (0, 1, 2)),
                    "leads its session" if os.getsid(pid) == pid else "can't get a terminal",
                ),
                titles=tuple(titles),
                ignored=int(_status(pid, "SigIgn")[0].split()[1], 16) >> signal.SIGUSR1 - 1 & 1,
                second_start=(second.returncode, second.stdout == "", str(pid) in second.stderr),
                second_start_in_the_background=background.returncode,
                stopped=False,
                left={},
                log=(),
            )
            os.kill(pid, signal.SIGTERM)
            stopped = _until(lambda: not os.path.exists(f"/proc/{pid}"))
        finally:
            if os.path.exists(f"/proc/{pid}"):
                os.kill(pid, signal.SIGKILL)
        left = {path.name: f"{path.stat().st_mode:o}" for path in directory.iterdir()}
        ended = {"stopped": stopped, "left": left, "log": app.lines()}
        return Facts(**{**vars(facts), **ended})


@pytest.fixture(scope="module")
def celery() -> Facts:
    """The application on celery.platforms."""
    return _observe(CELERY)


@pytest.fixture(scope="module")
def ours() -> Facts:
    """The same on abdicate.platforms."""
    return _observe(OURS)


def test_it_starts_without_a_word(celery: Facts, ours: Facts) -> None:
    assert ours.start == celery.start == (0, "", "")


def test_the_pidfile_names_the_daemon(celery: Facts, ours: Facts) -> None:
    assert ours.pidfile == celery.pidfile == "PID\n"


@pytest.mark.needs("root")
def test_it_is_the_user_and_the_group_that_were_asked_for(ours: Facts) -> None:
    assert "Uid: 65534 65534 65534 65534" in ours.credentials
    assert "Gid: 4 4 4 4" in ours.credentials
    assert "Groups: 4" in ours.credentials
    assert "CapEff: 0000000000000000" in ours.credentials


def test_it_is_the_same_user_with_the_same_groups_and_umask(celery: Facts, ours: Facts) -> None:
    assert ours.credentials == celery.credentials
    assert "Umask: 0022" in ours.credentials


def test_it_is_where_it_was_sent_and_without_a_terminal(celery: Facts, ours: Facts) -> None:
    null = "/dev/null"
    assert ours.place == celery.place == ("DIRECTORY", null, null, null, "can't get a terminal")


def test_ps_shows_its_title(celery: Facts, ours: Facts) -> None:
    assert ours.titles == celery.titles == ("[worker] ready", "[worker] reloaded")


def test_its_handlers_run_and_what_it_ignores_is_ignored(celery: Facts, ours: Facts) -> None:
    assert ours.ignored == celery.ignored == 1
    assert ours.log == celery.log == ("ready", "HUP: reloaded", "TERM: stopping", "stopped")


def test_a_second_start_is_refused_with_the_holders_pid(celery: Facts, ours: Facts) -> None:
    """EX_CANTCREAT, and a message on standard error."""
    assert ours.second_start == celery.second_start == (73, True, True)


def test_a_second_start_in_the_background_is_refused_too(celery: Facts, ours: Facts) -> None:
    """Deviation 12: celery's starter has left with 0 before its daemon looks."""
    assert (celery.second_start_in_the_background, ours.second_start_in_the_background) == (0, 73)


def test_it_stops_when_told_to(celery: Facts, ours: Facts) -> None:
    assert ours.stopped
    assert celery.stopped


def test_it_takes_its_pidfile_along_and_leaves_its_log(celery: Facts, ours: Facts) -> None:
    assert ours.left == celery.left == {"worker.log": "100644"}
