"""Start states: what surrounds the process of a `FakeKernel`, and what its threads hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from abdicate.identity.capabilities import CapabilitySet, CapabilitySets, Securebits
from abdicate.identity.credentials import Credentials, ResGid, ResUid
from abdicate.identity.ids import Gid, Uid
from abdicate.identity.situation import ResourceLimit
from abdicate.testing.thread import Machine

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Surroundings", "credentials", "usual_limits"]


class Surroundings(TypedDict, total=False):
    """What surrounds the process; each has a default.

    Attributes:
        threads: the credentials of further threads. None.
        machine: what the kernel is like. Linux 6.14 or later.
        limits: resource limits that differ from `usual_limits`. None.
        nice: the nice value of every thread. 0.
        parent_death_signal: the signal that is armed in the calling thread. 0, for none.
        environment: the environment variables. HOME and PATH.
        working_directory: one of the directories. ``/``.
        directories: directories that everyone may enter, besides ``/``, ``/tmp`` and ``/usr/bin``;
            those above them exist as well. None.
        private_directories: directories that root alone may enter. ``/root``.
        executables: files that everyone may execute. None.
        proc: whether ``/proc`` is mounted. True.
        process_id: the process id, and the thread id of the first thread. 4242.
        parent: the process id of the parent. 4241.
    """

    threads: Iterable[Credentials]
    machine: Machine
    limits: Iterable[ResourceLimit]
    nice: int
    parent_death_signal: int
    environment: Mapping[str, str]
    working_directory: str
    directories: Iterable[str]
    private_directories: Iterable[str]
    executables: Iterable[str]
    proc: bool
    process_id: int
    parent: int


_MEBIBYTE = 1 << 20

# What a service on a Linux machine of today usually starts with, getrlimit(2).
_USUAL_LIMITS: dict[str, tuple[int | None, int | None]] = {
    "as": (None, None),
    "core": (0, None),
    "cpu": (None, None),
    "data": (None, None),
    "fsize": (None, None),
    "memlock": (8 * _MEBIBYTE, 8 * _MEBIBYTE),
    "msgqueue": (819200, 819200),
    "nice": (0, 0),
    "nofile": (1024, 524288),
    "nproc": (4096, 4096),
    "rss": (None, None),
    "rtprio": (0, 0),
    "rttime": (None, None),
    "sigpending": (4096, 4096),
    "stack": (8 * _MEBIBYTE, None),
}


def usual_limits() -> dict[str, ResourceLimit]:
    """Return what a service usually starts with, by the resource's name."""
    return {name: ResourceLimit(name, *values) for name, values in _USUAL_LIMITS.items()}


def credentials(
    uid: int, gid: int, groups: Iterable[int], held: CapabilitySet, bounding: CapabilitySet
) -> Credentials:
    """Return credentials in which all uids, and all gids, are the same.

    Args:
        uid: the real, effective, saved and filesystem uid.
        gid: the same for the gid.
        groups: the supplementary groups.
        held: the permitted and effective set.
        bounding: the bounding set.
    """
    return Credentials(
        uid=ResUid.all(Uid(uid)),
        gid=ResGid.all(Gid(gid)),
        groups=tuple(map(Gid, groups)),
        filesystem_uid=Uid(uid),
        filesystem_gid=Gid(gid),
        capabilities=CapabilitySets(permitted=held, effective=held, bounding=bounding),
        securebits=Securebits(0),
        no_new_privs=False,
        seccomp=0,
        umask=0o022,
        dumpable=1,
    )
