"""Every block of README and docs is executed, and every output that they show is compared."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_README = _ROOT / "README.md"
_PAGES = (_README, *sorted((_ROOT / "docs").glob("**/*.md")))
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _blocks(language: str, *pages: Path) -> list[str]:
    texts = [page.read_text(encoding="utf-8") for page in pages or _PAGES]
    return [body for text in texts for found, body in _BLOCK.findall(text) if found == language]


def _sessions() -> list[tuple[str, str]]:
    """Return each command that is shown behind a root prompt, with the output under it."""
    sessions = []
    for block in _blocks("console"):
        for part in re.split(r"^# ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            sessions.append((command, output))
    return sessions


@pytest.mark.needs("root", "CAP_SYS_CHROOT")
@pytest.mark.parametrize("code", _blocks("python"), ids=lambda code: code.split("\n")[0])
def test_a_python_block_runs_as_it_stands(code: str, tmp_path: Path) -> None:
    """Each block is a program of its own, run as root in a process of its own."""
    # -I: no path of this checkout; what runs is what was installed.
    run = subprocess.run(
        [sys.executable, "-I", "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.needs("root")
@pytest.mark.parametrize(("command", "output"), _sessions(), ids=lambda text: text[:50])
def test_a_shell_session_shows_what_is_really_printed(command: str, output: str) -> None:
    """The text under a prompt is what the command prints; a line of "..." stands for the rest."""
    scripts = Path(sys.executable).parent
    run = subprocess.run(
        ["/bin/sh", "-c", f'PATH="{scripts}:$PATH"; exec setpriv --groups 0,4,27 {command}'],
        capture_output=True,
        text=True,
        check=False,
    )
    shown = run.stdout + run.stderr
    if output.endswith("...\n"):
        shown = shown[: len(output) - 4]
        output = output[:-4]
    assert shown == output


def test_the_two_commands_are_those_that_ci_runs() -> None:
    """.ci/run calls the very lines that a newcomer reads."""
    ci = (_ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for block in _blocks("sh", _README):
        assert block.strip() in ci
