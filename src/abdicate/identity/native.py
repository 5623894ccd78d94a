"""What only a system call tells about the calling thread. Reads; changes nothing.

Every function returns None where this platform, or this kernel, has no such notion.
The changing calls are in `abdicate.kernel`.
"""

from __future__ import annotations

import sys

from abdicate.identity.capabilities import CapabilitySet, CapabilitySets, Securebits
from abdicate.identity.ids import Gid, Uid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ctypes import CDLL

__all__ = [
    "capabilities",
    "dumpable",
    "filesystem_gid",
    "filesystem_uid",
    "keeps_capabilities",
    "libc",
    "no_new_privs",
    "parent_death_signal",
    "securebits",
]

# linux/prctl.h; the numbers are the kernel's ABI.
_PR_GET_PDEATHSIG = 2
_PR_GET_DUMPABLE = 3
_PR_GET_KEEPCAPS = 7
_PR_CAPBSET_READ = 23
_PR_GET_SECUREBITS = 27
_PR_GET_NO_NEW_PRIVS = 39
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_IS_SET = 1

# linux/capability.h: the version whose sets have 64 bits, as two words of 32.
CAPABILITY_VERSION_3 = 0x20080522

_NO_CHANGE = 2**32 - 1

_libc: CDLL | None = None


def preload() -> None:
    """Load what the calls here need, so that forked processes need not each do it.

    Raises:
        ImportError: this Python has no ctypes, or its files are out of reach.
        OSError: the C library can't be opened, or no descriptor is free for it.
    """
    if sys.platform == "linux":
        libc()


def libc() -> CDLL:
    """Return the C library of this process, loaded once, with errno kept for ctypes."""
    global _libc
    if _libc is None:
        import ctypes

        _libc = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "linux":
            # prctl(2) is variadic and the kernel takes unsigned longs: an int would leave the
            # upper half of a register undefined.
            _libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
            _libc.prctl.restype = ctypes.c_int
    return _libc


def _ask(option: int, *arguments: int) -> int | None:
    if sys.platform != "linux":
        return None
    padded = (*arguments, 0, 0, 0, 0)[:4]
    answer: int = libc().prctl(option, *padded)
    return None if answer < 0 else answer


def securebits() -> Securebits | None:
    """Return the securebits of the calling thread, prctl(2) PR_GET_SECUREBITS."""
    answer = _ask(_PR_GET_SECUREBITS)
    return None if answer is None else Securebits(answer)


def keeps_capabilities() -> bool | None:
    """Tell whether "keep capabilities" is on, prctl(2) PR_GET_KEEPCAPS."""
    answer = _ask(_PR_GET_KEEPCAPS)
    return None if answer is None else bool(answer)


def dumpable() -> int | None:
    """Return 0, 1 or 2, prctl(2) PR_GET_DUMPABLE."""
    return _ask(_PR_GET_DUMPABLE)


def no_new_privs() -> bool | None:
    """Tell whether no_new_privs is on for the calling thread, prctl(2) PR_GET_NO_NEW_PRIVS."""
    answer = _ask(_PR_GET_NO_NEW_PRIVS)
    return None if answer is None else bool(answer)


def parent_death_signal() -> int | None:
    """Return the signal that the death of the parent will send, 0 for none."""
    if sys.platform != "linux":
        return None
    import ctypes

    number = ctypes.c_int()
    failed = libc().prctl(_PR_GET_PDEATHSIG, ctypes.addressof(number), 0, 0, 0)
    return None if failed else number.value


def capabilities() -> CapabilitySets | None:
    """Return the five sets of the calling thread, by capget(2) and prctl(2), without ``/proc``."""
    if sys.platform != "linux":
        return None
    import ctypes

    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    words = (ctypes.c_uint32 * 6)()
    if libc().capget(header, words):
        return None
    effective, permitted, inheritable = (words[n] | words[n + 3] << 32 for n in range(3))
    return CapabilitySets(
        inheritable=CapabilitySet(inheritable),
        permitted=CapabilitySet(permitted),
        effective=CapabilitySet(effective),
        bounding=_members(_PR_CAPBSET_READ),
        ambient=_members(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_IS_SET),
    )


def _members(option: int, *before: int) -> CapabilitySet:
    # The kernel answers EINVAL for a capability that it does not know, which ends the set.
    mask = 0
    for number in range(64):
        answer = _ask(option, *before, number)
        if answer is None:
            break
        mask |= answer << number
    return CapabilitySet(mask)


def filesystem_uid() -> Uid | None:
    """Return the filesystem uid: setfsuid(2) with an invalid id changes nothing and answers it."""
    if sys.platform != "linux":
        return None
    return Uid(libc().setfsuid(_NO_CHANGE) % 2**32)


def filesystem_gid() -> Gid | None:
    """Return the filesystem gid: setfsgid(2) with an invalid id changes nothing and answers it."""
    if sys.platform != "linux":
        return None
    return Gid(libc().setfsgid(_NO_CHANGE) % 2**32)
