"""Every block of README and docs is executed, and every output that they show is compared."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from docs.pages import PAGES, README, ROOT, Block, Command, blocks, commands, is_story

_LONE = [block for page in PAGES for block in blocks(page) if block.name is None]
_PROGRAMS = [block for block in _LONE if block.language == "python"]
_COMMANDS = [
    command
    for block in _LONE
    if block.language == "console" and not is_story(block.page)
    for command in commands(block)
]


@pytest.mark.needs("root", "CAP_SYS_CHROOT")
@pytest.mark.parametrize("program", _PROGRAMS, ids=lambda block: block.body.split("\n")[0])
def test_a_python_block_runs_as_it_stands(program: Block, tmp_path: Path) -> None:
    """Each block is a program of its own, run as root in a process of its own."""
    # -I: no path of this checkout; what runs is what was installed.
    run = subprocess.run(
        [sys.executable, "-I", "-c", program.body],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.needs("root", "setpriv")
@pytest.mark.parametrize("command", _COMMANDS, ids=lambda command: command.text[:50])
def test_a_shell_session_shows_what_is_really_printed(command: Command) -> None:
    """The text under a prompt is what the command prints; "..." stands for any text."""
    scripts = Path(sys.executable).parent
    script = f'PATH="{scripts}:$PATH"; exec setpriv --groups 0,4,27 sh -c "$0"'
    run = subprocess.run(
        ["/bin/sh", "-c", script, command.text],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert command.shows(run.stdout + run.stderr), run.stdout + run.stderr


def test_the_two_commands_are_those_that_ci_runs() -> None:
    """.ci/run calls the very lines that a newcomer reads."""
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    lines = [block.body.strip() for block in blocks(README) if block.language == "sh"]
    assert len(lines) == 2
    for line in lines:
        assert line in ci
