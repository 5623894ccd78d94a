"""Who a call is made by: what a forked child becomes before it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from drops import raw
from harness.seccomp import refuse

__all__ = [
    "ANYBODY",
    "NOBODY",
    "NO_FIXUP",
    "NO_SETGID",
    "NO_SETUID_CALL",
    "ORDINARY",
    "ROOT",
    "Start",
    "root_with",
]

_NOBODY = 65534
_LOGIN_GROUPS = (0, 4, 27)


@dataclass(frozen=True)
class Start:
    """A state to begin with, and what the machine must have for it."""

    name: str
    become: Callable[[], object]
    needs: tuple[str, ...] = ()


def _stay() -> None:
    """Stay who runs the tests."""


def _be_root() -> None:
    os.setgroups(_LOGIN_GROUPS)


def _be_nobody() -> None:
    os.setgroups([_NOBODY])
    os.setresgid(_NOBODY, _NOBODY, _NOBODY)
    os.setresuid(_NOBODY, _NOBODY, _NOBODY)


def _be_ordinary() -> None:
    if os.geteuid() == 0:
        _be_nobody()


def root_with(*, ruid: int = 0, euid: int = 0, gid: int = 0) -> Start:
    """Root, with some of its ids another's; the saved uid is 0."""

    def become() -> None:
        os.setgroups([gid])
        os.setresgid(gid, gid, gid)
        os.setresuid(ruid, euid, 0)

    return Start(f"uid {ruid}/{euid}/0 and gid {gid}", become, ("root",))


def _lose_setgid() -> None:
    _be_root()
    permitted, _, _ = raw.capget()
    permitted &= ~raw.mask(["CAP_SETGID"])
    raw.capset(permitted, permitted)


def _lose_fixup() -> None:
    _be_root()
    raw.set_securebits(raw.Securebit.NO_SETUID_FIXUP)


# syscalls(2): setuid and setresuid.
_SETUID_CALLS = {"x86_64": (105, 117), "aarch64": (146, 147), "riscv64": (146, 147)}


def _lose_setuid_calls() -> None:
    _be_root()
    for call in _SETUID_CALLS[os.uname().machine]:
        refuse(call)


ANYBODY = Start("anybody", _stay)
ORDINARY = Start("an ordinary user", _be_ordinary)
#: As a login shell on Debian leaves it.
ROOT = Start("root", _be_root, ("root",))
NOBODY = Start("nobody", _be_nobody, ("root",))
#: As a container runtime may leave it.
NO_SETGID = Start("root without CAP_SETGID", _lose_setgid, ("root",))
#: Its capabilities survive a change of the uid: capabilities(7), SECBIT_NO_SETUID_FIXUP.
NO_FIXUP = Start("root without fix-up", _lose_fixup, ("root", "CAP_SETPCAP"))
#: A seccomp filter refuses the last step of a drop.
NO_SETUID_CALL = Start("root whose setuid is refused", _lose_setuid_calls, ("root",))
