"""The sample app: checked against what is installed, tested without root, and misused."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_APP = Path(__file__).parents[2] / "examples" / "typed_app"

# What a colleague reads: mypy's words, and pyright's.
MISUSES = {
    "serves_before_it_drops": (
        'Missing positional argument "proof" in call to "serve"',
        'Argument missing for parameter "proof"',
    ),
    "shows_the_plan_as_a_proof": (
        'Argument 2 to "serve" has incompatible type "Plan"; expected "Dropped"',
        '"Plan" is not assignable to "Dropped"',
    ),
    "shows_a_rehearsal_as_a_proof": (
        'Argument 2 to "serve" has incompatible type "Rehearsal"; expected "Dropped"',
        '"Rehearsal" is not assignable to "Dropped"',
    ),
    "forges_a_proof": (
        'Argument 1 to "Dropped" has incompatible type "None"; expected "Never"',
        'Type "None" is not assignable to type "Never"',
    ),
    "drops_to_a_float": (
        'Argument "uid" to "maybe_drop_privileges" has incompatible type "float"',
        '"float" is not assignable to "int"',
    ),
    "misspells_a_policy": (
        """Argument "groups" to "PrivilegeDrop" has incompatible type "Literal['none']\"""",
        """Type "Literal['none']" is not assignable to type "GroupChoice | None\"""",
    ),
    "changes_a_plan": (
        'Property "steps" defined in "Plan" is read-only',
        'Attribute "steps" is read-only',
    ),
    "catches_it_as_an_exception": (
        '"Exception" has no attribute "report"',
        'Attribute "report" is unknown',
    ),
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy outside of this checkout: what the app finds is what is installed."""
    copy = tmp_path_factory.mktemp("app") / "greeter"
    shutil.copytree(_APP, copy, ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))
    return copy


def _said(app: Path, *words: str) -> tuple[int, str]:
    names = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    ran = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=app,
        env=names | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return ran.returncode, ran.stdout + ran.stderr


_MYPY = ("mypy", "--strict", "--cache-dir", os.devnull)
_PYRIGHT = ("pyright", "--pythonpath", sys.executable)


def test_mypy_has_nothing_to_say(app: Path) -> None:
    """Strictly, of the app and of its tests."""
    status, said = _said(app, *_MYPY, "greeter", "tests")
    assert status == 0, said


@pytest.mark.needs("pyright")
def test_pyright_has_nothing_to_say(app: Path) -> None:
    """Strictly, of the app and of its tests."""
    status, said = _said(app, *_PYRIGHT, "greeter", "tests")
    assert status == 0, said
    assert "0 errors, 0 warnings" in said


def test_it_ignores_nothing(app: Path) -> None:
    """No check is switched off anywhere."""
    texts = [file.read_text() for file in app.rglob("*.py")]
    assert len(texts) >= 3 + len(MISUSES)
    for text in texts:
        assert "type: ignore" not in text
        assert "pyright:" not in text
        assert "Any" not in text


def test_its_own_tests_pass_without_root(app: Path) -> None:
    """On the model, by the plugin that pytest finds; as root too they change nothing."""
    before = os.getresuid(), os.getresgid(), os.getgroups()
    status, said = _said(app, "pytest", "-q", "-p", "no:cacheprovider")
    assert status == 0, said
    assert "6 passed" in said
    assert before == (os.getresuid(), os.getresgid(), os.getgroups())


def test_every_misuse_is_known(app: Path) -> None:
    """A new one gets its messages here."""
    assert {file.stem for file in (app / "misuse").glob("*.py")} == set(MISUSES)


def test_each_misuse_is_refused_by_mypy(app: Path) -> None:
    """With these words, and with no others."""
    status, said = _said(app, *_MYPY, "misuse")
    assert status == 1, said
    _each_is_refused(said, 0)


@pytest.mark.needs("pyright")
def test_each_misuse_is_refused_by_pyright(app: Path) -> None:
    """With these words, and with no others."""
    status, said = _said(app, *_PYRIGHT, "misuse")
    assert status == 1, said
    _each_is_refused(said, 1)


def _each_is_refused(said: str, checker: int) -> None:
    refused = {name for name in MISUSES if re.search(rf"{name}\.py:\d+:(\d+ -)? error", said)}
    assert refused == set(MISUSES), said
    for name, messages in MISUSES.items():
        assert messages[checker] in _of(name, said), said


def _of(name: str, said: str) -> str:
    """Return what is said of one file: its lines, and what a checker adds on lines of their own."""
    parts = re.split(r"(?=misuse/\w+\.py:\d)", said)
    return "".join(part for part in parts if part.startswith(f"misuse/{name}.py:"))
