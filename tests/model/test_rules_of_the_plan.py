"""The rules that plans are made by, held against the model: what is predicted is what happens."""

from __future__ import annotations

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from abdicate.errors import PreflightError
from abdicate.executor import execute
from abdicate.executor.apply import apply
from abdicate.identity.capabilities import (
    Capability,
    CapabilitySet,
    CapabilitySets,
    Securebits,
)
from abdicate.identity.credentials import Credentials, ResGid, ResUid
from abdicate.identity.ids import Gid, Uid
from abdicate.identity.resolve import Identity
from abdicate.identity.situation import IdRange, ResourceLimit, UserNamespace
from abdicate.kernel.port import Kernel
from abdicate.plan.plan import Plan
from abdicate.plan.planner import plan_drop
from abdicate.plan.policy import DropPolicy
from abdicate.plan.preflight import obstacles
from abdicate.plan.rules import after, after_uid_change
from abdicate.plan.steps import SetGid, SetResourceLimit, SetUid, Step
from abdicate.testing import FakeKernel
from model import strategies as some

many = settings(some.REPRODUCIBLE, max_examples=500)


def _of_one_step(step: Step, prior: Credentials) -> Plan:
    nobody = Identity(None, Uid(1), Gid(1), ())
    return Plan(nobody, DropPolicy(), prior, (step,), prior)


def _plan(kernel: Kernel, identity: Identity, policy: DropPolicy) -> Plan:
    limits = [limit.resource for limit in policy.limits]
    return plan_drop(identity, policy, kernel.situation(limits))


@given(some.credentials(), some.namespaces, some.steps)
@many
def test_a_step_that_the_kernel_allows_does_what_was_predicted(
    held: Credentials, namespace: UserNamespace | None, step: Step
) -> None:
    kernel = FakeKernel(held, namespace)
    predicted = after(step, kernel.credentials())
    try:
        apply(kernel, step)
    except OSError:
        assume(False)
    found = kernel.credentials()
    if isinstance(step, SetUid | SetGid):
        # fs.suid_dumpable decides there, and the plan promises nothing.
        predicted = predicted.replace(dumpable=found.dumpable)
    assert predicted == found, list(predicted.differences(found))


@given(some.credentials(), some.uids, some.uids, some.uids)
@many
def test_a_change_of_uids_fixes_the_capabilities_up_as_predicted(
    held: Credentials, real: Uid, effective: Uid, saved: Uid
) -> None:
    sets, bits = held.capabilities or CapabilitySets(), held.securebits or Securebits(0)
    kernel = FakeKernel(held)
    kernel.grant("set_resuid")
    kernel.set_resuid(real, effective, saved)
    predicted = after_uid_change(sets, bits, held.uid, ResUid(real, effective, saved))
    assert kernel.credentials().capabilities == predicted


@given(some.credentials(), some.namespaces, st.sampled_from((0, 5)), some.steps)
@many
def test_the_preflight_foresees_every_refusal_of_a_step(
    held: Credentials, namespace: UserNamespace | None, nice: int, step: Step
) -> None:
    kernel = FakeKernel(held, namespace, nice=nice)
    asked = [step.limit.resource] if isinstance(step, SetResourceLimit) else []
    reasons = obstacles(_of_one_step(step, kernel.credentials()), kernel.situation(asked))
    if not reasons:
        apply(kernel, step)


@given(some.credentials(), some.namespaces, some.identities, some.policies())
@many
def test_a_plan_is_refused_before_the_first_step_or_reaches_its_goal(
    held: Credentials, namespace: UserNamespace | None, identity: Identity, policy: DropPolicy
) -> None:
    kernel = FakeKernel(held, namespace, parent_death_signal=9)
    plan = _plan(kernel, identity, policy)
    try:
        report = execute(plan, kernel).report
    except PreflightError:
        assert kernel.calls == []
        assert kernel.credentials() == plan.prior
    else:
        assert {check.verdict for check in report.checks} == {"ok"}
        wanted = policy.parent_death_signal
        assert kernel.parent_death_signal() == (9 if wanted is None else wanted)


