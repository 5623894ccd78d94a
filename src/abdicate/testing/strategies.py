"""Hypothesis strategies: ids, names, capabilities, credentials, accounts, drops, profiles.

They need Hypothesis, which abdicate does not install. Values at the edges of their ranges are
drawn often, and few ids, so that the ids of one example meet.

    >>> from hypothesis import given
    >>> from abdicate.testing import strategies
    >>> @given(strategies.drops())
    ... def test_every_drop_is_shown(drop): ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from abdicate.identity.accounts import Account, Group, StaticAccounts
from abdicate.identity.capabilities import Capability, CapabilitySet, CapabilitySets, Securebits
from abdicate.identity.credentials import Credentials, ResGid, ResUid
from abdicate.identity.ids import Gid, GroupName, Uid, UserName

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from abdicate.specs.drop import PrivilegeDrop
    from abdicate.specs.profile import Profile

__all__ = [
    "accounts",
    "capability_sets",
    "credentials",
    "drops",
    "gids",
    "group_names",
    "profiles",
    "securebits",
    "uids",
    "user_names",
]

_HIGHEST = 2**32 - 2  # -1 stands for "no id" in the kernel's calls, setresuid(2)
_MET_OFTEN = (0, 1000, 1001, 65534, _HIGHEST)
_EVERY = CapabilitySet.of(*Capability)
_ALL_BITS = 2**64 - 1
_SECUREBITS_KNOWN = 0xFFF  # Linux 6.14


def _ids(*, root: bool) -> SearchStrategy[int]:
    lowest = 0 if root else 1
    return st.sampled_from([number for number in _MET_OFTEN if number >= lowest]) | st.integers(
        lowest, _HIGHEST
    )


def uids(*, root: bool = True) -> SearchStrategy[Uid]:
    """Uids, from 0 to 2³²-2; without 0 where *root* is False."""
    return _ids(root=root).map(Uid)


def gids(*, root: bool = True) -> SearchStrategy[Gid]:
    """Gids, from 0 to 2³²-2; without 0 where *root* is False."""
    return _ids(root=root).map(Gid)


# useradd(8); 32 characters is where shadow-utils itself stops.
_NAMES = st.from_regex(r"[a-z_][a-z0-9_-]{0,30}\$?", fullmatch=True)


def user_names() -> SearchStrategy[UserName]:
    """Names that a user may have, useradd(8)."""
    return _NAMES.map(UserName)


def group_names() -> SearchStrategy[GroupName]:
    """Names that a group may have, groupadd(8)."""
    return _NAMES.map(GroupName)


def capability_sets(*, named: bool = False) -> SearchStrategy[CapabilitySet]:
    """Sets of capabilities: none, all, few, or any of the 64 bits.

    Args:
        named: only of capabilities that have a name here, which is what specs can ask for.
    """
    few = st.sets(st.sampled_from(list(Capability)), max_size=4).map(
        lambda chosen: CapabilitySet.of(*chosen)
    )
    usual = st.sampled_from([CapabilitySet.EMPTY, _EVERY]) | few
    return usual if named else usual | st.integers(0, _ALL_BITS).map(CapabilitySet)


def securebits() -> SearchStrategy[Securebits]:
    """Any of the securebits that Linux knows, with the four that have no name in abdicate."""
    return st.integers(0, _SECUREBITS_KNOWN).map(Securebits)


def credentials() -> SearchStrategy[Credentials]:
    """What a thread on Linux may hold; half of the time with one uid and one gid in every slot.

    Effective capabilities are among the permitted ones, and ambient ones among the permitted and
    inheritable ones, as the kernel has it, capabilities(7).
    """
    return _credentials()


@st.composite
def _credentials(draw: st.DrawFn) -> Credentials:
    uid = draw(uids().map(ResUid.all) | st.builds(ResUid, uids(), uids(), uids()))
    gid = draw(gids().map(ResGid.all) | st.builds(ResGid, gids(), gids(), gids()))
    permitted, inheritable = draw(capability_sets()), draw(capability_sets())
    return Credentials(
        uid=uid,
        gid=gid,
        groups=tuple(sorted(draw(st.sets(gids(), max_size=4)))),
        filesystem_uid=draw(st.just(uid.effective) | uids()),
        filesystem_gid=draw(st.just(gid.effective) | gids()),
        capabilities=CapabilitySets(
            inheritable=inheritable,
            permitted=permitted,
            effective=permitted & draw(st.just(permitted) | capability_sets()),
            bounding=draw(st.just(_EVERY) | capability_sets()),
            ambient=permitted & inheritable & draw(capability_sets()),
        ),
        securebits=draw(st.just(Securebits(0)) | securebits()),
        no_new_privs=draw(st.booleans()),
        seccomp=0,
        umask=draw(st.integers(0, 0o777)),
        dumpable=draw(st.integers(0, 2)),
    )


def accounts() -> SearchStrategy[StaticAccounts]:
    """An account database: root, nobody, up to four other users, and groups with members.

    Two users may share a uid, and a user's login group may have no entry, as on real systems.
    """
    return _accounts()


@st.composite
def _accounts(draw: st.DrawFn) -> StaticAccounts:
    users = [
        Account("root", Uid(0), Gid(0), "/root", "/bin/sh"),
        Account("nobody", Uid(65534), Gid(65534), "/nonexistent", "/usr/sbin/nologin"),
    ]
    groups = [Group("root", Gid(0)), Group("nogroup", Gid(65534))]
    taken = {"root", "nobody"}
    for name in sorted(set(draw(st.lists(user_names(), max_size=4))) - taken):
        users.append(Account(name, draw(uids(root=False)), draw(gids(root=False)), f"/srv/{name}"))
    members = st.lists(st.sampled_from([user.name for user in users]), max_size=3, unique=True)
    for group in sorted(set(draw(st.lists(group_names(), max_size=4))) - {"root", "nogroup"}):
        groups.append(Group(group, draw(gids(root=False)), tuple(draw(members))))
    return StaticAccounts(users=users, groups=groups)


_LIMITED = ("nofile", "core", "nproc", "memlock", "stack", "fsize")
_FOLDERS = ("/", "/srv", "/srv/a folder", "/srv/100%")


@st.composite
def _limits(draw: st.DrawFn) -> dict[str, str]:
    limits: dict[str, str] = {}
    for resource in draw(st.lists(st.sampled_from(_LIMITED), unique=True, max_size=2)):
        soft = draw(st.integers(0, 2**20))
        hard = draw(st.none() | st.integers(soft, 2**21))
        limits[resource] = f"{soft}:{'unlimited' if hard is None else hard}"
    return limits


def drops(database: StaticAccounts | None = None) -> SearchStrategy[PrivilegeDrop]:
    """A valid `PrivilegeDrop` that asks neither for uid 0 nor for gid 0 by its number.

    Named users are those of *database*. Where it is None, any valid name is drawn, and nobody says
    that there is such a user.
    """
    return _drops(database)


@st.composite
def _drops(draw: st.DrawFn, database: StaticAccounts | None) -> PrivilegeDrop:
    from abdicate.specs.drop import PrivilegeDrop

    user: SearchStrategy[object] = uids(root=False)
    group: SearchStrategy[object] = gids(root=False)
    if database is None:
        user, group = user | user_names().filter(lambda n: n != "root"), group | group_names()
    elif known := [one.name for one in database.users if one.uid and one.gid]:
        user |= st.sampled_from(known)
    kept = draw(st.none() | capability_sets(named=True))
    fields: dict[str, object] = {
        "user": draw(user),
        # A number without an entry has no login group to fall back on.
        "group": draw(group),
        "groups": draw(
            st.sampled_from([None, "only", "keep"])
            | st.lists(gids(root=False), max_size=3).map(lambda listed: {"exactly": listed})
        ),
        "umask": draw(st.none() | st.integers(0, 0o777)),
        "no_new_privs": draw(st.booleans()),
        "capabilities": None if kept is None else _named(kept),
        "ambient": bool(kept) and draw(st.booleans()),
        "lock_securebits": draw(st.booleans()),
        "limits": draw(_limits()),
        "nice": draw(st.none() | st.integers(-20, 19)),
        "working_directory": draw(st.none() | st.sampled_from(_FOLDERS)),
        "environment": draw(st.sampled_from(["account", "keep", "reset"])),
        "dumpable": draw(st.none() | st.booleans()),
        "session_keyring": draw(st.booleans()),
    }
    if draw(st.booleans()):
        wider = draw(capability_sets(named=True))
        fields["bounding"] = _named(wider if kept is None else wider | kept)
    return PrivilegeDrop.model_validate(fields)


def _named(kept: CapabilitySet) -> list[str]:
    return [str(Capability(number)) for number in kept]


# What a file, a command line and a unit can all hold.
_WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0\n\r"), max_size=12)


def profiles(database: StaticAccounts | None = None) -> SearchStrategy[Profile]:
    """A valid `Profile` of a service: a drop, a command; *database* as in `drops`."""
    return _profiles(database)


@st.composite
def _profiles(draw: st.DrawFn, database: StaticAccounts | None) -> Profile:
    from abdicate.specs.profile import Profile

    return Profile.model_validate(
        {
            "name": draw(_NAMES),
            "description": draw(st.none() | _WORDS),
            "drop": draw(drops(database)),
            "exec": ["/bin/echo", *draw(st.lists(_WORDS, max_size=4))],
        }
    )
