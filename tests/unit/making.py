"""What the unit tests are made of: credentials, situations, and strategies for any of them."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import strategies as st

from abdicate.identity.capabilities import Capability, CapabilitySet, CapabilitySets, Securebits
from abdicate.identity.credentials import Credentials, ResGid, ResUid
from abdicate.identity.ids import Gid, Uid
from abdicate.identity.resolve import Identity
from abdicate.identity.situation import Platform, ResourceLimit, Situation
from abdicate.plan.plan import Plan
from abdicate.plan.planner import plan_drop
from abdicate.plan.policy import DropPolicy

LINUX = Platform("linux", linux_credentials=True)
MACOS = Platform("darwin", unverifiable=("saved uid", "saved gid"))

NONE = CapabilitySet.EMPTY
EVERY = CapabilitySet.of(*Capability)
BIND = CapabilitySet.of(Capability.NET_BIND_SERVICE)
SETPCAP = CapabilitySet.of(Capability.SETPCAP)

NOBODY = Identity(
    "nobody", Uid(65534), Gid(65534), (Gid(65534),), "/nonexistent", "/usr/sbin/nologin"
)
APP = Identity("app", Uid(1000), Gid(1000), (Gid(4), Gid(1000)), "/srv/app", "/bin/bash")
ROOT = Identity("root", Uid(0), Gid(0), (Gid(0),), "/root", "/bin/bash")
NAMELESS = Identity(None, Uid(4242), Gid(4242), (Gid(4242),))

#: What nobody may mean by a user: every text and value that has fooled a program before.
BAD_USERS: tuple[object, ...] = (
    "",
    " ",
    " 12 ",
    "12 ",
    "+1",
    "-1",
    "-",
    "--help",
    "1_000",
    "１２",
    "²",
    "٣",
    "007",
    "00",
    "0x1f",
    "0X1F",
    "0b1",
    "0o17",
    "4294967295",
    "4294967296",
    "9" * 40,
    ".",
    "..",
    "a/b",
    "no body",
    "nobody\n",
    "\nnobody",
    "nobody\0x",
    "nobody\t",
    "nöbody",
    "$",
    "a$b",
    "a$$",
    "a" * 257,
    "a" * 1_000_000,
    "1" * 1_000_000,
    "\0" * 1_000_000,
    -1,
    -2,
    4294967295,
    4294967296,
    2**64,
    10**5000,
    True,
    False,
    3.9,
    3.0,
    float("nan"),
    b"nobody",
    b"0",
    None,
    [],
    ["nobody"],
    {"nobody": 1},
    object(),
)

#: What nobody may mean by user:group, besides a bad user or a bad group on either side.
BAD_OWNERS: tuple[object, ...] = (
    ":",
    "::",
    "0:",
    "1000:",
    "１２:",
    "no:body:x",
    "nobody::",
    ":nobody:",
    "nobody: nogroup",
    "nobody :nogroup",
    "nobody:-1",
    "nobody:4294967295",
    "4294967295:nogroup",
    "nobody:007",
    "1" * 1_000_000 + ":",
    ":" * 1_000_000,
)


def shown_input(value: object) -> str:
    """Return a short id for a parametrised test, whatever the input."""
    try:
        text = repr(value)
    except ValueError:  # a whole number of more digits than Python writes out
        return "huge"
    return text if len(text) <= 30 else f"{text[:12]}…{len(text)}"


def gids(*numbers: int) -> tuple[Gid, ...]:
    """Return gids for whole numbers."""
    return tuple(map(Gid, numbers))


def holding(
    uids: int | tuple[int, int, int] = 0,
    gid_s: int | tuple[int, int, int] = 0,
    groups: Iterable[int] = (0,),
    *,
    permitted: CapabilitySet = NONE,
    effective: CapabilitySet | None = None,
    inheritable: CapabilitySet = NONE,
    ambient: CapabilitySet = NONE,
    bounding: CapabilitySet = EVERY,
    securebits: Securebits | int = 0,
    no_new_privs: bool = False,
    umask: int = 0o022,
    dumpable: int = 1,
) -> Credentials:
    """Return credentials of a Linux thread; one id stands for real, effective and saved."""
    real, effective_uid, saved = (uids,) * 3 if isinstance(uids, int) else uids
    real_gid, effective_gid, saved_gid = (gid_s,) * 3 if isinstance(gid_s, int) else gid_s
    return Credentials(
        uid=ResUid(Uid(real), Uid(effective_uid), Uid(saved)),
        gid=ResGid(Gid(real_gid), Gid(effective_gid), Gid(saved_gid)),
        groups=gids(*groups),
        filesystem_uid=Uid(effective_uid),
        filesystem_gid=Gid(effective_gid),
        capabilities=CapabilitySets(
            inheritable=inheritable,
            permitted=permitted,
            effective=permitted if effective is None else effective,
            bounding=bounding,
            ambient=ambient,
        ),
        securebits=Securebits(securebits),
        no_new_privs=no_new_privs,
        seccomp=0,
        umask=umask,
        dumpable=dumpable,
    )


def seen_on_posix(credentials: Credentials) -> Credentials:
    """Return what macOS or a BSD shows of *credentials*."""
    return credentials.replace(
        filesystem_uid=None,
        filesystem_gid=None,
        capabilities=None,
        securebits=None,
        no_new_privs=None,
        seccomp=None,
        umask=None,
        dumpable=None,
    )


#: Root as a login gives it, with groups that must not survive.
AS_ROOT = holding(0, 0, (0, 4, 27), permitted=EVERY)
#: An ordinary user, whose groups hold the gid.
AS_APP = holding(1000, 1000, (4, 1000))


def surrounding(
    credentials: Credentials = AS_ROOT,
    *,
    platform: Platform = LINUX,
    threads: int = 1,
    limits: Iterable[ResourceLimit] = (),
    nice: int = 0,
    environment: dict[str, str] | None = None,
    working_directory: str | None = "/",
    parent_death_signal: int = 0,
) -> Situation:
    """Return a situation in the initial user namespace."""
    return Situation(
        credentials=credentials,
        platform=platform,
        threads=threads,
        limits=tuple(limits),
        nice=nice,
        environment=tuple((environment or {}).items()),
        working_directory=working_directory,
        parent_death_signal=parent_death_signal,
    )


def planned(
    identity: Identity = NOBODY,
    policy: DropPolicy | None = None,
    situation: Situation | None = None,
) -> Plan:
    """Return the plan; without a policy, one that leaves the environment alone."""
    return plan_drop(
        identity,
        DropPolicy(environment="keep") if policy is None else policy,
        surrounding() if situation is None else situation,
    )


def kinds(plan: Plan) -> list[str]:
    """Return the kinds of a plan's steps, in order."""
    return [step.kind for step in plan.steps]