# What the properties above have found, each by itself.


def _root(**changes: object) -> Credentials:
    return FakeKernel.root().credentials().replace(**changes)


def test_a_securebit_without_a_name_here_is_kept() -> None:
    """P27: SECBIT_EXEC_RESTRICT_FILE, locked, is not lost on the way."""
    unnamed = Securebits(0b11 << 8)
    kernel = FakeKernel(_root(securebits=unnamed))
    identity = Identity(None, Uid(1000), Gid(1000), (Gid(1000),))
    plan = _plan(kernel, identity, DropPolicy(lock_securebits=True))
    execute(plan, kernel)
    found = kernel.credentials().securebits
    assert found is not None
    assert int(found) & int(unnamed) == unnamed


def test_an_effective_set_without_cap_setpcap_stays_without_it() -> None:
    """P23: with NO_SETUID_FIXUP a change to root leaves the effective set as it is."""
    held = CapabilitySet.of(Capability.SETUID, Capability.SETGID, Capability.SETPCAP)
    less = CapabilitySet.of(Capability.SETUID, Capability.SETGID)
    only_setuid = CapabilitySet.of(Capability.SETUID)
    kernel = FakeKernel(
        FakeKernel.user(1000)
        .credentials()
        .replace(
            securebits=Securebits.NO_SETUID_FIXUP,
            capabilities=CapabilitySets(only_setuid, held, less, held, only_setuid),
        )
    )
    root = Identity(None, Uid(0), Gid(0), (Gid(0),))
    policy = DropPolicy(allow_root=True, allow_root_group=True)
    assert execute(_plan(kernel, root, policy), kernel).report.ok


def test_a_death_signal_is_disarmed_where_the_change_of_ids_leaves_it_armed() -> None:
    """P32: only a change of the effective ids disarms it; the saved uid's does not."""
    user, group = Uid(1000), Gid(1000)
    kernel = FakeKernel(
        FakeKernel.user(1000).credentials().replace(uid=ResUid(user, user, Uid(0))),
        parent_death_signal=9,
    )
    identity = Identity(None, user, group, (group,))
    execute(_plan(kernel, identity, DropPolicy(parent_death_signal=0)), kernel)
    assert kernel.credentials().gid == ResGid.all(group)
    assert kernel.parent_death_signal() == 0


def test_dumpable_is_no_promise_where_only_a_filesystem_id_changes() -> None:
    """P33: the filesystem ids count as well, setfsuid(2)."""
    user, group = Uid(1000), Gid(1000)
    kernel = FakeKernel(FakeKernel.user(1000).credentials().replace(filesystem_uid=Uid(0)))
    identity = Identity(None, user, group, (group,))
    execute(_plan(kernel, identity, DropPolicy()), kernel)
    assert kernel.credentials().filesystem_uid == user


def _refused_and_untouched(kernel: FakeKernel, policy: DropPolicy) -> bool:
    identity = Identity(None, Uid(0), Gid(0), kernel.credentials().groups)
    try:
        execute(_plan(kernel, identity, policy), kernel)
    except PreflightError:
        return not kernel.calls
    return False


def test_a_limit_above_what_the_kernel_has_at_most_is_refused_in_time() -> None:
    """P38: nobody sets nofile above fs.nr_open, with whatever capability."""
    policy = DropPolicy(
        limits=(ResourceLimit("nofile", 1024, 2**21),), allow_root=True, allow_root_group=True
    )
    assert _refused_and_untouched(FakeKernel.root(), policy)


def test_root_of_a_user_namespace_raises_no_limit_and_no_priority() -> None:
    """P38: CAP_SYS_RESOURCE and CAP_SYS_NICE count in the initial user namespace alone."""
    one = (IdRange(0, 1000, 1),)
    allowed = DropPolicy(allow_root=True, allow_root_group=True)
    for policy in (
        allowed.replace(limits=(ResourceLimit("memlock", 2**30, 2**30),)),
        allowed.replace(nice=-5),
    ):
        assert _refused_and_untouched(FakeKernel.in_user_namespace(uids=one, gids=one), policy)
