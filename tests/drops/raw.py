"""What the tests do to a process behind abdicate's back: raw calls, through ctypes.

Nothing here comes from abdicate, so that a mistake there can't hide itself. All of it is for
forked children: it changes the process that calls it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Iterable, Iterator

__all__ = [
    "CAPABILITIES",
    "Securebit",
    "armed_signal",
    "become",
    "bind",
    "bounding",
    "capget",
    "capset",
    "clear_ambient",
    "dumpable",
    "enter_user_namespace",
    "hide_proc",
    "is_ambient",
    "is_bounding",
    "lower_bounding",
    "mask",
    "names",
    "no_new_privs",
    "private_mounts",
    "raise_ambient",
    "securebits",
    "session_keyring",
    "set_keep_capabilities",
    "set_no_new_privs",
    "set_parent_death_signal",
    "set_securebits",
    "set_thread_gids",
    "set_thread_groups",
    "set_thread_uids",
    "unshare_directories",
]

#: capabilities(7), in the order of linux/capability.h: a name's place is its number.
CAPABILITIES = tuple(
    f"CAP_{name}"
    for name in (
        # One to a line would be longer than it is clear.
        *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID"),
        *("SETUID", "SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST"),
        *("NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO"),
        *("SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE"),
        *("SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE"),
        *("AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM"),
        *("BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE"),
    )
)


def mask(given: Iterable[str]) -> int:
    """Return the kernel's mask of these capability names; ``CAP_41`` is number 41."""
    numbers = (
        CAPABILITIES.index(name) if name in CAPABILITIES else int(name.removeprefix("CAP_"))
        for name in given
    )
    return sum(1 << number for number in numbers)


def names(of: int) -> list[str]:
    """Return the capability names of a mask, ascending."""
    return [name for number, name in enumerate(CAPABILITIES) if of >> number & 1]


class Securebit:
    """linux/securebits.h."""

    NOROOT = 1 << 0
    NO_SETUID_FIXUP = 1 << 2
    KEEP_CAPS = 1 << 4
    KEEP_CAPS_LOCKED = 1 << 5
    NO_CAP_AMBIENT_RAISE = 1 << 6


# linux/prctl.h, linux/capability.h, linux/sched.h, linux/mount.h, linux/keyctl.h.
_SET_PDEATHSIG, _GET_PDEATHSIG = 1, 2
_GET_DUMPABLE = 3
_SET_KEEPCAPS = 8
_CAPBSET_READ, _CAPBSET_DROP = 23, 24
_GET_SECUREBITS, _SET_SECUREBITS = 27, 28
_SET_NO_NEW_PRIVS, _GET_NO_NEW_PRIVS = 38, 39
_CAP_AMBIENT, _IS_SET, _RAISE, _CLEAR_ALL = 47, 1, 2, 4
_VERSION_3 = 0x20080522
_FS, _NEWNS, _NEWUSER = 0x00000200, 0x00020000, 0x10000000
_BIND, _REC, _PRIVATE, _DETACH = 1 << 12, 1 << 14, 1 << 18, 2
_SESSION_KEYRING = -3

# syscalls(2): the numbers of calls that libc would make on every thread, or does not have.
_NUMBERS = {
    "x86_64": {"setresuid": 117, "setresgid": 119, "setgroups": 116, "keyctl": 250},
    "aarch64": {"setresuid": 147, "setresgid": 149, "setgroups": 159, "keyctl": 219},
    "riscv64": {"setresuid": 147, "setresgid": 149, "setgroups": 159, "keyctl": 219},
}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4


def _checked(answer: int) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer


def _prctl(option: int, *arguments: int) -> int:
    return _checked(_libc.prctl(option, *(*arguments, 0, 0, 0, 0)[:4]))


def _syscall(name: str, *arguments: object) -> int:
    number = _NUMBERS[os.uname().machine][name]
    given = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return int(_checked(_libc.syscall(ctypes.c_long(number), *given)))


# Reading.


def capget() -> tuple[int, int, int]:
    """Return the permitted, effective and inheritable masks of the calling thread."""
    header, words = (ctypes.c_uint32 * 2)(_VERSION_3, 0), (ctypes.c_uint32 * 6)()
    _checked(_libc.capget(header, words))
    effective, permitted, inheritable = (words[n] | words[n + 3] << 32 for n in range(3))
    return permitted, effective, inheritable


def is_ambient(capability: str) -> bool:
    """Tell whether the calling thread has *capability* in its ambient set."""
    return bool(_libc.prctl(_CAP_AMBIENT, _IS_SET, CAPABILITIES.index(capability), 0, 0) == 1)


def is_bounding(capability: str) -> bool:
    """Tell whether the calling thread has *capability* in its bounding set."""
    return bool(_libc.prctl(_CAPBSET_READ, CAPABILITIES.index(capability), 0, 0, 0) == 1)


def bounding() -> int:
    """Return the bounding mask of the calling thread."""
    return mask(name for name in CAPABILITIES if is_bounding(name))


def securebits() -> int:
    """Return the securebits of the calling thread."""
    return _prctl(_GET_SECUREBITS)


def dumpable() -> int:
    """Return 0, 1 or 2."""
    return _prctl(_GET_DUMPABLE)


