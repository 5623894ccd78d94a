"""The order of the system calls is the order of the explained plan, call by call.

Everything that the kernel is asked between a mark before `execute` and a mark after it is looked
at: first reads, then exactly the plan's calls, then reads, then exactly the report's attempts.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from abdicate import PrivilegeDrop
from abdicate.plan.plan import Plan
from drops.cases import (
    BESIDES,
    FULL,
    POLICIES,
    SPELLINGS,
    WITHOUT_ENTRY,
    as_root_often_starts,
    in_root,
)
from drops.outside import explained
from drops.steps import attempt_call, changing, expected_calls
from drops.tracing import Tell, careless, traced, window

pytestmark = pytest.mark.needs("root", "strace", "CAP_SETPCAP", "CAP_SYS_CHROOT")

WHO = SPELLINGS["name"]

DROPS = {
    "default": WHO,
    "exactly": WHO.besides(POLICIES["exactly"]),
    "keep": WHO.besides(POLICIES["keep"]),
    "group only": SPELLINGS["group"],
    "without an entry": WITHOUT_ENTRY["uid:gid"],
    **{name: WHO.besides(case) for name, case in BESIDES.items()},
    "everything": FULL,
}


@pytest.mark.parametrize("name", DROPS)
def test_the_trace_is_the_plan(name: str, root_directory: str, tmp_path: Path) -> None:
    """No call is missing, none is out of place, and none is there besides."""
    case = in_root(DROPS[name], root_directory)
    promise = explained(as_root_often_starts, list(case.words))

    def drop(tell: Tell) -> None:
        as_root_often_starts()
        plan = PrivilegeDrop.model_validate(case.value).plan()
        tell(event="plan", steps=plan.to_data()["steps"])
        careless(plan, tell)

    ended = traced(drop, tmp_path / "trace")
    assert ended.exit_code == 0, ended.errors
    plan, dropped = ended.events
    assert plan["steps"] == promise["steps"]
    assert dropped["event"] == "dropped"

    calls = window(ended.calls)
    expected = expected_calls(promise)
    changes = changing(calls)
    attempts = [a for a in dropped["report"]["attempts"] if a["result"] != "not tried"]
    assert [call.done for _, call in changes[: len(expected)]] == expected
    assert [call.name for _, call in changes[len(expected) :]] == [
        attempt_call(attempt["call"]) for attempt in attempts
    ]
    # Every attempt was refused by the kernel itself.
    assert all(call.answer.startswith("-1 E") for _, call in changes[len(expected) :])
    # And the reading back stands between the last step and the first attempt.
    last = changes[len(expected) - 1][0] if expected else 0
    first = changes[len(expected)][0] if attempts else len(calls)
    read = [call for call in calls[last:first] if "/status" in str(call)]
    assert len(read) >= 2  # the calling thread, then every thread


def test_the_full_plan_has_every_kind_of_step(root_directory: str) -> None:
    """What the traces and the injected faults go through leaves no kind of step out."""
    from abdicate.plan.steps import STEPS

    case = in_root(FULL, root_directory)
    promise = explained(as_root_often_starts, list(case.words))
    assert {step["kind"] for step in promise["steps"]} == set(STEPS)


def test_an_empty_plan_asks_for_nothing(tmp_path: Path) -> None:
    """Already there: not one changing call, and nothing to take back."""

    def drop(tell: Tell) -> None:
        as_root_often_starts()
        first: Plan = PrivilegeDrop.model_validate("www-data").plan()
        careless(first, tell)
        again = PrivilegeDrop(user="www-data").plan()
        assert not again.steps
        careless(again, tell)

    ended = traced(drop, tmp_path / "trace")
    assert [event["event"] for event in ended.events] == ["dropped", "dropped"]
    marks = [n for n, call in enumerate(ended.calls) if "abdicate-tests" in str(call)]
    assert len(marks) == 4
    assert changing(ended.calls[marks[2] + 1 : marks[3]]) == []
