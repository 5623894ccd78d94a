"""The planner: from who to be and how, to the ordered steps. Pure.

The order is a table, `_ROWS`, read from top to bottom; each step carries the reason for its
place. A row looks at what the rows above have left (`_Draft.now`) and yields a step only where
the goal is not reached yet, so a process that already is what was asked gets an empty plan.

Sources: setuid(2), credentials(7), capabilities(7), prctl(2); Chen, Wagner and Dean, "Setuid
Demystified", USENIX Security 2002.
"""

from __future__ import annotations

from abdicate.errors import PreflightError
from abdicate.identity.capabilities import Capability, CapabilitySet, CapabilitySets, Securebits
from abdicate.identity.credentials import Credentials, ResGid, ResUid
from abdicate.identity.ids import Gid
from abdicate.identity.resolve import Identity
from abdicate.identity.situation import Situation
from abdicate.plan.plan import Plan
from abdicate.plan.policy import DropPolicy
from abdicate.plan.rules import after, after_uid_change
from abdicate.plan.steps import (
    ChangeDirectory,
    ChangeRoot,
    DropBounding,
    KeepCapabilities,
    NewSessionKeyring,
    SetAmbient,
    SetCapabilities,
    SetDumpable,
    SetEnvironment,
    SetGid,
    SetGroups,
    SetNice,
    SetNoNewPrivs,
    SetParentDeathSignal,
    SetResourceLimit,
    SetSecurebits,
    SetUid,
    SetUmask,
    Step,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["ACCOUNT_VARIABLES", "plan_drop"]

#: What login(1) sets from the account's entry, environ(7).
ACCOUNT_VARIABLES = ("HOME", "USER", "LOGNAME", "SHELL")

_RESET_RETAINS = ("TERM",)
_RESET_PATH = "/usr/local/bin:/usr/bin:/bin"

_SETPCAP = CapabilitySet.of(Capability.SETPCAP)

# What capabilities(7) gives for a capability-only environment, and no further ambient raising.
# NO_SETUID_FIXUP would do harm in the process itself only while it changes uids, and it no
# longer can.
_LOCK = (
    Securebits.NOROOT
    | Securebits.NOROOT_LOCKED
    | Securebits.NO_SETUID_FIXUP
    | Securebits.NO_SETUID_FIXUP_LOCKED
    | Securebits.KEEP_CAPS_LOCKED
    | Securebits.NO_CAP_AMBIENT_RAISE
    | Securebits.NO_CAP_AMBIENT_RAISE_LOCKED
)


def plan_drop(identity: Identity, policy: DropPolicy, situation: Situation) -> Plan:
    """Return the steps that make this process *identity*, and what it will hold then.

    The plan is what has to happen, whether or not this process may do it: an ordinary user can
    plan and explain what root would do. `abdicate.plan.preflight.obstacles` tells what stands in
    the way here, and `abdicate.executor.execute` asks it before the first step.

    Args:
        identity: who to become, all names resolved.
        policy: what changes besides.
        situation: what the process holds now, and what surrounds it.

    Raises:
        PreflightError: root or root's group would remain and the policy does not allow it, in
            writing; with every reason at once.
    """
    if reasons := tuple(_refusals(identity, policy)):
        raise PreflightError(*reasons)
    draft = _Draft(identity, policy, situation)
    for row in _ROWS:
        for step in row(draft):
            draft.take(step)
    return Plan(identity, policy, situation.credentials, tuple(draft.steps), draft.goal)


def _refusals(identity: Identity, policy: DropPolicy) -> Iterator[str]:
    if identity.uid == 0:
        if policy.allow_root:
            return  # root can take any group, its own included
        yield (
            "the process would be root (uid 0); where that is meant, allow_root "
            "(--allow-root) says so"
        )
    if 0 in (identity.gid, *identity.groups) and not policy.allow_root_group:
        yield (
            "root's group (gid 0) would be among the groups; where that is meant, "
            "allow_root_group (--allow-root-group) says so"
        )


class _Draft:
    """A plan in the making: the goal, and how far the steps taken so far have come."""

    def __init__(self, identity: Identity, policy: DropPolicy, situation: Situation) -> None:
        self.identity = identity
        self.policy = policy
        self.situation = situation
        self.now = situation.credentials
        self.goal = _goal(identity, policy, situation)
        self.steps: list[Step] = []

    def take(self, step: Step) -> None:
        self.steps.append(step)
        self.now = after(step, self.now)

    @property
    def changes_ids(self) -> bool:
        return any(isinstance(step, SetUid | SetGid) for step in self.steps)

    @property
    def sets(self) -> CapabilitySets:
        return self.now.capabilities or CapabilitySets()

    @property
    def goal_sets(self) -> CapabilitySets:
        return self.goal.capabilities or CapabilitySets()

    @property
    def securebits_to_set(self) -> bool:
        """Tell whether bits other than keep-capabilities are to change."""
        now, goal = self.now.securebits, self.goal.securebits
        keep = Securebits.KEEP_CAPS
        return now is not None and goal is not None and now.without(keep) != goal.without(keep)


def _goal(identity: Identity, policy: DropPolicy, situation: Situation) -> Credentials:
    prior = situation.credentials
    uid, gid = ResUid.all(identity.uid), ResGid.all(identity.gid)
    return prior.replace(
        uid=uid,
        gid=gid,
        groups=_goal_groups(identity, prior),
        filesystem_uid=None if prior.filesystem_uid is None else identity.uid,
        filesystem_gid=None if prior.filesystem_gid is None else identity.gid,
        capabilities=_goal_sets(identity, policy, prior),
        securebits=_goal_securebits(policy, prior),
        no_new_privs=True if policy.no_new_privs else prior.no_new_privs,
        umask=prior.umask if policy.umask is None else policy.umask,
        dumpable=_goal_dumpable(identity, policy, situation),
    )


def _goal_groups(identity: Identity, prior: Credentials) -> tuple[Gid, ...]:
    # An ordinary user whose list lacks nothing but the gid itself (a container's `USER 1000`)
    # holds no more than was asked, and could not call setgroups to add it.
    may_set = prior.capabilities is not None and Capability.SETGID in prior.capabilities.effective
    lacking = set(identity.groups) - set(prior.groups)
    surplus = set(prior.groups) - set(identity.groups)
    same = prior.uid == ResUid.all(identity.uid) and prior.gid == ResGid.all(identity.gid)
    own = same and lacking <= {identity.gid} and not surplus
    return prior.groups if own and not may_set and 0 not in prior.uid else identity.groups


def _goal_sets(identity: Identity, policy: DropPolicy, prior: Credentials) -> CapabilitySets | None:
    sets = prior.capabilities
    if sets is None:
        return None
    bounding = sets.bounding if policy.bounding is None else sets.bounding & policy.bounding
    if policy.capabilities is None and identity.uid == 0:
        securebits = prior.securebits or Securebits(0)
        return after_uid_change(sets, securebits, prior.uid, ResUid.all(identity.uid)).replace(
            bounding=bounding
        )
    kept = policy.capabilities or CapabilitySet.EMPTY
    passed_on = kept if policy.ambient else CapabilitySet.EMPTY
    return CapabilitySets(
        inheritable=passed_on, permitted=kept, effective=kept, bounding=bounding, ambient=passed_on
    )


def _goal_securebits(policy: DropPolicy, prior: Credentials) -> Securebits | None:
    bits = prior.securebits
    if bits is None:
        return None
    if not bits & Securebits.KEEP_CAPS_LOCKED:
        bits = bits.without(Securebits.KEEP_CAPS)
    return bits | _LOCK if policy.lock_securebits else bits


def _goal_dumpable(identity: Identity, policy: DropPolicy, situation: Situation) -> int | None:
    prior, uid, gid = situation.credentials, identity.uid, identity.gid
    if policy.dumpable is not None and prior.dumpable is not None:
        return int(policy.dumpable)
    # fs.suid_dumpable decides where the ids change; it is the administrator's choice.
    stays = (
        (prior.uid, prior.gid) == (ResUid.all(uid), ResGid.all(gid))
        and prior.filesystem_uid in (None, uid)
        and prior.filesystem_gid in (None, gid)
        and not situation.may_hide(uid)
        and not situation.may_hide(gid)
    )
    return prior.dumpable if stays else None


# The rows, each a question that the draft answers with steps.


def _resource_limits(draft: _Draft) -> Iterator[Step]:
    for limit in draft.policy.limits:
        if draft.situation.limit(limit.resource) != limit:
            yield SetResourceLimit(limit)


def _nice(draft: _Draft) -> Iterator[Step]:
    if draft.policy.nice is not None and draft.policy.nice != draft.situation.nice:
        yield SetNice(draft.policy.nice)


def _session_keyring(draft: _Draft) -> Iterator[Step]:
    if draft.policy.session_keyring:
        yield NewSessionKeyring()


def _root_directory(draft: _Draft) -> Iterator[Step]:
    if draft.policy.chroot is not None:
        yield ChangeRoot(draft.policy.chroot)


def _bounding_set(draft: _Draft) -> Iterator[Step]:
    if surplus := draft.sets.bounding - draft.goal_sets.bounding:
        yield DropBounding(surplus)


def _keep_capabilities_on(draft: _Draft) -> Iterator[Step]:
    needed = draft.goal_sets.permitted
    if draft.securebits_to_set:
        needed |= _SETPCAP
    bits = draft.now.securebits
    if bits is None or draft.now.capabilities is None:
        return
    left = after_uid_change(draft.sets, bits, draft.now.uid, draft.goal.uid).permitted
    if needed & draft.sets.permitted - left:
        yield KeepCapabilities(on=True)


def _groups(draft: _Draft) -> Iterator[Step]:
    hidden = any(map(draft.situation.may_hide, draft.now.groups))
    if hidden or draft.now.groups != draft.goal.groups:
        gid = draft.identity.gid
        others = tuple(group for group in draft.goal.groups if group != gid)
        yield SetGroups((gid, *others) if gid in draft.goal.groups else others)


def _gid(draft: _Draft) -> Iterator[Step]:
    now, goal = draft.now, draft.goal
    hidden = draft.situation.may_hide(draft.identity.gid)
    if hidden or (now.gid, now.filesystem_gid) != (goal.gid, goal.filesystem_gid):
        yield SetGid(draft.identity.gid)


def _uid(draft: _Draft) -> Iterator[Step]:
    now, goal = draft.now, draft.goal
    hidden = draft.situation.may_hide(draft.identity.uid)
    if hidden or (now.uid, now.filesystem_uid) != (goal.uid, goal.filesystem_uid):
        yield SetUid(draft.identity.uid)


def _keep_capabilities_off(draft: _Draft) -> Iterator[Step]:
    bits = draft.now.securebits
    if bits is None or not bits & Securebits.KEEP_CAPS:
        return
    if not (draft.goal.securebits or Securebits(0)) & Securebits.KEEP_CAPS:
        yield KeepCapabilities(on=False)


def _capabilities_to_finish_with(draft: _Draft) -> Iterator[Step]:
    # The securebits need CAP_SETPCAP once more; without them this row is the last one already.
    extra = _SETPCAP if draft.securebits_to_set else CapabilitySet.EMPTY
    yield from _capset(draft, extra)


def _ambient_set(draft: _Draft) -> Iterator[Step]:
    if draft.sets.ambient != draft.goal_sets.ambient:
        yield SetAmbient(draft.goal_sets.ambient)


def _securebits(draft: _Draft) -> Iterator[Step]:
    if draft.securebits_to_set and draft.goal.securebits is not None:
        yield SetSecurebits(draft.goal.securebits)


def _capabilities(draft: _Draft) -> Iterator[Step]:
    yield from _capset(draft, CapabilitySet.EMPTY)


def _capset(draft: _Draft, extra: CapabilitySet) -> Iterator[SetCapabilities]:
    """Yield what leads to the goal's sets, with *extra* besides for a step that follows."""
    sets, goal = draft.sets, draft.goal_sets
    if draft.now.capabilities is None:
        return
    wanted = (goal.permitted | extra, goal.effective | extra, goal.inheritable)
    if (sets.permitted, sets.effective, sets.inheritable) != wanted:
        yield SetCapabilities(*wanted)


def _parent_death_signal(draft: _Draft) -> Iterator[Step]:
    armed = draft.situation.parent_death_signal
    wanted = armed if draft.policy.parent_death_signal is None else draft.policy.parent_death_signal
    # A change of ids disarms it, but for one of the real or saved ids alone.
    if wanted != armed or (wanted and draft.changes_ids):
        yield SetParentDeathSignal(wanted)


def _dumpable(draft: _Draft) -> Iterator[Step]:
    wanted = draft.policy.dumpable
    if wanted is not None and (draft.changes_ids or draft.now.dumpable != int(wanted)):
        yield SetDumpable(wanted)


def _no_new_privs(draft: _Draft) -> Iterator[Step]:
    if draft.goal.no_new_privs and not draft.now.no_new_privs:
        yield SetNoNewPrivs()


def _working_directory(draft: _Draft) -> Iterator[Step]:
    wanted = draft.policy.working_directory
    present = "/" if draft.policy.chroot is not None else draft.situation.working_directory
    if wanted is not None and wanted != present:
        yield ChangeDirectory(wanted)


def _umask(draft: _Draft) -> Iterator[Step]:
    if draft.policy.umask is not None and draft.now.umask != draft.policy.umask:
        yield SetUmask(draft.policy.umask)


def _environment(draft: _Draft) -> Iterator[Step]:
    if draft.policy.environment == "keep":
        return
    identity = draft.identity
    wanted = {"HOME": identity.home, "SHELL": identity.shell}
    if identity.user is not None:
        wanted |= {"USER": identity.user, "LOGNAME": identity.user}
    present = dict(draft.situation.environment)
    if draft.policy.environment == "reset":
        assign = {"PATH": _RESET_PATH, **wanted}
        retained = {name: present[name] for name in _RESET_RETAINS if name in present}
        if present != retained | assign:
            yield SetEnvironment(tuple(assign.items()), (), _RESET_RETAINS)
        return
    # Without an entry there is no name to give, and root's must not stay.
    remove = tuple(name for name in ACCOUNT_VARIABLES if name in present and name not in wanted)
    changes = tuple(item for item in wanted.items() if present.get(item[0]) != item[1])
    if changes or remove:
        yield SetEnvironment(changes, remove)


_ROWS: tuple[Callable[[_Draft], Iterator[Step]], ...] = (
    # While every privilege is there.
    _resource_limits,
    _nice,
    _session_keyring,
    _root_directory,
    _bounding_set,
    # The identity: groups, gid, uid. No other order works, and none ends without root otherwise.
    _keep_capabilities_on,
    _groups,
    _gid,
    _uid,
    # What the change of the uid has left.
    _keep_capabilities_off,
    _capabilities_to_finish_with,
    _ambient_set,
    _securebits,
    _capabilities,
    # What the change of the ids has undone.
    _parent_death_signal,
    _dumpable,
    # What needs no privilege, as the new user.
    _no_new_privs,
    _working_directory,
    _umask,
    _environment,
)
