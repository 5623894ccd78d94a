"""Every system call of a full plan fails, lies, or is the process's last: one at a time, by strace.

However it goes wrong: it is never called a success, the program's own code never runs half-root,
and the report names the step. Where a read fails before the first change, nothing has changed.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

import abdicate.cli.run  # loaded here, so that the children load nothing
import abdicate.kernel.linux  # noqa: F401
from abdicate import Plan, PrivilegeDrop
from drops.cases import FULL, in_root
from drops.faults import KEPT, MEMORY, OVERTAKEN, Run, errors, fewer_to_lose, inject, report
from drops.steps import changing, expected_calls
from drops.tracing import Call, Ended, Event, Tell, careless, held, traced, window

pytestmark = pytest.mark.needs("root", "strace", "CAP_SETPCAP", "CAP_SYS_CHROOT")

# What is still given up after a failure, in this order.
_SURRENDER = [
    ("prctl", "8", "0"),
    ("setgroups", "1", "[33]"),
    ("setresgid", "33", "33", "33"),
    ("setresuid", "33", "33", "33"),
    ("capset", f"{{version={0x20080522}, pid=0}}", "{effective=0, permitted=0, inheritable=0}"),
    ("prctl", "38", "1", "0", "0", "0"),
]

# Calls that have no way to fail, umask(2) and getppid(2): libc passes no errno on from them.
_NEVER_FAIL = ("umask", "getppid")


class Rehearsed(NamedTuple):
    """A full plan that went well: what a run with a fault in it is compared with.

    ``planned`` has the calls of the steps, each with the step as the errors name it.
    """

    run: Run
    before: dict[str, Any]
    after: dict[str, Any]
    calls: tuple[Call, ...]
    planned: tuple[tuple[Call, str], ...]
    attempts: tuple[Call, ...]
    checks: int

    def reads(self, *, preflight: bool) -> list[Call]:
        """Return the calls that change nothing, before the first change or after it."""
        changes = {place for place, _ in changing(self.calls)}
        return [
            call
            for place, call in enumerate(self.calls)
            if place not in changes and (place < min(changes)) == preflight
            if call.name not in MEMORY
        ]


def _steps(plan: dict[str, Any]) -> list[str]:
    """Return, for each call of a plan, its step as the errors name it."""
    return [
        f"step {number}, {step['kind']}:"
        for number, step in enumerate(plan["steps"], 1)
        for _ in expected_calls({"steps": [step]})
    ]


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    """The full plan, carried out once without a fault."""
    root, traces = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("traces")
    root.chmod(0o755)
    (root / "inner").mkdir(mode=0o755)
    value: Any = in_root(FULL, str(root)).value
    value["bounding"] = KEPT

    plans: list[Plan] = []

    def prepare() -> None:
        fewer_to_lose()
        plans.append(PrivilegeDrop.model_validate(value).plan())

    def drop(tell: Tell) -> None:
        tell(held=held())
        careless(plans[0], tell)

    def run(*options: str) -> Ended:
        return traced(drop, traces / "trace", *options, before=prepare)

    ended = run()
    before, dropped = ended.events
    assert dropped["event"] == "dropped"
    plan = dropped["report"]["plan"]
    calls = window(ended.calls)
    changes = tuple(call for _, call in changing(calls))
    steps = _steps(plan)
    assert [call.done for call in changes[: len(steps)]] == expected_calls(plan)
    return Rehearsed(
        run,
        before["held"],
        dropped["held"],
        calls,
        tuple(zip(changes, steps, strict=False)),
        changes[len(steps) :],
        len(dropped["report"]["checks"]),
    )


def _outcome(ended: Ended) -> Event:
    """Return the one thing that was told after the start."""
    _, *told = ended.events
    assert len(told) == 1, (told, ended.errors)
    return told[0]


def _changes_after_the_fault(ended: Ended) -> list[tuple[str, ...]]:
    place = next(n for n, call in enumerate(ended.calls) if call.injected)
    after = ended.calls[place + 1 :]
    # What the test itself asks for when it looks around begins with umask(0).
    ends = [n for n, call in enumerate(after) if call.done == ("umask", "0")]
    changes = [call.done for _, call in changing(after[: ends[0]])]
    # Signals are held back meanwhile, and let come again: that changes no identity.
    return [change for change in changes if change[0] != "rt_sigprocmask"]


@errors
def test_a_step_that_is_refused_is_named_and_the_rest_is_given_up(
    rehearsed: Rehearsed, error: str
) -> None:
    """P19, P21, P29: no errno from any step passes for success, or is swallowed."""

    def problems() -> Iterator[str]:
        for call, step in rehearsed.planned:
            ended = inject(rehearsed.run, call, f"error={error}")
            outcome = _outcome(ended)
            if (outcome["event"], outcome.get("kind")) != ("ended", "IncompleteDropError"):
                yield f"{call}: {outcome['event']} {outcome.get('kind')}"
                continue
            named = step in outcome["message"]
            if not named or (error not in outcome["message"] and call.name not in _NEVER_FAIL):
                yield f"{call}: {step} and {error} are not named in {outcome['message']}"
            results = [each["result"] for each in outcome["report"]["outcomes"]]
            at = int(step.split()[1].rstrip(",")) - 1
            expected = ["done"] * at + ["failed"] + ["not reached"] * (len(results) - at - 1)
            if results != expected or outcome["report"]["ok"]:
                yield f"{call}: the outcomes are {results}"
            if _changes_after_the_fault(ended) != _SURRENDER:
                yield f"{call}: then came {_changes_after_the_fault(ended)}"
            now = outcome["held"]
            if (now["uids"], now["gids"], now["groups"]) != ([33] * 3, [33] * 3, [33]):
                yield f"{call}: left as {now}"
            if now["capabilities"] != [0, 0, 0] or now["ambient"]:
                yield f"{call}: left with {now['capabilities']}"

    report(problems())


@errors
@pytest.mark.parametrize("name", ["setgroups", "setresgid", "setresuid", "capset"])
def test_what_is_refused_for_good_leaves_no_capabilities_all_the_same(
    rehearsed: Rehearsed, name: str, error: str
) -> None:
    """The surrender goes on past its own failures: what can be given up is."""
    call = next(call for call, _ in rehearsed.planned if call.name == name)
    outcome = _outcome(inject(rehearsed.run, call, f"error={error}", more="+"))
    assert (outcome["event"], outcome["kind"]) == ("ended", "IncompleteDropError")
    if name != "capset":
        assert outcome["held"]["capabilities"] == [0, 0, 0]
    if name != "setresuid":
        assert outcome["held"]["uids"] == [33] * 3
    what = "empty capability sets" if name == "capset" else name
    assert any(line.startswith(f"{what}: {error}") for line in outcome["report"]["surrendered"]), (
        outcome["report"]["surrendered"]
    )


def test_a_step_that_lies_is_found_out(rehearsed: Rehearsed) -> None:
    """A call that was skipped and said "done" is seen when the process is read back."""

    def problems() -> Iterator[str]:
        for call, _ in rehearsed.planned:
            outcome = _outcome(inject(rehearsed.run, call, "retval=0"))
            if call.done in OVERTAKEN:
                # Nothing is missing at the end, and that is what was verified.
                if (outcome["event"], outcome["held"]) != ("dropped", rehearsed.after):
                    yield f"{call}: {outcome['event']}, {outcome['held']}"
                continue
            if outcome["event"] != "ended":
                yield f"{call}: {outcome['event']} {outcome.get('message')}, {outcome['held']}"
                continue
            if outcome["report"] is None or outcome["report"]["ok"]:
                yield f"{call}: the report is {outcome['report']}"
            now = outcome["held"]
            # Without the capabilities, which went in a later step, the uid can't follow any more.
            if now["capabilities"] != [0, 0, 0] or (
                now["uids"] != [33] * 3 and call.name != "setresuid"
            ):
                yield f"{call}: left as {now}"

    report(problems())


def test_an_attempt_to_regain_that_succeeds_ends_the_process(rehearsed: Rehearsed) -> None:
    """P30: a successful attempt is a failure; no further attempt is made, and nothing returns."""

    def problems() -> Iterator[str]:
        for call in rehearsed.attempts:
            ended = inject(rehearsed.run, call, "retval=0")
            outcome = _outcome(ended)
            if (outcome["event"], outcome.get("kind")) != ("ended", "PrivilegeRegainableError"):
                yield f"{call}: {outcome['event']}"
            elif _changes_after_the_fault(ended) != _SURRENDER:
                yield f"{call}: then came {_changes_after_the_fault(ended)}"

    assert rehearsed.attempts
    report(problems())


@errors
def test_an_attempt_may_be_refused_with_any_errno(rehearsed: Rehearsed, error: str) -> None:
    """P30: in a user namespace it is EINVAL; whatever it is, it was refused."""

    def problems() -> Iterator[str]:
        for call in rehearsed.attempts:
            outcome = _outcome(inject(rehearsed.run, call, f"error={error}"))
            if (outcome["event"], outcome["held"]) != ("dropped", rehearsed.after):
                yield f"{call}: {outcome['event']} {outcome.get('message')}"

    report(problems())


@errors
def test_a_read_that_fails_in_the_preflight_leaves_everything_as_it_was(
    rehearsed: Rehearsed, error: str
) -> None:
    """Either there is another way to know, and the drop is complete; or nothing has changed."""

    def problems() -> Iterator[str]:
        for call in rehearsed.reads(preflight=True):
            if call.name in _NEVER_FAIL:
                continue
            outcome = _outcome(inject(rehearsed.run, call, f"error={error}"))
            expected = rehearsed.after if outcome["event"] == "dropped" else rehearsed.before
            if outcome["held"] != expected:
                different = {k: v for k, v in outcome["held"].items() if v != expected[k]}
                yield f"{call} (call {call.nth}): {outcome['event']}, {different}"

    report(problems())


@errors
def test_a_read_that_fails_after_the_first_change_is_no_exception_to_swallow(
    rehearsed: Rehearsed, error: str
) -> None:
    """P44: what can't be read back is reported as not verified, or ends the process."""

    def problems() -> Iterator[str]:
        for call in rehearsed.reads(preflight=False):
            if call.name == "rt_sigprocmask":
                continue  # signals are let come again: the drop is done, and verified
            outcome = _outcome(inject(rehearsed.run, call, f"error={error}"))
            if outcome["event"] == "swallowed":
                yield f"{call} (call {call.nth}): {outcome['kind']} could be swallowed"
            elif outcome["event"] == "dropped":
                if outcome["held"] != rehearsed.after:
                    yield f"{call} (call {call.nth}): a success with {outcome['held']}"
                verdicts = [check["verdict"] for check in outcome["report"]["checks"]]
                if "not verified" not in verdicts and len(verdicts) < rehearsed.checks:
                    yield f"{call} (call {call.nth}): a check is missing, and nothing says so"

    report(problems())


