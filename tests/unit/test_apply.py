"""Giving up what is left after a failure: every call is made, whatever became of the others."""

from __future__ import annotations

import errno

import pytest

from abdicate.executor.apply import surrender
from abdicate.identity.capabilities import CapabilitySet, Securebits
from abdicate.identity.credentials import ResGid, ResUid
from abdicate.plan.policy import DropPolicy
from abdicate.testing import FakeKernel
from unit.making import APP, AS_ROOT, EVERY, NONE, ROOT, planned

_IDS = ["keep-capabilities off: done", "setgroups: done", "setresgid: done", "setresuid: done"]
_BESIDES = ["empty capability sets: done", "no_new_privs: done"]


def _permitted(kernel: FakeKernel) -> CapabilitySet:
    sets = kernel.credentials().capabilities
    assert sets is not None
    return sets.permitted


def test_a_user_is_left_with_the_ids_and_nothing_else() -> None:
    kernel = FakeKernel.root(groups=(0, 4, 27))
    assert [*surrender(kernel, planned(APP))] == [*_IDS, *_BESIDES]
    held = kernel.credentials()
    assert (held.uid, held.gid) == (ResUid.all(APP.uid), ResGid.all(APP.gid))
    assert (held.groups, _permitted(kernel)) == ((APP.gid,), NONE)


def test_a_root_that_stays_keeps_what_makes_it_root() -> None:
    """Its capabilities are what the plan promised it; the groups are given up all the same."""
    kernel = FakeKernel.root(groups=(0, 4, 27))
    policy = DropPolicy(allow_root=True, environment="keep")
    assert [*surrender(kernel, planned(ROOT, policy))] == _IDS
    assert (kernel.credentials().groups, _permitted(kernel)) == ((ROOT.gid,), EVERY)


def test_the_change_of_the_uid_takes_the_capabilities_though_capset_is_refused() -> None:
    """A plan that keeps some has told the kernel to keep them all until then: that is undone."""
    kernel = FakeKernel(AS_ROOT.replace(securebits=Securebits.KEEP_CAPS))
    kernel.fail("set_thread_capabilities", errno.EPERM)
    answers = surrender(kernel, planned(APP))
    assert "empty capability sets: EPERM, Operation not permitted" in answers
    assert _permitted(kernel) == NONE


@pytest.mark.parametrize(
    "method", ["set_thread_keep_capabilities", "set_groups", "set_resgid", "set_resuid"]
)
def test_a_call_that_an_interrupt_prevented_is_made_again_before_the_next(method: str) -> None:
    """After the next one it would not be permitted any more."""
    kernel = FakeKernel.root(groups=(0, 4, 27))
    kernel.fail(method, KeyboardInterrupt())
    assert [*surrender(kernel, planned(APP))] == [*_IDS, *_BESIDES]
