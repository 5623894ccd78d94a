"""Nothing that was given up is ever held again; and an executor that is wrong is found out."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from abdicate import executor
from abdicate.executor.apply import apply
from abdicate.executor.verify import Landmarks, checks
from abdicate.identity.credentials import Credentials
from abdicate.kernel.port import Kernel
from abdicate.plan.plan import Plan
from abdicate.plan.report import Check
from abdicate.plan.steps import SetGroups, SetUid, Step
from model.machine import NothingComesBack

_PROFILE = settings(
    max_examples=1000,
    stateful_step_count=10,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def test_nothing_that_was_given_up_is_ever_held_again() -> None:
    """1,000 lives of a process, on the model."""
    run_state_machine_as_test(NothingComesBack, settings=_PROFILE)


_RIGHT = apply


def _without_setgroups(kernel: Kernel, step: Step) -> None:
    if not isinstance(step, SetGroups):
        _RIGHT(kernel, step)


def _without_the_saved_uid(kernel: Kernel, step: Step) -> None:
    if isinstance(step, SetUid):
        kernel.set_resuid(step.uid, step.uid, None)
    else:
        _RIGHT(kernel, step)


def _groups_after_the_uid() -> Callable[[Kernel, Step], None]:
    late: list[SetGroups] = []

    def wrong(kernel: Kernel, step: Step) -> None:
        if isinstance(step, SetGroups):
            late.append(step)
            return
        _RIGHT(kernel, step)
        while late and isinstance(step, SetUid):
            _RIGHT(kernel, late.pop())

    return wrong


def _is_found() -> bool:
    # Nobody reads the example: it need not be the smallest.
    few = settings(_PROFILE, max_examples=150, phases=[Phase.generate])
    try:
        run_state_machine_as_test(NothingComesBack, settings=few)
    except (AssertionError, ExceptionGroup):
        return True
    return False


_WRONG = {
    "setgroups is left out": lambda: _without_setgroups,
    "the saved uid is left out": lambda: _without_the_saved_uid,
    "the groups come after the uid": _groups_after_the_uid,
}


@pytest.mark.parametrize("name", _WRONG)
def test_a_wrong_step_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The executor then fails where a right one never does."""
    monkeypatch.setattr(executor, "apply", _WRONG[name]())
    assert _is_found()


@pytest.mark.parametrize("name", ["setgroups is left out", "the saved uid is left out"])
def test_a_wrong_step_is_found_though_the_executor_does_not_look(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine looks for itself: it does not live on the executor's own verification."""
    monkeypatch.setattr(executor, "apply", _WRONG[name]())
    monkeypatch.setattr(executor, "checks", lambda *_: ())
    monkeypatch.setattr(executor, "attempts", lambda *_: ())
    assert _is_found()


def test_a_verification_of_one_thread_only_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a libc that changes one thread, the others are still root."""

    def wrong(
        plan: Plan, kernel: Kernel, landmarks: Landmarks, observed: Credentials
    ) -> Iterator[Check]:
        return (check for check in checks(plan, kernel, landmarks, observed) if not check.thread)

    monkeypatch.setattr(executor, "checks", wrong)
    assert _is_found()


def test_the_right_executor_passes_the_same_examples() -> None:
    """What finds the wrong ones does not cry at everything."""
    assert not _is_found()
