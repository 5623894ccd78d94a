"""What stands in the way of a plan, here and now. Pure; every reason at once.

Capabilities decide, not "uid is 0" (rust-lang/rust#88716): a container's root may lack
CAP_SETGID, a service may hold it without being root.
"""

from __future__ import annotations

from abdicate.identity.capabilities import Capability, CapabilitySets, Securebits
from abdicate.identity.credentials import Credentials
from abdicate.identity.ids import Gid, Uid
from abdicate.identity.situation import OVERFLOW_ID, ResourceLimit, Situation
from abdicate.plan.plan import Plan
from abdicate.plan.policy import DropPolicy
from abdicate.plan.rules import after
from abdicate.plan.steps import (
    ChangeRoot,
    DropBounding,
    KeepCapabilities,
    SetAmbient,
    SetCapabilities,
    SetGid,
    SetGroups,
    SetNice,
    SetResourceLimit,
    SetSecurebits,
    SetUid,
    Step,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["obstacles"]


def obstacles(plan: Plan, situation: Situation) -> tuple[str, ...]:
    """Return every reason why *plan* can't be carried out in *situation*; none: it can.

    Each step is judged by what the steps before it leave of the privileges.
    """
    found = list(_of_the_plan(plan, situation))
    now = situation.credentials
    for step in plan.steps:
        found.extend(_of_the_step(step, now, situation))
        now = after(step, now)
    # Also where there is nothing to do: an id that does not exist here reads as 65534.
    found.extend(_unmapped_gids((plan.identity.gid,), situation))
    found.extend(_unmapped_uid(plan.identity.uid, situation))
    return tuple(dict.fromkeys(found))


def _of_the_plan(plan: Plan, situation: Situation) -> Iterator[str]:
    changed = list(plan.prior.differences(situation.credentials))
    if changed:
        yield "the plan was made for other credentials than this process holds: " + "; ".join(
            map(str, changed)
        )
    scoped = [step.kind for step in plan.steps if step.scope == "thread"]
    if scoped and situation.threads > 1:
        yield (
            f"{situation.threads} threads run, and {', '.join(dict.fromkeys(scoped))} would change "
            "the calling one alone; drop before the others are started"
        )
    if not situation.platform.linux_credentials:
        for name in _linux_only(plan.policy):
            yield f"{name} is asked for, and {situation.platform.name} has no such thing"


def _linux_only(policy: DropPolicy) -> Iterator[str]:
    if policy.no_new_privs:
        yield "no_new_privs"
    if policy.capabilities:
        yield "keeping capabilities"
    if policy.bounding is not None:
        yield "a bounding set"
    if policy.lock_securebits:
        yield "lock_securebits"
    if policy.dumpable is not None:
        yield "dumpable"
    if policy.parent_death_signal:
        yield "parent_death_signal"
    if policy.session_keyring:
        yield "session_keyring"


def _of_the_step(step: Step, now: Credentials, situation: Situation) -> Iterator[str]:
    match step:
        case SetGroups():
            yield from _groups(step, now, situation)
        case SetGid(gid):
            if gid not in now.gid and not _may(Capability.SETGID, now):
                yield f"the gid can't become {gid} without {Capability.SETGID}, {_lacking(now)}"
            yield from _unmapped_gids((gid,), situation)
        case SetUid(uid):
            if uid not in now.uid and not _may(Capability.SETUID, now):
                yield f"the uid can't become {uid} without {Capability.SETUID}, {_lacking(now)}"
            yield from _unmapped_uid(uid, situation)
        case SetResourceLimit(limit):
            yield from _limit(limit, now, situation)
        case SetNice(value):
            if value < situation.nice and not _may_anywhere(Capability.SYS_NICE, now, situation):
                yield f"the nice value can't go down to {value} without {Capability.SYS_NICE}"
        case ChangeRoot(path):
            if not _may(Capability.SYS_CHROOT, now):
                yield f"the root directory can't become {path} without {Capability.SYS_CHROOT}"
        case DropBounding() | SetSecurebits() | KeepCapabilities() | SetAmbient():
            yield from _thread_attributes(step, now)
        case SetCapabilities():
            yield from _capabilities(step, now)
        case _:
            pass


def _may(capability: Capability, now: Credentials) -> bool:
    # Without capabilities (macOS, the BSDs) it is the effective uid that decides.
    if now.capabilities is None:
        return now.uid.effective == 0
    return capability in now.capabilities.effective


def _may_anywhere(capability: Capability, now: Credentials, situation: Situation) -> bool:
    """Tell whether *capability* counts for the machine: in its own user namespace alone."""
    namespace = situation.user_namespace
    return _may(capability, now) and (namespace is None or namespace.is_initial)


def _limit(limit: ResourceLimit, now: Credentials, situation: Situation) -> Iterator[str]:
    current = situation.limit(limit.resource)
    if current is None:
        yield f"this platform has no resource limit {limit.resource!r}"
        return
    may_raise = _may_anywhere(Capability.SYS_RESOURCE, now, situation)
    if limit.raises(current) and not may_raise:
        yield (
            f"the hard limit of {limit.resource} can't be raised from {current} to {limit} "
            f"without {Capability.SYS_RESOURCE} in the machine's own user namespace"
        )
    if limit.resource != "nofile":
        return
    most = situation.descriptors_max
    if most is not None and (limit.hard is None or limit.hard > most):
        yield f"the hard limit of nofile can't be above fs.nr_open, which is {most}"
    free = situation.next_descriptor
    if free is not None and limit.soft is not None and limit.soft < free + _TO_VERIFY:
        yield (
            f"a soft limit of {limit.soft} for nofile leaves no descriptor to verify the drop "
            f"with; {free + _TO_VERIFY} does"
        )


# Descriptors: /proc/self/task, a copy of it to list it with, and one status file at a time.
_TO_VERIFY = 3


def _lacking(now: Credentials) -> str:
    held = f"and this process (effective uid {now.uid.effective}) does not hold it"
    if now.uid.effective != 0 and 0 in now.uid:
        return f"{held}; root is its real or saved uid still: make it effective first, seteuid(0)"
    return held


def _groups(step: SetGroups, now: Credentials, situation: Situation) -> Iterator[str]:
    namespace = situation.user_namespace
    if not _may(Capability.SETGID, now):
        yield (
            f"the supplementary groups can't change from {_numbers(now.groups)} to "
            f"{_numbers(step.groups)} without {Capability.SETGID}, {_lacking(now)}"
            f"{_hidden(now, situation)}"
        )
    if namespace is not None and not namespace.setgroups_allowed:
        yield (
            f"this user namespace forbids setgroups (/proc/self/setgroups), and the groups "
            f"{_numbers(now.groups)} would stay"
        )
    if len(step.groups) > situation.groups_max:
        yield (
            f"{len(step.groups)} groups are asked for, and this system takes "
            f"{situation.groups_max} (NGROUPS_MAX)"
        )
    yield from _unmapped_gids(step.groups, situation)


def _hidden(now: Credentials, situation: Situation) -> str:
    if not any(map(situation.may_hide, now.groups)):
        return ""
    return f"; and {OVERFLOW_ID} may stand for a group that this user namespace does not map"


def _unmapped_uid(uid: Uid, situation: Situation) -> Iterator[str]:
    namespace = situation.user_namespace
    if namespace is not None and not namespace.maps_uid(uid):
        yield f"uid {uid} does not exist in this user namespace (/proc/self/uid_map)"


def _unmapped_gids(gids: tuple[Gid, ...], situation: Situation) -> Iterator[str]:
    namespace = situation.user_namespace
    if namespace is None:
        return
    for gid in gids:
        if not namespace.maps_gid(gid):
            yield f"gid {gid} does not exist in this user namespace (/proc/self/gid_map)"


def _numbers(groups: tuple[Gid, ...]) -> str:
    few = " ".join(map(str, groups[:16])) or "none"
    return few if len(groups) <= 16 else f"{few} … ({len(groups)} in all)"


def _thread_attributes(step: Step, now: Credentials) -> Iterator[str]:
    bits = now.securebits or Securebits(0)
    sets = now.capabilities or CapabilitySets()
    match step:
        case DropBounding():
            if not _may(Capability.SETPCAP, now):
                yield f"the bounding set can't be lowered without {Capability.SETPCAP}"
        case KeepCapabilities():
            if bits & Securebits.KEEP_CAPS_LOCKED:
                yield "keep-capabilities is locked by the securebits of this process"
        case SetAmbient(capabilities):
            outside = capabilities - (sets.permitted & sets.inheritable)
            if outside:
                yield f"not both permitted and inheritable, so never ambient: {outside}"
            if capabilities and bits & Securebits.NO_CAP_AMBIENT_RAISE:
                yield "the securebits of this process forbid to raise ambient capabilities"
        case SetSecurebits(wanted):
            if not _may(Capability.SETPCAP, now):
                yield f"the securebits can't change without {Capability.SETPCAP}"
            # Every even bit is a flag, and the odd one above it is its lock.
            held, asked = int(bits), int(wanted)
            locks = held & _LOCKS
            if (held ^ asked) & (locks >> 1) or locks & ~asked:
                yield f"the securebits {bits} are locked, and {wanted} is asked for"
        case _:  # nothing of the thread's own stands in its way
            return


_LOCKS = 0xAAAAAAAA


def _capabilities(step: SetCapabilities, now: Credentials) -> Iterator[str]:
    sets = now.capabilities or CapabilitySets()
    if absent := step.permitted - sets.permitted:
        yield f"these capabilities are to be kept, and are not held: {absent}"
    if outside := step.effective - step.permitted:
        yield f"not permitted, so never effective: {outside}"
    # capset(2): what becomes inheritable must be in the bounding set, and for one without
    # CAP_SETPCAP in the permitted set too.
    raised = step.inheritable - sets.inheritable
    if beyond := raised - sets.bounding:
        yield f"not in the bounding set, so never inheritable: {beyond}"
    if (beyond := raised - sets.permitted) and not _may(Capability.SETPCAP, now):
        yield f"not permitted, so not inheritable without {Capability.SETPCAP}: {beyond}"
