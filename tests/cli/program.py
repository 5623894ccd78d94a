"""Call the command line as a user does, and say what a refusal looks like."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

Word = str | bytes

ROOT = os.geteuid() == 0

ABDICATE: tuple[str, ...] = (sys.executable, "-m", "abdicate")

#: Whom whoever runs the tests may become: nobody, as root; else the same user, with a plan that
#: changes the environment alone.
BECOME: tuple[str, ...] = (
    ("--user", "nobody")
    if ROOT
    else ("--user", f"{os.geteuid()}:{os.getegid()}", "--groups", "keep")
)

#: An environment with nothing in it but what finds programs, and this checkout.
PLAIN: Mapping[str, str] = {"PATH": "/usr/local/bin:/usr/bin:/bin"} | {
    name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ
}

_PATIENCE = 60  # seconds that a command may take before the test calls it hung
_LONGEST_LINE = 2000  # bytes of an error: more than a screen is not "one clear line"

Ran = subprocess.CompletedProcess[bytes]


def execute(
    command: Sequence[Word],
    *,
    stdin: bytes = b"",
    env: Mapping[str, str] | Mapping[bytes, bytes] | None = None,
    cwd: str | None = None,
    before: Callable[[], object] | None = None,
    keep: Sequence[int] = (),
    stdout: int = subprocess.PIPE,
    stderr: int = subprocess.PIPE,
) -> Ran:
    """Run *command* to its end; *before* runs in the child, and *keep* are its descriptors."""
    return subprocess.run(
        command,
        input=stdin,
        env=env,
        cwd=cwd,
        preexec_fn=before,
        pass_fds=keep,
        stdout=stdout,
        stderr=stderr,
        timeout=_PATIENCE,
        check=False,
    )


def abdicate(
    *words: Word,
    stdin: bytes = b"",
    env: Mapping[str, str] | Mapping[bytes, bytes] | None = None,
    cwd: str | None = None,
    before: Callable[[], object] | None = None,
    keep: Sequence[int] = (),
    stdout: int = subprocess.PIPE,
    stderr: int = subprocess.PIPE,
) -> Ran:
    """Run ``abdicate`` with these words to its end."""
    return execute(
        [*ABDICATE, *words],
        stdin=stdin,
        env=env,
        cwd=cwd,
        before=before,
        keep=keep,
        stdout=stdout,
        stderr=stderr,
    )


def through_shell(script: str, *words: Word, cwd: str | None = None) -> Ran:
    """Run a shell's *script*, in which ``"$@"`` is ``abdicate`` with these words."""
    return execute(["/bin/sh", "-c", script, "sh", *ABDICATE, *words], cwd=cwd)


def succeeded(ran: Ran) -> bytes:
    """Return what was printed by a command that went well, and said nothing on stderr."""
    assert (ran.returncode, ran.stderr) == (0, b""), ran
    output: bytes = ran.stdout
    return output


def refusal(ran: Ran, command: str, status: int = 125) -> str:
    """Return the one clear line on stderr; nothing is on stdout, and the status is right."""
    text: str = ran.stderr.decode()
    assert "Traceback" not in text, text
    assert ran.returncode == status, ran
    assert ran.stdout == b"", ran
    assert text.endswith("\n")
    line = text[:-1]
    start = f"abdicate {command}: " if command else "abdicate: "
    assert line.startswith(start), ran
    # Also: no newline, and nothing that moves a terminal's cursor.
    assert line.isprintable(), line
    assert len(line) < _LONGEST_LINE, f"{len(line)} characters: {line[:200]}"
    return line.removeprefix(start)


def variables(output: bytes) -> dict[bytes, bytes]:
    """Return the environment that ``env -0`` printed."""
    pairs = (entry.partition(b"=") for entry in output.split(b"\0") if entry)
    return {name: value for name, _, value in pairs}


def status_lines(text: bytes) -> dict[str, str]:
    """Return what a ``/proc/<pid>/status`` says, as key and text."""
    pairs: Iterator[tuple[str, str, str]] = (
        line.partition(":") for line in text.decode(errors="replace").splitlines()
    )
    return {key: value.strip() for key, _, value in pairs}


def spelt(value: object) -> str:
    """Name a test's parameter: the words of the command line, and nothing for what they give."""
    return " ".join(map(str, value)) or "nothing" if isinstance(value, list) else ""
