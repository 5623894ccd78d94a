"""What a start costs, in modules and in instructions, which no other program's load changes.

Seconds are for `benchmarks`, beside a peer. Here each figure is a ratio to what Python itself, or
what the standard library's part, takes with the same interpreter: it stays where it is from one
machine to the next, and goes up where somebody loads a room that a drop does not enter.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import subprocess
import sys

import pytest

import abdicate.errors
from cli.program import BECOME, PLAIN

_BARE = "pass"
_IMPORTED = "import abdicate"
_FUNCTIONS = "from abdicate.platforms import maybe_drop_privileges"
# What `run` needs of the standard library, as Python loads it: no line of ours.
_STANDARD = "import argparse, ctypes, signal"
_MAIN = "import sys; from abdicate.cli import main; sys.exit(main({words!r}))"
# Up to the exec, where a program that is none of ours takes over.
_RUN = "import os; os.execve = lambda *_: os._exit(0); " + _MAIN.format(
    words=["run", *BECOME, "--", "true"]
)
_EXPLAIN = _MAIN.format(words=["explain", *BECOME])


def _python(*words: str) -> subprocess.CompletedProcess[str]:
    # Without hash randomization two runs execute the same instructions.
    return subprocess.run(
        words,
        env={**PLAIN, "PYTHONHASHSEED": "0"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=300,
        check=True,
    )


@functools.cache
def _modules(program: str) -> int:
    """Return how many modules the program loads, Python's own start included."""
    ran = _python(sys.executable, "-X", "importtime", "-c", program)
    return len(re.findall(r"^import time: +\d", ran.stderr, re.MULTILINE))


@functools.cache
def _instructions(program: str) -> int:
    """Return how many instructions the program executes, as valgrind counts them."""
    # Once without it, so that every module is compiled.
    _python(sys.executable, "-c", program)
    if not os.path.exists(importlib.util.cache_from_source(abdicate.errors.__file__)):
        pytest.skip("compiled modules can't be kept here, and compiling them would be counted")
    ran = _python(
        *("valgrind", "--tool=cachegrind", "--cache-sim=no"),
        *("--cachegrind-out-file=/dev/null", "--vgdb=no", sys.executable, "-c", program),
    )
    found = re.search(r"I +refs: +([\d,]+)", ran.stderr)
    assert found is not None, ran.stderr
    return int(found[1].replace(",", ""))


def test_importing_abdicate_costs_one_module() -> None:
    """PEP 562: the rest comes when it is used."""
    assert _modules(_IMPORTED) == _modules(_BARE) + 1


@pytest.mark.parametrize(
    ("program", "peer", "most"),
    [(_FUNCTIONS, _BARE, 2.75), (_RUN, _STANDARD, 2.25), (_EXPLAIN, _STANDARD, 2.25)],
    ids=["function API", "run", "explain"],
)
def test_a_start_loads_few_modules(program: str, peer: str, most: float) -> None:
    """The function API against Python's own start, commands against what they stand on."""
    assert _modules(program) / _modules(peer) <= most


@pytest.mark.needs("valgrind")
@pytest.mark.parametrize(
    ("program", "most"),
    [(_IMPORTED, 1.1), (_FUNCTIONS, 2.1), (_RUN, 3.6), (_EXPLAIN, 3.8)],
    ids=["import", "function API", "run", "explain"],
)
def test_a_start_executes_few_instructions(program: str, most: float) -> None:
    """Against Python's own start, with a few hundredths to spare for other versions of it."""
    assert _instructions(program) / _instructions(_BARE) <= most
