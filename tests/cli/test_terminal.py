"""What a person at a terminal gets besides: colours, and completion."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from cli.program import ABDICATE


def _at_a_terminal(*words: str, **environment: str) -> str:
    """Run the program on a pseudo-terminal, and return what it showed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*ABDICATE, *words], stdout=theirs, env={**os.environ, "TERM": "xterm", **environment}
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # EIO: the other side is closed, pty(7)
            break
        shown += chunk
        if not chunk:
            break
    os.close(ours)
    assert process.wait() == 0
    return shown.decode()


# Nobody that any test runs as: there is something to explain.
_EXPLAIN = ("explain", "--user", "65533:65533", "--keep-env")


@pytest.mark.needs("rich")
def test_reasons_are_set_aside_on_a_terminal() -> None:
    """With the extra `cli`, in colours; the text is the same."""
    shown = _at_a_terminal(*_EXPLAIN, NO_COLOR="")
    assert "\x1b[2m    Why here:" in shown


def test_no_colour_is_what_no_color_asks_for() -> None:
    """The convention of no-color.org."""
    assert "\x1b" not in _at_a_terminal(*_EXPLAIN, NO_COLOR="1")


def test_a_pipe_gets_no_colours() -> None:
    """They are for terminals only."""
    run = subprocess.run([*ABDICATE, *_EXPLAIN], capture_output=True, check=True)
    assert b"\x1b" not in run.stdout


@pytest.mark.needs("argcomplete")
@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("abdicate re", {"rehearse"}),
        ("abdicate run --allow", {"--allow-root", "--allow-root-group"}),
        ("abdicate daemon --st", {"--stop", "--status"}),
    ],
)
def test_the_shell_completes_commands_and_options(
    line: str, wanted: set[str], tmp_path: Path
) -> None:
    """By the protocol that argcomplete's shell code speaks: answers on descriptor 8."""
    answers = tmp_path / "answers"
    environment = {
        **os.environ,
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answers),
        "_ARGCOMPLETE_IFS": "\n",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "COMP_TYPE": "9",
    }
    subprocess.run([sys.executable, "-m", "abdicate"], env=environment, check=False)
    assert {word.strip() for word in answers.read_text().split("\n")} == wanted
