"""What several of these tests need."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def root_directory(tmp_path: Path) -> str:
    """A directory that www-data can enter, with another one inside: it can be a root directory."""
    tmp_path.chmod(0o755)
    (tmp_path / "inner").mkdir(mode=0o755)
    return str(tmp_path)


@pytest.fixture
def public_directory() -> Iterator[Path]:
    """A directory that every user can reach and enter; pytest's own are for one user alone."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path
