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


@pytest.fixture(scope="module")
def fights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, int]]]:
    """The figures of a fight on a tmpfs and of one on a disk, fought at the same time."""
    places = [str(tmp_path_factory.mktemp("stress")), "/dev/shm", "/var/tmp", str(Path.cwd())]
    memory = [place for place in places if _usable(place) and _file_system(place) == "tmpfs"]
    disk = [place for place in places if _usable(place) and _file_system(place) != "tmpfs"]
    assert memory, f"no tmpfs among {places}"
    assert disk, f"nothing but tmpfs among {places}"
    options = ("--rounds", str(_ROUNDS), "--acquisitions", str(_ACQUISITIONS))
    with (
        tempfile.TemporaryDirectory(dir=memory[0]) as on_memory,
        tempfile.TemporaryDirectory(dir=disk[0]) as on_disk,
    ):
        started = {"tmpfs": _fight(on_memory, *options), "disk": _fight(on_disk, *options)}
        yield {name: _figures(fight) for name, fight in started.items()}


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
