"""The Linux adapter: libc through `os`, prctl(2), capset(2) and keyctl(2) through ctypes, /proc."""

from __future__ import annotations

import errno
import os
import sys

from abdicate.identity import native
from abdicate.identity.credentials import Credentials, read_text, read_threads
from abdicate.identity.situation import Platform, Situation, UserNamespace
from abdicate.kernel.posix import PosixKernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from abdicate.identity.capabilities import CapabilitySet, Securebits

# linux/prctl.h; the numbers are the kernel's ABI.
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_KEEPCAPS = 8
_PR_CAPBSET_DROP = 24
_PR_SET_SECUREBITS = 28
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_PR_CAP_AMBIENT_CLEAR_ALL = 4

# linux/keyctl.h.
_KEYCTL_GET_KEYRING_ID = 0
_KEYCTL_JOIN_SESSION_KEYRING = 1
_KEY_SPEC_SESSION_KEYRING = -3

# keyctl(2) has no wrapper in libc, and its number is the architecture's: syscalls(2).
_KEYCTL_NUMBERS = {
    "x86_64": 250,
    "aarch64": 219,
    "riscv64": 219,
    "loongarch64": 219,
    "ppc64le": 271,
    "ppc64": 271,
    "s390x": 280,
    "i386": 288,
    "i686": 288,
    "armv6l": 311,
    "armv7l": 311,
}

_NAMESPACE_FILES = ("uid_map", "gid_map", "setgroups")

# linux/proc_ns.h, PROC_USER_INIT_INO: the inode of the machine's own user namespace.
_INITIAL_USER_NAMESPACE = 0xEFFFFFFD