# Strategies. Few different ids, so that they coincide.

uids = st.sampled_from([0, 1000, 1001, 65534, 2**32 - 2]).map(Uid)
some_gids = st.sampled_from([0, 4, 1000, 1001, 65534, 2**32 - 2]).map(Gid)
group_lists = st.lists(some_gids, max_size=4).map(tuple)

_ALL_BITS = 2**64 - 1
capability_sets = st.builds(
    CapabilitySet,
    st.sampled_from([0, EVERY.mask, BIND.mask, SETPCAP.mask, BIND.mask | SETPCAP.mask])
    | st.integers(0, EVERY.mask)
    | st.integers(0, _ALL_BITS),
)


@st.composite
def thread_sets(draw: st.DrawFn) -> CapabilitySets:
    """Draw five sets that the kernel can bring about together."""
    permitted, inheritable = draw(capability_sets), draw(capability_sets)
    return CapabilitySets(
        inheritable=inheritable,
        permitted=permitted,
        effective=permitted & draw(capability_sets),
        bounding=draw(capability_sets),
        ambient=permitted & inheritable & draw(capability_sets),
    )


# Twelve bits have a meaning on Linux 6.14; four of them have no name in abdicate.
securebits = st.integers(0, 0xFFF).map(Securebits)


@st.composite
def linux_credentials(draw: st.DrawFn) -> Credentials:
    """Draw what a thread on Linux may hold: root as it logs in half of the time, or anything."""
    uid, gid = ResUid(draw(uids), draw(uids), draw(uids)), ResGid(*(draw(some_gids) for _ in "res"))
    if draw(st.booleans()):
        uid, gid = ResUid.all(uid.effective), ResGid.all(gid.effective)
    anything = holding(
        groups=draw(group_lists),
        no_new_privs=draw(st.booleans()),
        dumpable=draw(st.sampled_from([0, 1, 2])),
    ).replace(
        uid=uid,
        gid=gid,
        filesystem_uid=draw(st.just(uid.effective) | uids),
        filesystem_gid=draw(st.just(gid.effective) | some_gids),
        capabilities=draw(thread_sets()),
        securebits=draw(securebits),
        umask=draw(st.sampled_from([0, 0o022, 0o777]) | st.none()),
    )
    if draw(st.booleans()):
        return anything
    # Root, and one slot of it as it may happen to be.
    slot = draw(st.sampled_from([name for name in Credentials.__fields__ if name != "seccomp"]))
    return AS_ROOT.replace(**{slot: getattr(anything, slot)})