@errors
def test_a_failure_to_clean_up_does_not_hide_that_the_drop_failed(
    rehearsed: Rehearsed, error: str
) -> None:
    """P29: what `except Exception` catches may not take the place of an IncompleteDropError."""
    refused = next(call for call, _ in rehearsed.planned if call.name == "setresuid")
    last = [call for call in rehearsed.calls if call.name == "close"][-1]
    ended = rehearsed.run(
        *("-e", f"inject=setresuid:error={error}:when={refused.nth}+"),
        # The failed run closes less than the complete one: every close from the first step on.
        *("-e", f"inject=close:error=EIO:when={_closes_before(rehearsed, refused) + 1}+"),
    )
    assert last.nth > _closes_before(rehearsed, refused)
    outcome = _outcome(ended)
    assert (outcome["event"], outcome["kind"]) == ("ended", "IncompleteDropError")


def _closes_before(rehearsed: Rehearsed, call: Call) -> int:
    before = rehearsed.calls[: rehearsed.calls.index(call)]
    return max(each.nth for each in before if each.name == "close")


def test_a_process_that_is_killed_at_any_step_is_gone(rehearsed: Rehearsed) -> None:
    """SIGKILL leaves nobody to go on; nothing of the program runs afterwards."""

    def problems() -> Iterator[str]:
        for call in (*(call for call, _ in rehearsed.planned), *rehearsed.attempts):
            ended = inject(rehearsed.run, call, "signal=SIGKILL")
            if ended.exit_code != -signal.SIGKILL or len(ended.events) != 1:
                yield f"{call}: status {ended.exit_code}, told {ended.events[1:]}"

    report(problems())