if sys.platform == "linux":
    __all__ = ["LinuxKernel"]

    class LinuxKernel(PosixKernel):
        """Linux, with capabilities, securebits, no_new_privs, keyrings and threads one by one."""

        def __init__(self) -> None:
            self._tasks: int | None = None
            self._own: str | None = None
            self._prepared = False

        @property
        def platform(self) -> Platform:
            """What Linux has: all of it."""
            return Platform("linux", linux_credentials=True)

        def prepare(self) -> None:
            """Load ctypes and libc, and open ``/proc/self/task`` while it is in sight."""
            super().prepare()
            native.libc()
            self._prepared = True
            try:
                self._own = os.readlink("/proc/thread-self").rpartition("/")[2]
                self._tasks = os.open(
                    "/proc/self/task", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
                )
            except OSError:
                # No /proc. The calls still tell of this thread, and the report says so.
                self._own = self._tasks = None

        def finish(self) -> None:
            """Close what `prepare` opened."""
            tasks, self._tasks, self._prepared = self._tasks, None, False
            try:
                if tasks is not None:
                    os.close(tasks)
            except OSError:
                # Closed all the same, close(2). An error here would take the place of the one
                # that says that a drop is incomplete, and this one could be swallowed.
                return

        def situation(self, resources: Iterable[str] = ()) -> Situation:
            """Return what surrounds this process."""
            return super().situation(resources).replace(user_namespace=_user_namespace())

        def credentials(self) -> Credentials:
            """Return what the calling thread holds.

            Between `prepare` and `finish` through the descriptor that was opened first: after a
            chroot, a ``/proc`` in sight is whatever the new root's owner has put there.
            """
            if self._tasks is None or self._own is None:
                return Credentials.by_calls() if self._prepared else Credentials.current()
            held = read_threads(self._tasks, only=self._own)[int(self._own)]
            return held.replace(securebits=native.securebits(), dumpable=native.dumpable())

        def threads(self) -> dict[int, Credentials] | None:
            """Return what every thread holds; None where there is, or was, no ``/proc``."""
            if self._prepared and self._tasks is None:
                return None
            try:
                return read_threads("/proc/self/task" if self._tasks is None else self._tasks)
            except OSError:
                return None

        def _descriptors_max(self) -> int | None:
            try:
                return int(read_text("/proc/sys/fs/nr_open"))
            except OSError:
                return None

        def _thread_count(self) -> int:
            try:
                return len(os.listdir("/proc/self/task"))
            except OSError:
                return super()._thread_count()

        def parent_death_signal(self) -> int:
            """Return the signal that the parent's death will send, prctl(2) PR_GET_PDEATHSIG."""
            return native.parent_death_signal() or 0

        def session_keyring(self) -> int | None:
            """Return the serial number of the session keyring, keyctl(2)."""
            try:
                return _keyctl(_KEYCTL_GET_KEYRING_ID, _KEY_SPEC_SESSION_KEYRING, 0)
            except OSError:
                return None

        def set_dumpable(self, on: bool) -> None:
            """prctl(2) PR_SET_DUMPABLE."""
            _prctl(_PR_SET_DUMPABLE, int(on))

        def join_thread_session_keyring(self) -> None:
            """keyctl(2) KEYCTL_JOIN_SESSION_KEYRING, without a name: a new one."""
            _keyctl(_KEYCTL_JOIN_SESSION_KEYRING, 0, 0)

        def drop_thread_bounding(self, capability: int) -> None:
            """prctl(2) PR_CAPBSET_DROP."""
            _prctl(_PR_CAPBSET_DROP, capability)

        def set_thread_keep_capabilities(self, on: bool) -> None:
            """prctl(2) PR_SET_KEEPCAPS."""
            _prctl(_PR_SET_KEEPCAPS, int(on))

        def set_thread_capabilities(
            self, permitted: CapabilitySet, effective: CapabilitySet, inheritable: CapabilitySet
        ) -> None:
            """capset(2)."""
            import ctypes

            header = (ctypes.c_uint32 * 2)(native.CAPABILITY_VERSION_3, 0)
            masks = (effective.mask, permitted.mask, inheritable.mask)
            words = (ctypes.c_uint32 * 6)(
                *(mask & 0xFFFFFFFF for mask in masks), *(mask >> 32 for mask in masks)
            )
            if native.libc().capset(header, words):
                raise _last_error()

        def clear_thread_ambient(self) -> None:
            """prctl(2) PR_CAP_AMBIENT_CLEAR_ALL."""
            _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)

        def raise_thread_ambient(self, capability: int) -> None:
            """prctl(2) PR_CAP_AMBIENT_RAISE."""
            _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability)

        def set_thread_securebits(self, bits: Securebits) -> None:
            """prctl(2) PR_SET_SECUREBITS, which replaces the whole word."""
            _prctl(_PR_SET_SECUREBITS, int(bits))

        def set_thread_no_new_privs(self) -> None:
            """prctl(2) PR_SET_NO_NEW_PRIVS."""
            _prctl(_PR_SET_NO_NEW_PRIVS, 1)

        def set_thread_parent_death_signal(self, signal: int) -> None:
            """prctl(2) PR_SET_PDEATHSIG."""
            _prctl(_PR_SET_PDEATHSIG, signal)

    def _prctl(option: int, *arguments: int) -> None:
        padded = (*arguments, 0, 0, 0, 0)[:4]
        if native.libc().prctl(option, *padded):
            raise _last_error()

    def _keyctl(operation: int, *arguments: int) -> int:
        import ctypes

        number = _KEYCTL_NUMBERS.get(os.uname().machine)
        if number is None:
            raise OSError(
                errno.ENOSYS, f"keyctl's number on {os.uname().machine} is not known here"
            )
        longs = [ctypes.c_long(argument) for argument in (operation, *arguments)]
        serial: int = native.libc().syscall(ctypes.c_long(number), *longs)
        if serial < 0:
            raise _last_error()
        return serial

    def _last_error() -> OSError:
        import ctypes

        number = ctypes.get_errno()
        return OSError(number, os.strerror(number))

    def _user_namespace() -> UserNamespace | None:
        try:
            texts = [read_text(f"/proc/self/{name}") for name in _NAMESPACE_FILES]
        except OSError:
            return None
        return UserNamespace.parse(*texts).replace(nested=_is_nested())

    def _is_nested() -> bool:
        try:
            return os.stat("/proc/self/ns/user").st_ino != _INITIAL_USER_NAMESPACE
        except OSError:
            return True  # unknown: capabilities that count for the machine are not taken for it