@st.composite
def posix_credentials(draw: st.DrawFn) -> Credentials:
    """Draw what can be read of a process on macOS or a BSD."""
    return seen_on_posix(draw(linux_credentials()))


@st.composite
def identities(draw: st.DrawFn) -> Identity:
    """Draw somebody to become; the gid is among the groups, as `resolve` has it."""
    gid = draw(some_gids)
    user = draw(st.sampled_from([None, "nobody", "app"]))
    return Identity(user, draw(uids), gid, tuple(sorted({gid, *draw(group_lists)})), "/srv")


_limits = st.sampled_from(
    [ResourceLimit("nofile", 64, 128), ResourceLimit("core", 0, None), ResourceLimit("cpu", 1, 1)]
)


@st.composite
def policies(draw: st.DrawFn) -> DropPolicy:
    """Draw a policy. Root is allowed; the refusals have tests of their own."""
    # Mostly what root has; and now and then what nobody has.
    wishes = st.sampled_from([None, None, NONE, BIND, BIND | SETPCAP, EVERY - SETPCAP])
    kept = draw(wishes | capability_sets)
    limits = draw(st.lists(_limits, unique=True, max_size=2))
    return DropPolicy(
        umask=draw(st.sampled_from([None, 0, 0o022, 0o077])),
        no_new_privs=draw(st.booleans()),
        capabilities=kept,
        ambient=bool(kept) and draw(st.booleans()),
        bounding=draw(wishes | capability_sets),
        lock_securebits=draw(st.booleans()),
        limits=tuple(limits),
        nice=draw(st.sampled_from([None, -5, 0, 10])),
        chroot=draw(st.sampled_from([None, None, "/srv"])),
        working_directory=draw(st.sampled_from([None, "/", "/srv"])),
        environment=draw(st.sampled_from(["account", "keep", "reset"])),
        dumpable=draw(st.sampled_from([None, True, False])),
        parent_death_signal=draw(st.sampled_from([None, 0, 9, 15])),
        session_keyring=draw(st.booleans()),
        allow_root=True,
        allow_root_group=True,
    )


@st.composite
def linux_situations(draw: st.DrawFn) -> Situation:
    """Draw a process on Linux, and what surrounds it."""
    variables = st.sampled_from(["HOME", "USER", "LOGNAME", "SHELL"])
    values = st.sampled_from(["/srv", "nobody", "root", "/bin/sh"])
    return surrounding(
        draw(linux_credentials()),
        limits=(ResourceLimit("nofile", 64, draw(st.sampled_from([64, 128]))),),
        nice=draw(st.sampled_from([0, 10])),
        environment=draw(st.dictionaries(variables, values)),
        working_directory=draw(st.sampled_from(["/", "/srv", None])),
        parent_death_signal=draw(st.sampled_from([0, 9, 15])),
    )


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Draw a plan of the planner's, for Linux or for a platform without capabilities."""
    situation = draw(linux_situations())
    if draw(st.booleans()):
        situation = situation.replace(credentials=draw(posix_credentials()), platform=MACOS)
    return plan_drop(draw(identities()), draw(policies()), situation)
