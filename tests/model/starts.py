"""The states from which the model and the kernel set out together, made by real calls."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable

from abdicate.identity.capabilities import Capability, CapabilitySet, CapabilitySets, Securebits
from abdicate.identity.credentials import Credentials
from abdicate.identity.ids import Gid, Uid
from abdicate.kernel.linux import LinuxKernel

_CLONE_NEWUSER = 0x10000000  # linux/sched.h

SOME = CapabilitySet.of(
    Capability.CHOWN, Capability.KILL, Capability.SETGID, Capability.SETUID, Capability.NET_RAW
)
_NONE = CapabilitySet.EMPTY


def as_it_is() -> None:
    """Change nothing: full root, or an ordinary user."""


def _groups() -> None:
    LinuxKernel().set_groups([Gid(0), Gid(4), Gid(27)])


def _reduced_sets() -> None:
    LinuxKernel().set_thread_capabilities(SOME, SOME - CapabilitySet.of(Capability.SETUID), SOME)


def _permitted_alone() -> None:
    LinuxKernel().set_thread_capabilities(_held().permitted, _NONE, _NONE)


def _small_bounding() -> None:
    for capability in _held().bounding - SOME:
        LinuxKernel().drop_thread_bounding(capability)


def _ambient() -> None:
    kernel, held = LinuxKernel(), _held()
    kernel.set_thread_capabilities(held.permitted, held.effective, SOME)
    for capability in SOME:
        kernel.raise_thread_ambient(capability)


def _user_with_capabilities() -> None:
    kernel = LinuxKernel()
    kernel.set_thread_keep_capabilities(True)
    kernel.set_resuid(Uid(1000), Uid(1000), Uid(1000))
    kernel.set_thread_keep_capabilities(False)
    kernel.set_thread_capabilities(SOME, SOME, CapabilitySet.of(Capability.SETUID))


def _user_with_setpcap() -> None:
    kernel = LinuxKernel()
    kernel.set_thread_keep_capabilities(True)
    kernel.set_resuid(Uid(1000), Uid(1000), Uid(1000))
    both = CapabilitySet.of(Capability.SETPCAP, Capability.KILL)
    kernel.set_thread_capabilities(both, both, _NONE)


def _no_setuid_fixup() -> None:
    LinuxKernel().set_thread_securebits(Securebits.NO_SETUID_FIXUP)


def _locked_securebits() -> None:
    bits = Securebits.KEEP_CAPS_LOCKED | Securebits.NOROOT | Securebits.NOROOT_LOCKED
    LinuxKernel().set_thread_securebits(bits)


def _keep_capabilities() -> None:
    LinuxKernel().set_thread_keep_capabilities(True)


def _ids(real: int, effective: int, saved: int) -> Callable[[], None]:
    def establish() -> None:
        kernel = LinuxKernel()
        kernel.set_resgid(Gid(real), Gid(effective), Gid(saved))
        kernel.set_resuid(Uid(real), Uid(effective), Uid(saved))

    return establish


def _filesystem_ids_apart() -> None:
    libc = ctypes.CDLL(None)
    libc.setfsgid(1000)
    libc.setfsuid(1000)


def _two_threads() -> None:
    threading.Thread(target=threading.Event().wait, daemon=True).start()


def _ordinary_user() -> None:
    kernel = LinuxKernel()
    kernel.set_groups([Gid(1000), Gid(27)])
    kernel.set_resgid(Gid(1000), Gid(1000), Gid(1000))
    kernel.set_resuid(Uid(1000), Uid(1000), Uid(1000))


def own_namespace() -> None:
    """Make a user namespace as an ordinary user can: one id, and setgroups denied."""
    if os.geteuid() == 0:
        _ordinary_user()
    # Its files in /proc are root's after a change of ids.
    LinuxKernel().set_dumpable(True)
    uid, gid = os.geteuid(), os.getegid()
    unshare_user()
    write_proc("self/setgroups", "deny")
    write_proc("self/uid_map", f"0 {uid} 1")
    write_proc("self/gid_map", f"0 {gid} 1")


def _unmapped_namespace() -> None:
    _ordinary_user()
    unshare_user()


def _wide_namespace() -> None:
    """Make a user namespace as newuidmap(1) would: two ranges of ids, and setgroups allowed."""
    made, mapped = os.pipe(), os.pipe()
    process = os.getpid()
    if os.fork() == 0:
        # Only somebody outside of the namespace can map more than one id.
        os.read(made[0], 1)
        for name in ("uid_map", "gid_map"):
            write_proc(f"{process}/{name}", "0 100000 6\n1000 0 1\n1001 101001 2000\n")
        os.write(mapped[1], b"x")
        os._exit(0)
    unshare_user()
    os.write(made[1], b"x")
    os.read(mapped[0], 1)
    kernel = LinuxKernel()
    kernel.set_groups([Gid(0), Gid(5), Gid(1002)])
    kernel.set_resgid(Gid(0), Gid(0), Gid(0))
    kernel.set_resuid(Uid(0), Uid(0), Uid(0))


def unshare_user() -> None:
    """unshare(2) CLONE_NEWUSER."""
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWUSER)")


def write_proc(name: str, text: str) -> None:
    """Write *text* to a file of ``/proc``."""
    with open(f"/proc/{name}", "w") as file:
        file.write(text)


def _held() -> CapabilitySets:
    sets = Credentials.current().capabilities
    assert sets is not None
    return sets


#: What everyone can set out from, root or not.
EVERYONES = {"as it is": as_it_is, "in a user namespace of one id": own_namespace}

#: What only root can set out from.
ROOTS: dict[str, Callable[[], None]] = {
    "with groups": _groups,
    "with reduced sets": _reduced_sets,
    "with permitted capabilities alone": _permitted_alone,
    "with a small bounding set": _small_bounding,
    "with ambient capabilities": _ambient,
    "a user who holds capabilities": _user_with_capabilities,
    "a user who holds CAP_SETPCAP": _user_with_setpcap,
    "with NO_SETUID_FIXUP": _no_setuid_fixup,
    "with locked securebits": _locked_securebits,
    "with keep-capabilities": _keep_capabilities,
    "real 1000, effective 0, saved 2000": _ids(1000, 0, 2000),
    "real 0, effective 1000, saved 0": _ids(0, 1000, 0),
    "real 1000, effective 1000, saved 0": _ids(1000, 1000, 0),
    "real 1000, effective 2000, saved 1001": _ids(1000, 2000, 1001),
    "filesystem ids apart": _filesystem_ids_apart,
    "two threads": _two_threads,
    "an ordinary user": _ordinary_user,
    "in a user namespace without maps": _unmapped_namespace,
    "in a user namespace of many ids": _wide_namespace,
}

#: All of them.
STARTS = EVERYONES | ROOTS