def no_new_privs() -> int:
    """Return 0 or 1."""
    return _prctl(_GET_NO_NEW_PRIVS)


def armed_signal() -> int:
    """Return the parent-death signal of the calling thread; 0 for none."""
    number = ctypes.c_int()
    _prctl(_GET_PDEATHSIG, ctypes.addressof(number))
    return number.value


def session_keyring() -> int:
    """Return the serial number of the session keyring."""
    return _syscall("keyctl", 0, _SESSION_KEYRING, 0)


# Changing the calling thread alone.


def capset(permitted: int, effective: int, inheritable: int = 0) -> None:
    """Set three capability sets of the calling thread."""
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    masks = (effective, permitted, inheritable)
    words = (*(m & 0xFFFFFFFF for m in masks), *(m >> 32 for m in masks))
    _checked(_libc.capset(header, (ctypes.c_uint32 * 6)(*words)))


def raise_ambient(capability: str) -> None:
    """Add *capability* to the ambient set; it must be permitted and inheritable."""
    _prctl(_CAP_AMBIENT, _RAISE, CAPABILITIES.index(capability))


def clear_ambient() -> None:
    """Empty the ambient set."""
    _prctl(_CAP_AMBIENT, _CLEAR_ALL)


def lower_bounding(capability: str) -> None:
    """Take *capability* from the bounding set."""
    _prctl(_CAPBSET_DROP, CAPABILITIES.index(capability))


def set_securebits(bits: int) -> None:
    """Replace the whole word."""
    _prctl(_SET_SECUREBITS, bits)


def set_keep_capabilities(on: bool) -> None:
    """Switch "keep capabilities"."""
    _prctl(_SET_KEEPCAPS, int(on))


def set_no_new_privs() -> None:
    """Let no exec of this thread give privileges any more."""
    _prctl(_SET_NO_NEW_PRIVS, 1)


def unshare_directories() -> None:
    """Have a root directory, a working directory and a umask of this thread's own."""
    _checked(_libc.unshare(_FS))


def set_parent_death_signal(number: int) -> None:
    """Arm the parent-death signal."""
    _prctl(_SET_PDEATHSIG, number)


def set_thread_uids(real: int, effective: int, saved: int) -> None:
    """setresuid(2) as the kernel has it: for this thread alone."""
    _syscall("setresuid", real, effective, saved)


def set_thread_gids(real: int, effective: int, saved: int) -> None:
    """setresgid(2) as the kernel has it: for this thread alone."""
    _syscall("setresgid", real, effective, saved)


def set_thread_groups(*groups: int) -> None:
    """setgroups(2) as the kernel has it: for this thread alone."""
    _syscall("setgroups", len(groups), (ctypes.c_uint32 * len(groups))(*groups))


# Changing the process.


def become(uid: int, gid: int, *groups: int) -> None:
    """Be somebody else, as os has it."""
    os.setgroups(groups)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


# Namespaces.


def private_mounts() -> None:
    """Move to a mount namespace of one's own: what is mounted from here on, nobody else sees."""
    _checked(_libc.unshare(_NEWNS))
    _checked(_libc.mount(None, b"/", None, _REC | _PRIVATE, None))


def bind(source: str, target: str) -> None:
    """Let *source* stand at *target*; after `private_mounts`."""
    _checked(_libc.mount(os.fsencode(source), os.fsencode(target), None, _BIND, None))


def hide_proc() -> None:
    """Take /proc away from this process, and leave the empty directory."""
    private_mounts()
    _checked(_libc.umount2(b"/proc", _DETACH))


def enter_user_namespace(
    uids: str = "0 100000 65536", gids: str = "0 100000 65536", *, setgroups: str = "allow"
) -> None:
    """Move to a new user namespace, whose maps a helper outside writes; "" writes none."""
    outside, pid = _helper(), os.getpid()
    _checked(_libc.unshare(_NEWUSER))
    # The helper stayed in the parent namespace, with the privileges that are needed there.
    outside.send((("setgroups", setgroups), ("gid_map", gids), ("uid_map", uids)), pid)


class _Helper:
    def __init__(self, pid: int, orders: int) -> None:
        self._pid, self._orders = pid, orders

    def send(self, files: tuple[tuple[str, str], ...], pid: int) -> None:
        lines = (f"/proc/{pid}/{name}\0{text}" for name, text in files if text)
        os.write(self._orders, "\1".join(lines).encode())
        os.close(self._orders)
        _, status = os.waitpid(self._pid, 0)
        if status:
            raise OSError(f"the maps could not be written: status {status}")


def _helper() -> _Helper:
    orders, ordering = os.pipe()
    pid = os.fork()
    if pid:
        os.close(orders)
        return _Helper(pid, ordering)
    status = 1
    try:
        os.close(ordering)
        signal.alarm(60)
        for path, text in _files(os.fdopen(orders).read()):
            with open(path, "w") as file:
                file.write(text)
        status = 0
    except OSError as error:
        print(error, file=sys.stderr)
    finally:
        os._exit(status)


def _files(orders: str) -> Iterator[tuple[str, str]]:
    for order in filter(None, orders.split("\1")):
        path, _, text = order.partition("\0")
        yield path, text
