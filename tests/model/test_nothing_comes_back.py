"""Nothing that was given up is ever held again; and an executor that is wrong is found out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

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
from model.lives import KernelLife, Life, ModelLife, Nursery, OneThreadKernel
from model.machine import Begin, machine_of

_PROFILE = settings(
    max_examples=5000,
    stateful_step_count=6,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
_ON_THE_KERNEL = settings(_PROFILE, max_examples=500, stateful_step_count=8)

ROOTS = ("root", "few capabilities", "user")


def on_the_model(start: str, groups: list[int], threads: int) -> Life:
    """A libc that does as it should."""
    return ModelLife(start, groups, threads)


def behind_a_wrong_libc(start: str, groups: list[int], threads: int) -> Life:
    """A libc that changes one thread only."""
    return ModelLife(start, groups, threads, OneThreadKernel)


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as made:
        yield made


def test_nothing_that_was_given_up_is_ever_held_again() -> None:
    """5,000 lives of a process, on the model."""
    machine = machine_of(on_the_model, (*ROOTS, "user namespace"))
    run_state_machine_as_test(machine, settings=_PROFILE)
    assert machine.outcomes["dropped"] > _PROFILE.max_examples / 3, machine.outcomes


def test_nor_behind_a_libc_that_changes_one_thread_only() -> None:
    """There the drop fails, or what it promised is true of every thread."""
    machine = machine_of(behind_a_wrong_libc, (*ROOTS, "user namespace"), may_fail=True)
    run_state_machine_as_test(machine, settings=settings(_PROFILE, max_examples=500))
    assert machine.outcomes["incomplete"] > 50, machine.outcomes


def _lives_on_the_kernel(nursery: Nursery, starts: tuple[str, ...], settings: settings) -> None:
    machine = machine_of(partial(KernelLife, nursery), starts)
    run_state_machine_as_test(machine, settings=settings)
    assert machine.outcomes["dropped"] > 50, machine.outcomes


@pytest.mark.needs("root", "CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")
def test_nor_on_the_kernel(nursery: Nursery) -> None:
    """500 lives, from root, and from an ordinary user that root made."""
    _lives_on_the_kernel(nursery, ROOTS, _ON_THE_KERNEL)


@pytest.mark.needs("root", "CAP_SETUID", "CAP_SETGID", "user namespace")
def test_nor_on_the_kernel_in_a_user_namespace_of_many_ids(nursery: Nursery) -> None:
    """500 lives, from its root."""
    _lives_on_the_kernel(nursery, ("user namespace",), _ON_THE_KERNEL)


@pytest.mark.needs("ordinary user", "linux")
def test_nor_on_the_kernel_as_an_ordinary_user(nursery: Nursery) -> None:
    """500 lives: what such a one can give up are execve's privileges, and his groups."""
    _lives_on_the_kernel(nursery, ("user",), _ON_THE_KERNEL)


@pytest.mark.needs("ordinary user", "user namespace")
def test_nor_on_the_kernel_in_a_user_namespace_of_an_ordinary_user(nursery: Nursery) -> None:
    """500 lives, from a root whose only id is the user's own."""
    _lives_on_the_kernel(nursery, ("user namespace",), _ON_THE_KERNEL)


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


def _is_found(begin: Begin = on_the_model) -> bool:
    # Nobody reads the example: it need not be the smallest.
    few = settings(_PROFILE, max_examples=250, phases=[Phase.generate])
    machine = machine_of(begin, (*ROOTS, "user namespace"), may_fail=begin is behind_a_wrong_libc)
    try:
        run_state_machine_as_test(machine, settings=few)
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
    assert _is_found(behind_a_wrong_libc)


def test_the_right_executor_passes_the_same_examples() -> None:
    """What finds the wrong ones does not cry at everything."""
    assert not _is_found()
    assert not _is_found(behind_a_wrong_libc)
