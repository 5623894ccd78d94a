"""The attempts to take back what was given up: which are made, in which way, and what they say."""

from __future__ import annotations

from abdicate.executor.attack import attempts
from abdicate.identity.capabilities import Capability, CapabilitySet
from abdicate.identity.credentials import Credentials
from abdicate.identity.situation import IdRange
from abdicate.plan.report import Attempt
from abdicate.testing import FakeKernel
from unit.making import AS_APP, AS_ROOT, BIND, EVERY, holding, seen_on_posix

_BY_UID = ["setresuid(-1, 0, -1)", "setreuid(-1, 0)", "setuid(0)"]
_BY_GID = ["setresgid(-1, 0, -1)", "setregid(-1, 0)", "setgid(0)", "setgroups(as before)"]
_CAPSET = "capset(as before)"


def _attack(before: Credentials, goal: Credentials) -> list[Attempt]:
    """Attack a process that holds *goal*."""
    return list(attempts(FakeKernel(goal), before, goal))


def test_everything_that_was_given_up_is_attacked_and_the_answer_is_named() -> None:
    refused = [Attempt(call, "refused", "EPERM") for call in (*_BY_UID, *_BY_GID, _CAPSET)]
    assert _attack(AS_ROOT, AS_APP) == refused


def test_where_there_are_no_capabilities_the_ids_and_the_groups_are_attacked() -> None:
    refused = [Attempt(call, "refused", "EPERM") for call in (*_BY_UID, *_BY_GID)]
    assert _attack(seen_on_posix(AS_ROOT), seen_on_posix(AS_APP)) == refused


def test_an_id_that_the_user_namespace_does_not_map_is_refused_as_invalid() -> None:
    only_app = (IdRange(1000, 1000, 1),)
    kernel = FakeKernel.in_user_namespace(1000, 1000, uids=only_app, gids=only_app)
    first = next(attempts(kernel, AS_ROOT, AS_APP))
    assert first == Attempt(_BY_UID[0], "refused", "EINVAL")


def test_a_refusal_without_an_errno_is_a_refusal() -> None:
    kernel = FakeKernel(AS_APP)
    kernel.fail("set_resuid", OSError("no number"))
    first = next(attempts(kernel, AS_ROOT, AS_APP))
    assert first == Attempt(_BY_UID[0], "refused", "?")


def test_what_the_plan_leaves_possible_is_not_tried_and_the_rest_is() -> None:
    """CAP_SETUID is kept: the uids could be had, the groups and the other capabilities not."""
    keeping = holding(1000, 1000, (4, 1000), permitted=CapabilitySet.of(Capability.SETUID))
    reason = "CAP_SETUID is kept, as the plan says"
    assert _attack(AS_ROOT, keeping) == [
        *(Attempt(call, "not tried", reason) for call in _BY_UID),
        *(Attempt(call, "refused", "EPERM") for call in (*_BY_GID, _CAPSET)),
    ]


def test_where_there_are_no_capabilities_a_root_that_stays_could_have_every_group() -> None:
    """On macOS and the BSDs the uid decides; and so the groups are not tried."""
    goal = seen_on_posix(holding(0, 1000, (4, 1000)))
    reason = "the process stays root, as the plan says"
    assert _attack(seen_on_posix(AS_ROOT), goal) == [
        Attempt(call, "not tried", reason) for call in _BY_GID
    ]


def test_where_there_are_capabilities_a_root_without_them_is_attacked() -> None:
    """On Linux the uid 0 alone may nothing."""
    refused = [Attempt(call, "refused", "EPERM") for call in (*_BY_GID, _CAPSET)]
    assert _attack(AS_ROOT, holding(0, 1000, (4, 1000))) == refused


def test_capset_asks_for_the_permitted_set_alone() -> None:
    """With the inheritable set as it is: a refusal of that would tell nothing of the other."""
    goal = holding(1000, 1000, (4, 1000), inheritable=BIND)
    kernel = FakeKernel(goal)
    list(attempts(kernel, AS_ROOT, goal))
    assert kernel.calls[-1] == ("set_thread_capabilities", (EVERY, EVERY, BIND))
