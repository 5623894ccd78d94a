"""The benchmarks: one command, peers that are told when they are absent, and fair verdicts.

No figure is judged here: seconds are a run's, beside its peers, on a machine that is named.
"""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import cycle
from pathlib import Path

import pytest

from benchmarks.harness import (
    ANSWER_DESCRIPTOR,
    AtLeastTimesFaster,
    AtMost,
    AtMostTimes,
    Contest,
    Goal,
    Way,
    absent,
    in_child,
    installed,
    program_time,
    timed,
)

_ROOT = Path(__file__).parents[2]


def _contest(goal: Goal | None, ours: list[float], theirs: list[float] | None) -> Contest:
    mine, others = cycle(ours), cycle(theirs or [0])
    peer = absent("peer") if theirs is None else Way("peer", lambda: next(others))
    # The first sample of each is not counted: as many rounds as samples see each of them once.
    return Contest("it", Way("abdicate", lambda: next(mine)), [peer], goal, 5)


@pytest.mark.parametrize(
    ("goal", "ours", "met"),
    [
        (AtMostTimes(2, "peer"), 2.0, True),
        (AtMostTimes(2, "peer"), 2.1, False),
        (AtLeastTimesFaster(3, "peer"), 0.33, True),
        (AtLeastTimesFaster(3, "peer"), 0.34, False),
        (AtMost(1.5, "≤ 1.5 s"), 1.5, True),
        (AtMost(1.5, "≤ 1.5 s"), 1.6, False),
        (None, 1.0, None),
    ],
)
def test_a_goal_is_met_or_not(goal: Goal | None, ours: float, met: bool | None) -> None:
    """Against a peer that takes one second."""
    contest = _contest(goal, [ours], [1.0])
    contest.run()
    assert contest.met is met
    mark = {True: "| met |", False: "| **missed** |", None: "| — |"}[met]
    assert contest.row().endswith(mark)


def test_the_medians_are_compared() -> None:
    """One sample that was interrupted says nothing, on either side."""
    contest = _contest(AtMostTimes(1, "peer"), [1, 1, 1, 1, 900], [1, 1, 1, 1, 1])
    contest.run()
    assert contest.medians == {"abdicate": 1, "peer": 1}
    assert contest.met is True


def test_an_absent_peer_is_told_and_judges_nobody() -> None:
    """No figure is made up for it."""
    contest = _contest(AtMostTimes(1, "peer"), [1], None)
    contest.run()
    assert contest.met is None
    assert "peer: not installed" in contest.row()
    assert not installed("abdicate-has-no-such-peer")


def test_every_way_is_sampled_in_every_round() -> None:
    """And once before, to fill the caches."""
    taken: list[str] = []

    def way(name: str) -> Way:
        def sample() -> float:
            taken.append(name)
            return 1.0

        return Way(name, sample)

    Contest("it", way("a"), [way("b"), way("c")], None, 7).run()
    rounds = [taken[n : n + 3] for n in range(0, len(taken), 3)]
    assert len(rounds) == 8
    assert all(sorted(names) == list("abc") for names in rounds)
    assert len(set(map(tuple, rounds))) > 1


def test_a_sample_in_a_child_changes_nothing_here() -> None:
    """Its answer comes through a descriptor that it may not close."""
    before = os.getcwd()

    def sample() -> float:
        os.chdir("/")
        os.closerange(ANSWER_DESCRIPTOR + 1, 50)
        return 0.25

    assert in_child(sample) == 0.25
    assert os.getcwd() == before


def test_a_sample_that_fails_is_no_figure(capfd: pytest.CaptureFixture[str]) -> None:
    """Neither in a child nor as a program."""
    with pytest.raises(RuntimeError, match="ended with 1"):
        in_child(lambda: 1 / 0)
    assert "ZeroDivisionError" in capfd.readouterr().err
    with pytest.raises(RuntimeError, match="ended with 3"):
        program_time(sys.executable, "-c", "raise SystemExit(3)")


def test_a_program_is_timed_to_its_end() -> None:
    """Not to its start."""
    assert program_time(sys.executable, "-c", "import time; time.sleep(0.2)") >= 0.2
    assert timed(lambda: None) < 0.2


@pytest.mark.needs("linux")
def test_the_command_prints_one_table_and_names_the_machine(tmp_path: Path) -> None:
    """As README says; one subject of it, quickly."""
    file = tmp_path / "table.md"
    words = ("--quick", "--only", "pidfile", "--only", "validation", "--output", str(file))
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks", *words],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    written = file.read_text(encoding="utf-8")
    assert run.stdout.split() == written.split()
    assert written.count("| what | abdicate |") == 1
    assert "| pidfile, acquire and release, disk |" in written
    assert "| `PrivilegeDrop.model_validate` and plan" in written
    for named in ("processor: ", "kernel: Linux", "interpreter: ", "pydantic ", "gosu "):
        assert named in written
    assert os.uname().nodename not in written


def test_a_file_that_can_not_be_written_is_said_before_anything_is_measured(
    tmp_path: Path,
) -> None:
    """In one line, with the status of wrong usage."""
    words = ("--output", str(tmp_path / "no" / "table.md"))
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks", *words],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (run.returncode, run.stdout) == (2, "")
    assert "No such file or directory" in run.stderr
    assert "Traceback" not in run.stderr


def test_the_committed_table_has_every_row() -> None:
    """RESULTS.md is of a whole run, and says why where a goal is missed."""
    text = (_ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("|") and line.endswith("|")]
    subjects = (
        *("import abdicate", "maybe_drop_privileges", "abdicate run", "abdicate explain"),
        *("default drop in process", "system calls", "64 threads", "model_validate"),
        *("tmpfs", "disk", "limit 1,024", "fd_by_path, 10 ", "fd_by_path, 1,000 "),
        *("start to ready", "audit of 2,000", "1,000 profiles", "10,000 profiles"),
        "resident memory",
    )
    for subject in subjects:
        assert any(subject in row for row in rows), subject
    missed = [row for row in rows if "**missed**" in row]
    reasons = text.partition("## What misses its goal")[2]
    assert reasons.count("\n### ") == len(missed)
