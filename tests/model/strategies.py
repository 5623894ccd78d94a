"""Random ids, sets, credentials, steps and policies, from few values, so that they meet."""

from __future__ import annotations

from functools import reduce
from operator import or_

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from abdicate.identity.capabilities import Capability, CapabilitySet, CapabilitySets, Securebits
from abdicate.identity.credentials import Credentials, ResGid, ResUid
from abdicate.identity.ids import Gid, Uid
from abdicate.identity.resolve import Identity
from abdicate.identity.situation import IdRange, ResourceLimit, UserNamespace
from abdicate.plan.policy import DropPolicy
from abdicate.plan.steps import (
    DropBounding,
    KeepCapabilities,
    SetAmbient,
    SetCapabilities,
    SetDumpable,
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
from abdicate.testing import Machine
from model.sequences import CAPABILITIES, IDS, SECUREBITS

#: Always the same examples, however slow a machine makes them.
REPRODUCIBLE = settings(
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

_ids = st.sampled_from(IDS)
uids = _ids.map(Uid)
gids = _ids.map(Gid)
groups = st.lists(gids, max_size=4)

_CAPABILITIES = (*CAPABILITIES, Capability.SYS_RESOURCE, Capability.SYS_NICE)
_EVERY = (1 << len(_CAPABILITIES)) - 1


def _set(mask: int) -> CapabilitySet:
    return CapabilitySet.of(*(c for n, c in enumerate(_CAPABILITIES) if mask >> n & 1))


#: All, none, what changes ids, or any.
capability_sets = (st.sampled_from((_EVERY, 0, 3)) | st.integers(0, _EVERY)).map(_set)

securebits = st.lists(st.sampled_from(SECUREBITS), max_size=3).map(
    lambda bits: reduce(or_, bits, Securebits(0))
)


@st.composite
def credentials(draw: st.DrawFn) -> Credentials:
    """What a thread can hold: effective within permitted, ambient within both."""
    uid = draw(uids.map(ResUid.all) | st.builds(ResUid, uids, uids, uids))
    gid = draw(gids.map(ResGid.all) | st.builds(ResGid, gids, gids, gids))
    permitted, inheritable = draw(capability_sets), draw(capability_sets)
    return Credentials(
        uid=uid,
        gid=gid,
        groups=tuple(draw(groups)),
        filesystem_uid=draw(st.just(uid.effective) | uids),
        filesystem_gid=draw(st.just(gid.effective) | gids),
        capabilities=CapabilitySets(
            inheritable=inheritable,
            permitted=permitted,
            effective=draw(st.just(permitted) | capability_sets) & permitted,
            bounding=draw(st.just(Machine().capabilities) | capability_sets),
            ambient=draw(capability_sets) & permitted & inheritable,
        ),
        securebits=draw(securebits),
        no_new_privs=draw(st.booleans()),
        seccomp=0,
        umask=draw(st.sampled_from((0o022, 0o077))),
        dumpable=draw(st.integers(0, 1)),
    )


_ONE = (IdRange(0, 1000, 1),)
_MANY = (IdRange(0, 100000, 6), IdRange(1000, 1000, 1))

#: The initial user namespace, and others with one id or many.
namespaces = st.none() | st.builds(
    UserNamespace, st.sampled_from((_ONE, _MANY)), st.sampled_from((_ONE, _MANY)), st.booleans()
)

limits = st.builds(
    lambda resource, low, high: ResourceLimit(resource, min(low, high), max(low, high)),
    st.sampled_from(("nofile", "memlock")),
    st.sampled_from((0, 1024, 524288, 2**20, 2**21)),
    st.sampled_from((1024, 524288, 2**20, 2**21, 2**23)),
)


@st.composite
def _capset(draw: st.DrawFn) -> SetCapabilities:
    permitted = draw(capability_sets)
    effective = draw(st.just(permitted) | capability_sets) & permitted
    return SetCapabilities(permitted, effective, draw(st.just(permitted) | capability_sets))


steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(SetUid, uids),
    st.builds(SetGid, gids),
    st.builds(SetGroups, groups.map(tuple)),
    _capset(),
    st.builds(SetAmbient, capability_sets),
    st.builds(DropBounding, capability_sets.filter(bool)),
    st.builds(KeepCapabilities, st.booleans()),
    st.builds(SetSecurebits, securebits),
    st.builds(SetDumpable, st.booleans()),
    st.builds(SetParentDeathSignal, st.sampled_from((0, 9))),
    st.builds(SetResourceLimit, limits),
    st.builds(SetNice, st.integers(-20, 19)),
    st.builds(SetUmask, st.integers(0, 0o777)),
    st.just(SetNoNewPrivs()),
)

identities = st.builds(
    lambda uid, gid, others: Identity(None, uid, gid, tuple(sorted({gid, *others}))),
    uids,
    gids,
    groups,
)


@st.composite
def policies(draw: st.DrawFn) -> DropPolicy:
    """Any policy that needs no path; root is allowed."""
    kept = draw(st.none() | capability_sets)
    return DropPolicy(
        umask=draw(st.none() | st.just(0o077)),
        no_new_privs=draw(st.booleans()),
        capabilities=kept,
        ambient=bool(kept) and draw(st.booleans()),
        bounding=draw(st.none() | capability_sets),
        lock_securebits=draw(st.booleans()),
        limits=draw(st.just(()) | st.tuples(limits)),
        nice=draw(st.none() | st.sampled_from((-3, 7))),
        environment=draw(st.sampled_from(("keep", "account", "reset"))),
        dumpable=draw(st.none() | st.booleans()),
        parent_death_signal=draw(st.none() | st.sampled_from((0, 9))),
        session_keyring=draw(st.booleans()),
        allow_root=True,
        allow_root_group=True,
    )
