"""Drops, as data: who to become, and how."""

from __future__ import annotations

from abdicate.identity.capabilities import Capability, CapabilitySet
from abdicate.identity.ids import Gid, Uid
from abdicate.identity.resolve import Identity
from abdicate.identity.situation import ResourceLimit
from abdicate.plan.policy import DropPolicy


def identity(uid: int, gid: int, *groups: int, user: str | None = None) -> Identity:
    """An identity with these numbers, the gid among its groups."""
    every = tuple(sorted({Gid(group) for group in (gid, *groups)}))
    return Identity(user, Uid(uid), Gid(gid), every, home=f"/home/{user}" if user else "/")


IDENTITIES = {
    "a user with an entry": identity(65534, 65534, user="nobody"),
    "a user without an entry": identity(1234, 1235),
    "a user with groups": identity(1000, 1000, 4, 27, 2000, user="app"),
    "a user of a group that is held already": identity(1000, 27),
    "a user with root's group": identity(1000, 0),
    "another group, the same user": identity(0, 1000),
    "root": identity(0, 0),
    "the greatest ids": identity(2**32 - 2, 2**32 - 2),
}

BIND = CapabilitySet.of(Capability.NET_BIND_SERVICE)
SETUID = CapabilitySet.of(Capability.SETUID, Capability.SETGID, Capability.KILL)

POLICIES = {
    "plain": DropPolicy(),
    "no new privileges": DropPolicy(no_new_privs=True),
    "one capability kept": DropPolicy(capabilities=BIND),
    "one capability kept over an exec": DropPolicy(capabilities=BIND, ambient=True),
    "the power over ids kept": DropPolicy(capabilities=SETUID),
    "no capability kept": DropPolicy(capabilities=CapabilitySet.EMPTY),
    "an empty bounding set": DropPolicy(bounding=CapabilitySet.EMPTY),
    "a bounding set of what is kept": DropPolicy(capabilities=BIND, ambient=True, bounding=BIND),
    "locked securebits": DropPolicy(lock_securebits=True),
    "locked securebits, and a capability": DropPolicy(
        lock_securebits=True, capabilities=BIND, ambient=True, bounding=BIND, no_new_privs=True
    ),
    "umask": DropPolicy(umask=0o077),
    "lower limits": DropPolicy(
        limits=(ResourceLimit("core", 0, 0), ResourceLimit("nofile", 100, 200))
    ),
    "a higher limit": DropPolicy(limits=(ResourceLimit("memlock", 2**40, 2**40),)),
    "nicer": DropPolicy(nice=5),
    "less nice": DropPolicy(nice=-5),
    "the root directory itself": DropPolicy(chroot="/", working_directory="/"),
    "a directory that is not there": DropPolicy(working_directory="/no/such/directory"),
    "a root directory that is not there": DropPolicy(chroot="/no/such/directory"),
    "the environment kept": DropPolicy(environment="keep"),
    "the environment reset": DropPolicy(environment="reset"),
    "dumpable": DropPolicy(dumpable=True),
    "not dumpable": DropPolicy(dumpable=False),
    "a parent-death signal": DropPolicy(parent_death_signal=9),
    "a new session keyring": DropPolicy(session_keyring=True),
    "all at once": DropPolicy(
        umask=0o027,
        no_new_privs=True,
        capabilities=BIND,
        ambient=True,
        bounding=BIND,
        lock_securebits=True,
        limits=(ResourceLimit("core", 0, 0),),
        nice=3,
        chroot="/",
        working_directory="/",
        environment="reset",
        dumpable=True,
        parent_death_signal=15,
        session_keyring=True,
    ),
}
