"""Every system call of `abdicate run` fails, lies, or is its last: no command runs half-root.

Exit status 125 and one line on standard error, whatever it was.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import abdicate.cli.run  # loaded here, so that the children load nothing
import abdicate.kernel.linux  # noqa: F401
from abdicate.cli import main
from drops.cases import BESIDES, SPELLINGS, START_GROUPS
from drops.faults import MEMORY, OVERTAKEN, Run, errors, fewer_to_lose, inject, report
from drops.steps import changing
from drops.tracing import Call, Ended, Tell, traced

pytestmark = pytest.mark.needs("root", "strace", "CAP_SETPCAP", "CAP_SYS_CHROOT")


class Command(NamedTuple):
    """`abdicate run` with every step but the root directory, once without a fault."""

    run: Run
    planned: tuple[Call, ...]
    attempts: tuple[Call, ...]
    reads: tuple[Call, ...]


_WORDS = SPELLINGS["name"].words + tuple(
    word
    for name in (
        "no_new_privs",
        "securebits and ambient",
        "umask",
        "nice",
        "limits",
        "dumpable",
        "parent-death signal",
        "keyring",
        "working directory",
    )
    for word in BESIDES[name].words
)


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """The command line's run of `id -ru`, which would tell who it runs as."""
    trace = tmp_path_factory.mktemp("traces") / "trace"
    words = ("run", *_WORDS, "--", "id", "-ru")

    def prepare() -> None:
        fewer_to_lose()
        os.environ["PATH"] = "/usr/bin:/bin"
        # The look-ups load libraries and read files; once they have, they ask for little more.
        with contextlib.redirect_stdout(io.StringIO()):
            main(("explain", *_WORDS))

    def execute(tell: Tell) -> int:
        tell(event="starts")
        return main(words)

    def run(*options: str) -> Ended:
        return traced(execute, trace, *options, before=prepare)

    ended = run()
    assert (ended.exit_code, ended.errors, ended.events[1:]) == (0, "", ({"said": "33"},))
    # What comes before are the options, the look-ups and the plan; what comes after is `id` itself.
    begin = next(n for n, call in enumerate(ended.calls) if call.name == "readlink")
    end = next(n for n, call in enumerate(ended.calls) if call.name == "execve")
    calls = ended.calls[begin:end]
    changes = [call for _, call in changing(calls)]
    attempts = next(n for n, call in enumerate(changes) if call.done[:2] == ("setresuid", "-1"))
    assert {call.name for call in changes[:attempts]} >= {"prlimit64", "setgroups", "umask"}
    return Command(
        run,
        tuple(changes[:attempts]),
        tuple(changes[attempts:]),
        tuple(call for call in calls if call not in changes and call.name not in MEMORY),
    )


def _one_line(ended: Ended) -> bool:
    lines = ended.errors.splitlines()
    return len(lines) == 1 and lines[0].startswith("abdicate run: ")


@errors
def test_the_command_never_runs_where_a_step_was_refused(command: Command, error: str) -> None:
    """Exit 125 and one line on standard error."""

    def problems() -> Iterator[str]:
        for call in command.planned:
            ended = inject(command.run, call, f"error={error}")
            if ended.exit_code != 125 or not _one_line(ended) or len(ended.events) != 1:
                yield f"{call}: {ended.exit_code}, {ended.events[1:]}, {ended.errors!r}"
            elif "incomplete drop, leave this process: step " not in ended.errors:
                yield f"{call}: {ended.errors!r}"

    report(problems())


def test_the_command_never_runs_where_a_step_lied(command: Command) -> None:
    """Neither where an attempt to regain succeeded."""

    def problems() -> Iterator[str]:
        for call in (*command.planned, *command.attempts):
            ended = inject(command.run, call, "retval=0")
            if call.done in OVERTAKEN:
                if (ended.exit_code, ended.events[1:]) != (0, ({"said": "33"},)):
                    yield f"{call}: {ended.exit_code}, {ended.events[1:]}, {ended.errors!r}"
            elif ended.exit_code != 125 or not _one_line(ended) or len(ended.events) != 1:
                yield f"{call}: {ended.exit_code}, {ended.events[1:]}, {ended.errors!r}"

    report(problems())


def test_the_command_never_runs_in_a_killed_process(command: Command) -> None:
    def problems() -> Iterator[str]:
        for call in command.planned:
            ended = inject(command.run, call, "signal=SIGKILL")
            if ended.exit_code != -signal.SIGKILL or len(ended.events) != 1:
                yield f"{call}: {ended.exit_code}, {ended.events[1:]}"

    report(problems())


def test_the_command_runs_as_the_user_or_not_at_all_where_a_read_fails(command: Command) -> None:
    """Whatever could not be read: `id` says 33, or there is one line and no `id`."""

    def problems() -> Iterator[str]:
        for call in command.reads:
            ended = inject(command.run, call, "error=EPERM")
            if ended.exit_code == 0:
                if ended.events[1:] != ({"said": "33"},):
                    yield f"{call} (call {call.nth}): it ran, and said {ended.events[1:]}"
            elif ended.exit_code not in (125, 126, 127) or not _one_line(ended):
                yield f"{call} (call {call.nth}): {ended.exit_code}, {ended.errors!r}"
            elif len(ended.events) != 1:
                yield f"{call} (call {call.nth}): {ended.events[1:]}"

    report(problems())


@pytest.mark.parametrize(
    ("fault", "status", "said"),
    [
        ("setresuid:error=EAGAIN:when=1", 125, "step 3, uid:"),
        ("setgroups:error=EPERM:when=1", 125, "step 1, groups:"),
        ("setresgid:retval=0:when=1", 125, "the process is not what was planned:"),
        ("setuid:retval=0:when=1", 125, "setuid(0) took back"),
    ],
)
def test_the_real_program_fails_as_a_whole(
    fault: str, status: int, said: str, tmp_path: Path
) -> None:
    """From its first instruction: no import, handler or wrapper turns it into anything else."""
    command = [sys.executable, "-m", "abdicate", "run", "--user", "www-data", "--keep-env"]
    run = subprocess.run(
        ["strace", "-f", "-o", tmp_path / "trace", "-e", f"inject={fault}", *command, "id"],
        capture_output=True,
        text=True,
        extra_groups=START_GROUPS,
        check=False,
    )
    assert "(INJECTED)" in (tmp_path / "trace").read_text()
    assert (run.returncode, run.stdout) == (status, "")
    assert len(run.stderr.splitlines()) == 1
    assert run.stderr.startswith("abdicate run: incomplete drop, leave this process: ")
    assert said in run.stderr
