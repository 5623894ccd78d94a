"""What the command line says: results on standard output, one line on standard error."""

from __future__ import annotations

import errno
import os
import sys

from abdicate.errors import printable

__all__ = ["Refusal", "UsageError", "complain", "prepare", "say"]

_LONGEST = 2000  # characters; a word of the command line may have a hundred thousand


class UsageError(Exception):
    """The words of the command line don't fit together."""


class Refusal(Exception):  # noqa: N818 - an outcome with an exit status of its own
    """The command won't be executed: why, and with which exit status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def prepare() -> None:
    """Let any text be written to any terminal: what it can't show is escaped."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def say(text: str) -> None:
    """Write *text* and a newline to standard output, now.

    Raises:
        OSError: it is closed, or full: the result is lost, which is a failure.
    """
    if sys.stdout is None:
        raise OSError(errno.EBADF, "standard output is closed")
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        text = _coloured(text)
    try:
        sys.stdout.write(text.rstrip("\n") + "\n")
        sys.stdout.flush()
    except OSError:
        # What is left in the buffer would fail once more as Python exits, with another status.
        _silence(1)
        raise


# What is wrong in red, what was done in green, reasons aside: for people, on a terminal.
_COLOURS = {
    r"\b(FAILED|MISMATCH|DIFFERS)\b.*": "bold red",
    r"(?m)^  done\b": "green",
    r"(?m)^    Why here: .*": "dim",
    r"(?m)^  not verified .*": "yellow",
}


def _coloured(text: str) -> str:
    """Return *text* with colours, where rich is installed (the extra ``cli``)."""
    try:
        from rich.console import Console
        from rich.text import Text
    except ImportError:
        return text
    styled = Text(text)
    for pattern, style in _COLOURS.items():
        styled.highlight_regex(pattern, style)
    console = Console(force_terminal=True, soft_wrap=True)
    with console.capture() as captured:
        console.print(styled, highlight=False)
    return captured.get()


def complain(name: str, message: str) -> None:
    """Write one line to standard error, where there is one.

    Names and paths in it may hold anything, so what a terminal would obey is escaped.
    """
    clean = printable(message[:_LONGEST])
    line = f"{f'abdicate {name}'.rstrip()}: {clean}{'…' if len(message) > _LONGEST else ''}\n"
    try:
        if sys.stderr is not None:
            sys.stderr.write(line)
            sys.stderr.flush()
    except OSError:
        # Nobody can be told. The exit status still tells, and Python would fail on it once more.
        _silence(2)


def _silence(descriptor: int) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)
