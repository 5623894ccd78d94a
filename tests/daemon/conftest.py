"""What the daemons' tests share: a place that everybody can enter, and a nursery."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.nursery import Nursery


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory in which every user may make files; tmp_path is the test's user's own."""
    with tempfile.TemporaryDirectory(prefix="abdicate-daemon-") as name:
        path = Path(name).resolve()
        path.chmod(0o777)
        yield path


@pytest.fixture
def nursery(place: Path) -> Iterator[Nursery]:
    """Starts programs that become daemons, and ends all of them with the test."""
    with Nursery(place) as nursery:
        yield nursery
