"""What the command line's tests share: places that everybody can enter, and an ordinary user."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import abdicate as package
from cli.program import ROOT, Ran, Word

_NOBODY = 65534


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that every user can enter; tmp_path is the test's user's own."""
    with tempfile.TemporaryDirectory(prefix="abdicate-cli-") as name:
        path = Path(name).resolve()
        path.chmod(0o755)
        yield path


@pytest.fixture(scope="session")
def readable_package() -> Iterator[Path]:
    """A copy of the package that every user can read, wherever this checkout is."""
    with tempfile.TemporaryDirectory(prefix="abdicate-copy-") as name:
        assert package.__file__ is not None
        copy = Path(name, "abdicate")
        shutil.copytree(
            Path(package.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__")
        )
        for path in (Path(name), copy, *copy.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        yield Path(name)


@pytest.fixture
def as_ordinary_user(readable_package: Path) -> Callable[..., Ran]:
    """Call ``abdicate`` as nobody, with no groups, where the tests run as root."""
    # The interpreter of the virtual environment itself may be out of an ordinary user's reach.
    interpreter = os.path.realpath(sys.executable) if ROOT else sys.executable

    def call(*words: Word) -> Ran:
        return subprocess.run(
            [interpreter, "-m", "abdicate", *words],
            input=b"",
            env=os.environ | {"PYTHONPATH": str(readable_package), "PYTHONDONTWRITEBYTECODE": "1"},
            cwd="/",
            capture_output=True,
            user=_NOBODY if ROOT else None,
            group=_NOBODY if ROOT else None,
            extra_groups=[] if ROOT else None,
            timeout=60,
            check=False,
        )

    return call
