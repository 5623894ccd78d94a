"""What is loaded: a drop stands in front of every start of a process, and has to be quick."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from cli.program import BECOME, spelt

_PYDANTIC = {"pydantic", "pydantic_core", "annotated_types", "typing_extensions"}
# Each costs milliseconds.
_SLOW = {
    *("dataclasses", "inspect", "typing", "asyncio", "email", "logging", "subprocess", "tempfile"),
    *("shutil", "pathlib", "contextlib", "importlib.metadata", "socket", "multiprocessing"),
    *("random", "json", "concurrent", "decimal", "fractions", "hashlib", "http", "threading"),
    *("traceback", "tokenize", "urllib", "uuid", "zipfile", "runpy", "difflib", "textwrap"),
}
# What argparse brings, and a program that drops by itself has no use for.
_ARGPARSE = {"argparse", "gettext", "locale", "re", "enum", "functools", "collections"}


# As the installed script does it; -m would load runpy, and that contextlib.
_SCRIPT = ("-c", "import sys; from abdicate.cli import main; sys.exit(main())")


def _loaded(*words: str) -> set[str]:
    """Return the modules that Python loads for these words, without those of its own start."""
    bare, ours = (
        {
            line.rpartition("|")[2].strip()
            for line in subprocess.run(
                [sys.executable, "-X", "importtime", *command],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                timeout=60,
                check=False,
            ).stderr.splitlines()
            if re.match(r"import time: +\d", line)
        }
        for command in (("-c", "pass"), words)
    )
    # No line is printed for what the virtual environment's own start has loaded before.
    return ours - bare


def _among(loaded: set[str], names: set[str]) -> set[str]:
    return {name for name in loaded if name in names or name.partition(".")[0] in names}


@pytest.mark.parametrize(
    "words",
    [
        ["run", *BECOME, "--", "true"],
        ["explain", *BECOME],
        ["explain", *BECOME, "--json"],
        ["rehearse", *BECOME],
        ["show"],
    ],
    ids=spelt,
)
def test_no_command_loads_pydantic(words: list[str]) -> None:
    """P39: nor the plug-ins that it would load in a process that still is root."""
    loaded = _loaded(*_SCRIPT, *words)
    assert "abdicate.identity.credentials" in loaded
    assert _among(loaded, _PYDANTIC) == set()


@pytest.mark.parametrize("words", [["run", *BECOME, "--", "true"], ["explain", *BECOME]], ids=spelt)
def test_run_and_explain_load_nothing_slow(words: list[str]) -> None:
    """The price of a drop is Python's own start, and little else."""
    assert _among(_loaded(*_SCRIPT, *words), _SLOW) == set()


@pytest.mark.parametrize("words", [["run", *BECOME, "--", "true"]], ids=spelt)
def test_a_command_loads_no_other_command(words: list[str]) -> None:
    """One module a command."""
    loaded = _loaded(*_SCRIPT, *words)
    assert loaded & {f"abdicate.cli.{name}" for name in ("explain", "rehearse", "show")} == set()
    assert "abdicate.rehearsal" not in loaded


@pytest.mark.parametrize(
    "statement",
    ["import abdicate", "import abdicate.cli", "from abdicate.request import DropRequest"],
)
def test_importing_loads_no_pydantic(statement: str) -> None:
    """Pydantic stands at the border, and comes when a spec is asked for."""
    assert _among(_loaded("-c", statement), _PYDANTIC | _SLOW) == set()


def test_importing_abdicate_alone_loads_nothing_of_it() -> None:
    """PEP 562: the names come when they are used."""
    ours = {name for name in _loaded("-c", "import abdicate") if name.startswith("abdicate.")}
    assert ours == set()


_IMPORTED = "from abdicate.platforms import maybe_drop_privileges"
# The user stays who it is: it is a whole drop all the same, read back and attacked.
_DROPPED = (
    "import os; from abdicate.identity.ids import Gid, Owner, Uid; "
    "from abdicate.identity.resolve import KeepGroups; "
    "from abdicate.plan.policy import DropPolicy; "
    "from abdicate.request import DropRequest; "
    "policy = DropPolicy(allow_root=True, allow_root_group=True, umask=0o027); "
    "owner = Owner(Uid(os.geteuid()), Gid(os.getegid())); "
    "print(DropRequest(owner, KeepGroups(), policy=policy).apply().report.to_json())"
)


@pytest.mark.parametrize("statement", [_IMPORTED, _DROPPED], ids=["imported", "dropped"])
def test_the_function_api_loads_nothing_slow(statement: str) -> None:
    """Neither at its import nor in a drop, whose report is written out."""
    loaded = _loaded("-c", statement)
    assert "abdicate.executor" in loaded
    assert _among(loaded, _PYDANTIC | _SLOW | _ARGPARSE) == set()


def test_the_function_api_loads_what_a_drop_needs_and_no_other_room() -> None:
    """Pidfiles, daemons, signals and titles come with the first of their names."""
    loaded = _loaded("-c", _IMPORTED)
    rooms = {name.removeprefix("abdicate.") for name in loaded if name.startswith("abdicate.")}
    assert {name for name in rooms if name.startswith("process.")} == {
        "process.exits",
        "process.privileges",
    }
    assert {name.partition(".")[0] for name in rooms} == {
        *("errors", "executor", "identity", "kernel", "numbers", "plan", "platforms", "process"),
        *("request", "values"),
    }
