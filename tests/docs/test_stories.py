"""A page that makes files is done as it says, from its top to its end, as root, for real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from docs import room
from docs.pages import PAGES, Command, blocks, commands, is_story, needs

_STORIES = [
    pytest.param(page, id=page.stem, marks=pytest.mark.needs(*needs(page)))
    for page in PAGES
    if is_story(page)
]
_NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--mount-proc", "--net", "--kill-child")

# The servers of some pages load modules when they are not root any more.
pytestmark = pytest.mark.needs("root", "setpriv", "room", "open checkout")


def _acted(page: Path) -> list[tuple[Command, str]]:
    """Do what *page* says, and return each command with what it printed."""
    steps: list[dict[str, str]] = []
    typed: list[Command] = []
    for block in blocks(page):
        if block.name is not None:
            steps.append({"kind": "file", "name": block.name, "text": block.body})
        elif block.language == "console":
            typed += commands(block)
            steps += [{"kind": "command", "text": command.text} for command in commands(block)]
    # A shell as the first process: it waits for the daemons that are left to it.
    first = ("sh", "-c", '"$@"; exit $?', "sh")
    scripts = Path(sys.executable).parent
    run = subprocess.run(
        [*_NAMESPACES, *first, sys.executable, str(room.__file__)],
        input=json.dumps(steps),
        capture_output=True,
        text=True,
        env=os.environ | {"PATH": f"{scripts}:{os.environ['PATH']}"},
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return list(zip(typed, json.loads(run.stdout), strict=True))


@pytest.mark.parametrize("page", _STORIES)
def test_what_the_page_says_is_what_happens(page: Path) -> None:
    """Its files are written, its commands typed, and what they print is what it shows."""
    for command, printed in _acted(page):
        assert command.shows(printed), f"# {command.text}\n{printed}"
