"""F1, F2, F11: many processes fight for one pidfile, on two file systems, and one oracle counts.

As root in full: 2,000 rounds and 20,000 acquisitions on each file system. The run as an ordinary
user takes the same ways through the kernel, and a tenth of the time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.needs("linux")

_PROGRAM = Path(__file__).with_name("stress_pidfile.py")
_FULL = os.geteuid() == 0
_ROUNDS = 2000 if _FULL else 200
_ACQUISITIONS = 20000 if _FULL else 2000


def _file_system(directory: str) -> str:
    """The type of the file system that *directory* is on: proc_pid_mountinfo(5)."""
    device = os.stat(directory).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    with open("/proc/self/mountinfo") as listing:
        for line in listing:
            fields, _, kind = line.partition(" - ")
            if fields.split()[2] == number:
                return kind.split()[0]
    return "unknown"


def _fight(directory: str, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(_PROGRAM), directory, *options],
        stdout=subprocess.PIPE,
        text=True,
    )


def _figures(fight: subprocess.Popen[str]) -> dict[str, int]:
    output, _ = fight.communicate(timeout=600)
    figures: dict[str, int] = json.loads(output)
    print(figures)
    return figures


class _Fights:
    """A fight on a tmpfs and one on a disk, fought at the same time."""

    def __init__(self) -> None:
        places = [tempfile.gettempdir(), "/dev/shm", "/var/tmp", str(Path.cwd())]
        memory = [place for place in places if _usable(place) and _file_system(place) == "tmpfs"]
        disk = [place for place in places if _usable(place) and _file_system(place) != "tmpfs"]
        assert memory, f"no tmpfs among {places}"
        assert disk, f"nothing but tmpfs among {places}"
        options = ("--rounds", str(_ROUNDS), "--acquisitions", str(_ACQUISITIONS))
        self._folders = [tempfile.TemporaryDirectory(dir=place) for place in (memory[0], disk[0])]
        self._started = {
            name: _fight(folder.name, *options)
            for name, folder in zip(("tmpfs", "disk"), self._folders, strict=True)
        }

    def figures(self) -> dict[str, dict[str, int]]:
        """Wait for both, and return what each counted."""
        return {name: _figures(fight) for name, fight in self._started.items()}

    def end(self) -> None:
        """Leave nothing behind."""
        for fight in self._started.values():
            if fight.poll() is None:
                fight.kill()
            fight.communicate()
        for folder in self._folders:
            folder.cleanup()


_early: list[_Fights] = []


def begin_early() -> None:
    """Begin the fights; tests/conftest.py does where the whole suite runs."""
    _early.append(_Fights())


@pytest.fixture(scope="module")
def fights() -> Iterator[dict[str, dict[str, int]]]:
    """The figures of the fights."""
    begun = _early.pop() if _early else _Fights()
    try:
        yield begun.figures()
    finally:
        begun.end()


def end_early() -> None:
    """End what was begun and not asked for."""
    while _early:
        _early.pop().end()


def _usable(directory: str) -> bool:
    return os.access(directory, os.W_OK | os.X_OK)


both = pytest.mark.parametrize("place", ["tmpfs", "disk"])


@both
def test_f01_f02_never_two_holders(fights: dict[str, dict[str, int]], place: str) -> None:
    """F1, F2: from absent, stale, empty, staggered, killed; in churn, and under SIGKILL."""
    assert fights[place]["rounds"] >= _ROUNDS
    assert fights[place]["acquisitions"] >= _ACQUISITIONS
    assert fights[place]["double holders"] == 0


@both
def test_no_lock_is_ever_lost(fights: dict[str, dict[str, int]], place: str) -> None:
    """Every round has a winner, every holder still holds at its end, and no error comes up."""
    assert fights[place]["kills"] > 0
    assert fights[place]["lost locks"] == 0
    assert fights[place]["errors"] == 0


@both
def test_f11_a_reader_never_sees_half_a_file(fights: dict[str, dict[str, int]], place: str) -> None:
    """F11: nor an empty one."""
    assert fights[place]["reads"] > _ROUNDS
    assert fights[place]["torn reads"] == 0


@pytest.mark.parametrize(
    ("lock", "seen"),
    [
        ("check-then-create", "double holders"),
        ("check-then-create", "torn reads"),
        ("no-second-look", "double holders"),
        ("never-taken-over", "lost locks"),
    ],
)
def test_a_broken_lock_is_seen(tmp_path: Path, lock: str, seen: str) -> None:
    """The oracle is worth nothing where it can't tell a lock from none."""
    fight = _fight(str(tmp_path), "--rounds", "60", "--acquisitions", "0", "--lock", lock)
    assert _figures(fight)[seen] > 0
    assert fight.returncode == 1
