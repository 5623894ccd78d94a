"""Around the steps: what is looked at beforehand, and that no interrupt ends the giving up."""

from __future__ import annotations

import errno
import sys
from types import FrameType

import pytest

from abdicate.errors import IncompleteDropError
from abdicate.executor import effective_reach, execute, standing_in_the_way
from abdicate.executor.apply import surrender
from abdicate.identity.capabilities import Capability, CapabilitySet
from abdicate.identity.credentials import ResUid
from abdicate.plan.plan import Plan
from abdicate.plan.policy import DropPolicy
from abdicate.testing import FakeKernel
from unit.making import APP, AS_ROOT, BIND, MACOS, ROOT, planned, seen_on_posix, surrounding


def _plan(kernel: FakeKernel, policy: DropPolicy | None = None) -> Plan:
    """Return the plan by which the process of *kernel* becomes app."""
    return planned(APP, policy, kernel.situation())


def test_a_process_of_one_thread_is_not_compared_with_itself() -> None:
    """Its threads are not read, and need not be readable."""
    kernel = FakeKernel.root()
    kernel.fail("threads", errno.EIO)
    assert standing_in_the_way(_plan(kernel), kernel) == ()


# Whose file permissions the process will have.


@pytest.mark.parametrize("kept", [Capability.DAC_OVERRIDE, Capability.DAC_READ_SEARCH])
def test_who_keeps_a_capability_over_files_reaches_what_root_does(kept: Capability) -> None:
    """capabilities(7): either of the two passes over the mode bits of directories."""
    plan = planned(APP, DropPolicy(capabilities=CapabilitySet.of(kept), environment="keep"))
    assert effective_reach(plan) == APP.replace(uid=ROOT.uid)


def test_who_keeps_another_capability_reaches_no_more_than_the_user_does() -> None:
    assert effective_reach(planned(APP, DropPolicy(capabilities=BIND))) == APP


def test_where_there_are_no_capabilities_the_user_decides() -> None:
    situation = surrounding(seen_on_posix(AS_ROOT), platform=MACOS)
    assert effective_reach(planned(APP, None, situation)) == APP


# The parent-death signal.


class _Adopted(FakeKernel):
    """The parent dies while the signal is armed, and the next one up takes the process."""

    adopter = 1

    def set_thread_parent_death_signal(self, signal: int) -> None:
        super().set_thread_parent_death_signal(signal)
        self._parent = self.adopter


@pytest.mark.parametrize("adopter", [1, 4200, 5000])
def test_a_parent_that_died_is_noticed_whoever_adopts_the_process(adopter: int) -> None:
    """prctl(2), PR_SET_CHILD_SUBREAPER: its number may be less than the parent's, or more."""
    kernel = _Adopted.root(parent=4241)
    kernel.adopter = adopter
    with pytest.raises(IncompleteDropError, match=f"has died, and it is {adopter} now"):
        execute(_plan(kernel, DropPolicy(parent_death_signal=15)), kernel)


# Giving up, after a failure.


def _failing() -> FakeKernel:
    kernel = FakeKernel.root(groups=(0, 4, 27))
    kernel.fail("set_resuid", errno.EAGAIN)
    return kernel


def test_what_is_left_is_given_up_once() -> None:
    """Made again, the first calls would be refused, and be reported so."""
    kernel = _failing()
    with pytest.raises(IncompleteDropError) as failed:
        execute(_plan(kernel), kernel)
    assert {answer.partition(": ")[2] for answer in failed.value.report.surrendered} == {"done"}


def test_an_interrupt_where_the_surrender_begins_does_not_end_it() -> None:
    """A handler may raise before the first call; it begins anew, and the failure stays the first.

    An interrupt that left from there would end in an IncompleteDropError of its own.
    """
    struck = False

    def strike(frame: FrameType, event: str, argument: object) -> None:
        nonlocal struck
        if event == "call" and frame.f_code is surrender.__code__:
            struck = True
            raise KeyboardInterrupt  # Python takes the profile function away by itself

    kernel = _failing()
    plan = _plan(kernel)
    sys.setprofile(strike)
    try:
        with pytest.raises(IncompleteDropError, match=r"step 3, uid: .*EAGAIN"):
            execute(plan, kernel)
    finally:
        sys.setprofile(None)
    assert struck
    assert kernel.credentials().uid == ResUid.all(APP.uid)
