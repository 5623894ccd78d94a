"""Streams that are full, closed or gone, interrupts, and encodings: a status, and no traceback."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli.program import ABDICATE, BECOME, PLAIN, abdicate, refusal, spelt, succeeded, through_shell

_PRINTING = [
    ["explain", *BECOME],
    ["explain", *BECOME, "--json"],
    ["rehearse", *BECOME],
    ["rehearse", *BECOME, "--json"],
    ["show"],
    ["show", "1"],
    ["show", "--json"],
    ["--help"],
    ["--version"],
    ["run", "--help"],
    ["show", "--help"],
]


def _command(words: list[str]) -> str:
    return "" if words[0].startswith("-") else words[0]


@pytest.mark.parametrize("words", _PRINTING, ids=spelt)
def test_a_full_stdout_is_our_failure(words: list[str]) -> None:
    """125, in one line: who reads the file must not take half of it for the whole."""
    ran = through_shell('exec "$@" >/dev/full', *words)
    assert "No space left" in refusal(ran, _command(words))


@pytest.mark.parametrize("words", _PRINTING, ids=spelt)
def test_a_closed_stdout_is_our_failure(words: list[str]) -> None:
    """125, in one line: nobody got the answer."""
    refusal(through_shell('exec "$@" >&-', *words), _command(words))


@pytest.mark.parametrize("words", _PRINTING, ids=spelt)
def test_a_reader_that_went_away_ends_it_quietly(words: list[str]) -> None:
    """``abdicate show | head -c1``: killed by SIGPIPE, as programs are, and silent."""
    reading, writing = os.pipe()
    os.close(reading)
    ran = abdicate(*words, stdout=writing)
    os.close(writing)
    assert (ran.returncode, ran.stderr) == (-signal.SIGPIPE, b"")


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["run", "--user=", "--", "true"], 125),
        (["run", *BECOME, "--unknown", "--", "true"], 125),
        (["run", *BECOME, "--", "/no/such"], 127),
        (["run", *BECOME, "--", "/usr"], 126),
        (["explain", "--user="], 125),
        (["explain"], 2),
        (["show", "0"], 125),
        (["show", "1", "2"], 2),
        (["no-such-command"], 2),
    ],
    ids=spelt,
)
@pytest.mark.parametrize("stderr", ["2>&-", "2>/dev/full", "<&- 2>&-"])
def test_the_status_tells_where_stderr_can_t(words: list[str], status: int, stderr: str) -> None:
    """The line is lost, the status is not, and stdout does not get what stderr could not."""
    ran = through_shell(f'exec "$@" {stderr}', *words)
    assert (ran.returncode, ran.stdout) == (status, b"")


@pytest.mark.parametrize("closed", ["<&-", "2>&-", "2>/dev/full", "<&- 2>&-"])
def test_what_is_not_needed_may_be_closed(closed: str) -> None:
    """Without stdin and stderr the answer is the same."""
    for words in (["explain", *BECOME, "--json"], ["run", *BECOME, "--", "echo", "ran"]):
        ran = through_shell(f'exec "$@" {closed}', *words)
        assert ran.returncode == 0
        assert ran.stdout


def test_an_interrupt_ends_it_as_it_ends_programs() -> None:
    """SIGINT while we write: killed by it, so that a shell's loop ends too; and no traceback."""
    reading, writing = os.pipe()
    try:
        # A pipe that is full already, so that the command stands still where it prints.
        size = fcntl.fcntl(writing, fcntl.F_GETPIPE_SZ)
        os.write(writing, b"x" * size)
        with subprocess.Popen(
            [*ABDICATE, "show"], stdout=writing, stderr=subprocess.PIPE
        ) as process:
            _wait_until_it_writes(process.pid)
            process.send_signal(signal.SIGINT)
            _, error = process.communicate(timeout=60)
    finally:
        os.close(reading)
        os.close(writing)
    assert (process.returncode, error) == (-signal.SIGINT, b"")


def _wait_until_it_writes(pid: int) -> None:
    deadline = time.monotonic() + 60
    asleep = 0
    while asleep < 5:
        assert time.monotonic() < deadline, "it never came to its print"
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        asleep = asleep + 1 if fields[0] == "S" else 0
        time.sleep(0.02)


def test_an_ignored_interrupt_stays_ignored() -> None:
    """A background job of a shell is not to die of a ^C that was not meant for it."""

    def ignore() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    ran = abdicate("run", *BECOME, "--", "sh", "-c", "kill -INT $$; echo alive", before=ignore)
    assert succeeded(ran) == b"alive\n"


@pytest.mark.parametrize("words", [["show"], ["explain", *BECOME]], ids=spelt)
def test_a_deleted_working_directory_does_not_matter(words: list[str], place: Path) -> None:
    """Nothing that is shown depends on where we stand."""
    (place / "gone").mkdir()
    assert succeeded(through_shell('rmdir ../gone && exec "$@"', *words, cwd=f"{place}/gone"))


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
@pytest.mark.parametrize("words", _PRINTING, ids=spelt)
def test_any_encoding_of_the_terminal_is_written_to(words: list[str], encoding: str) -> None:
    """A terminal that lacks a sign gets another one in its place, and not a traceback."""
    ran = abdicate(*words, env={**PLAIN, "PYTHONIOENCODING": encoding})
    assert succeeded(ran)


@pytest.mark.parametrize("command", ["explain", "rehearse"])
@pytest.mark.parametrize("form", [[], ["--json"]], ids=spelt)
def test_a_path_that_is_not_utf_8_can_be_shown(command: str, form: list[str], place: Path) -> None:
    """A UTF-8 locale's stdout refuses such bytes; the plan that has them is shown all the same."""
    folder = os.fsencode(place) + b"/\xff"
    os.mkdir(folder)
    ran = abdicate(
        command, *BECOME, *form, b"--chdir=" + folder, env={**PLAIN, "PYTHONIOENCODING": "utf-8"}
    )
    assert succeeded(ran)


@pytest.mark.parametrize("columns", ["1", "0", "-5", "x", "²", "", "99999999999"])
def test_no_width_of_the_terminal_ends_in_a_traceback(columns: str) -> None:
    """COLUMNS is a variable like any other, and holds what somebody has put there."""
    env = {**PLAIN, "COLUMNS": columns}
    assert succeeded(abdicate("run", "--help", env=env))
    assert succeeded(abdicate("run", *BECOME, "--", "echo", "ran", env=env)) == b"ran\n"


def test_nothing_is_printed_that_was_not_asked_for() -> None:
    """Python's own warnings among it: what it would say, it says here as errors."""
    command = [sys.executable, "-W", "error", "-b", *ABDICATE[1:], "run", *BECOME, "--", "true"]
    ran = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")
