"""Random sequences of calls that change a process; the same ones for the same seed.

The values are few, so that they meet the ones that the process holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from abdicate.identity.capabilities import Capability, CapabilitySet, Securebits
from abdicate.identity.ids import Gid, Uid
from model.lockstep import Call

#: Root, three users, the one that stands for unmapped ids, and one more.
IDS = (0, 1000, 2000, 1001, 65534, 5)

#: Root cannot be got rid of as often in a sequence if it is drawn as often as the others.
_DRAWN_IDS = (0, 0, 0, *IDS)

#: What changes ids and sets, and some more.
CAPABILITIES = (
    Capability.SETUID,
    Capability.SETGID,
    Capability.SETPCAP,
    Capability.KILL,
    Capability.CHOWN,
    Capability.NET_RAW,
)
_ALL = CapabilitySet.of(*CAPABILITIES)
_NO_CAPABILITY_YET = CapabilitySet(1 << 63)

#: Flags and locks of every kernel, and two bits of Linux 6.14 that have no name in abdicate.
SECUREBITS = (*Securebits, Securebits(1 << 8), Securebits(1 << 9))
_NO_SECUREBIT_YET = Securebits(1 << 12)


def sequence(random: Random) -> list[Call]:
    """Return four to fourteen calls."""
    return [random.choice(_CALLS)(random) for _ in range(random.randint(4, 14))]


def shorter(calls: list[Call], diverge: Callable[[list[Call]], bool]) -> list[Call]:
    """Return *calls* without those that *diverge* does not need to be true."""
    for fewer in _without_one(calls):
        if diverge(fewer):
            return shorter(fewer, diverge)
    return calls


def _without_one(calls: list[Call]) -> Iterator[list[Call]]:
    return (calls[:n] + calls[n + 1 :] for n in range(len(calls)))


def _uid(random: Random) -> Uid:
    return Uid(random.choice(_DRAWN_IDS))


def _gid(random: Random) -> Gid:
    return Gid(random.choice(_DRAWN_IDS))


def _or_none(draw: Callable[[Random], Any]) -> Callable[[Random], Any]:
    return lambda random: None if random.random() < 0.3 else draw(random)


def _groups(random: Random) -> list[Gid]:
    return [_gid(random) for _ in range(random.randint(0, 4))]


def _set(random: Random) -> CapabilitySet:
    if random.random() < 0.5:
        return _ALL
    return CapabilitySet.of(*(each for each in CAPABILITIES if random.random() < 0.6))


def _capset(random: Random) -> Call:
    permitted, effective, inheritable = _set(random), _set(random), _set(random)
    if random.random() < 0.2:
        # What is never granted, and a bit that no kernel knows.
        sets = (permitted | _NO_CAPABILITY_YET, effective, inheritable | _NO_CAPABILITY_YET)
    else:
        sets = (permitted, effective & permitted, inheritable)
    return "set_thread_capabilities", sets


def _capability(random: Random) -> int:
    return random.choice((*CAPABILITIES, *CAPABILITIES, 40, 41, 63))


def _securebits(random: Random) -> Securebits:
    bits = Securebits(0)
    for _ in range(random.randint(0, 2)):
        bits |= random.choice(SECUREBITS)
    return bits | _NO_SECUREBIT_YET if random.random() < 0.05 else bits


def _boolean(random: Random) -> bool:
    return random.random() < 0.5


def _one_of(*values: int) -> Callable[[Random], int]:
    return lambda random: random.choice(values)


def _call(method: str, *arguments: Callable[[Random], Any]) -> Callable[[Random], Call]:
    return lambda random: (method, tuple(draw(random) for draw in arguments))


_IDENTITY = (
    _call("set_groups", _groups),
    _call("set_resgid", _or_none(_gid), _or_none(_gid), _or_none(_gid)),
    _call("set_regid", _or_none(_gid), _or_none(_gid)),
    _call("set_gid", _gid),
    _call("set_resuid", _or_none(_uid), _or_none(_uid), _or_none(_uid)),
    _call("set_reuid", _or_none(_uid), _or_none(_uid)),
    _call("set_uid", _uid),
)
_ATTRIBUTES = (
    _capset,
    _call("set_thread_keep_capabilities", _boolean),
    _call("set_thread_securebits", _securebits),
    _call("drop_thread_bounding", _capability),
    _call("raise_thread_ambient", _capability),
    _call("clear_thread_ambient"),
    _call("set_thread_no_new_privs"),
    _call("set_dumpable", _boolean),
    _call("set_thread_parent_death_signal", _one_of(0, 1, 9, 64, 65)),
    _call("set_thread_nice", _one_of(-21, -1, 0, 3, 19, 30)),
    _call("set_umask", _one_of(0, 0o022, 0o777, 0o1777)),
)

# What matters most, as often as all the rest.
_CALLS = (*_IDENTITY, *_IDENTITY, *_ATTRIBUTES, _capset, _ATTRIBUTES[2], _ATTRIBUTES[4])
