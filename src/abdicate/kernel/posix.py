"""The POSIX adapter: what macOS and the BSDs have, and the part that Linux shares with them.

What can't be verified there is named in `Platform.unverifiable` and reported so, never as "ok":

* macOS has no setresuid and no getresuid. setuid(2) as root sets all three ids, and the saved
  ids can be probed by the regain attempts only.
* None of them has Linux's filesystem ids, capability sets or securebits.
* Nothing there lists a process's threads; the kernel keeps credentials for the whole process.
"""

from __future__ import annotations

import errno
import os
import sys

from abdicate.errors import UnsupportedPlatformError
from abdicate.identity import reach
from abdicate.identity.credentials import Credentials
from abdicate.identity.situation import Platform, ResourceLimit, Situation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import ModuleType
    from typing import TypeVar

    from abdicate.identity.capabilities import CapabilitySet, Securebits
    from abdicate.identity.ids import Gid, Uid
    from abdicate.identity.resolve import Identity

    Number = TypeVar("Number", bound=int)

# The module's own numbers: ``signal`` makes enumerations of them, which takes as long as the rest
# of a drop, 0.6 ms for the two masks below.
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal

__all__ = ["PosixKernel"]

_NO_CHANGE = -1

if sys.platform == "win32":

    class PosixKernel:
        """There are no user ids on Windows: this can be imported, and not made."""

        def __init__(self) -> None:
            raise UnsupportedPlatformError("Windows has no user and group ids")

else:

    class PosixKernel:
        """A kernel with real, effective and saved ids and supplementary groups."""

        @property
        def platform(self) -> Platform:
            """What this platform has."""
            saved = ("saved uid", "saved gid") if not hasattr(os, "getresuid") else ()
            return Platform(sys.platform, unverifiable=(*saved, "umask"))

        def prepare(self) -> None:
            """Load what the calls below need."""
            self._resource()

        def finish(self) -> None:
            """Nothing is held open here."""

        def hold_signals_back(self) -> None:
            """Block every signal in this thread that can be, pthread_sigmask(3).

            In a process with other threads Python may call a handler all the same: they take
            the signal, and the main thread runs the handler.
            """
            self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())

        def let_signals_come(self) -> None:
            """Restore the mask as `hold_signals_back` found it."""
            try:
                signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
            except OSError:
                # The drop is done, and this is no reason to say that it is not.
                return

        def situation(self, resources: Iterable[str] = ()) -> Situation:
            """Return what surrounds this process."""
            asked = tuple(resources)
            limits = [self.resource_limit(resource) for resource in asked]
            return Situation(
                credentials=self.credentials(),
                platform=self.platform,
                threads=self._thread_count(),
                groups_max=os.sysconf("SC_NGROUPS_MAX"),
                limits=tuple(limit for limit in limits if limit is not None),
                nice=self.nice(),
                environment=tuple(self.environment().items()),
                working_directory=self.working_directory(),
                parent_death_signal=self.parent_death_signal(),
                descriptors_max=self._descriptors_max() if "nofile" in asked else None,
                next_descriptor=_next_descriptor() if "nofile" in asked else None,
            )

        def _descriptors_max(self) -> int | None:
            return None

        def credentials(self) -> Credentials:
            """Return what the calling thread holds."""
            return Credentials.current()

        def threads(self) -> dict[int, Credentials] | None:
            """Return None: no file tells it here, and threads share their credentials."""
            return None

        def _thread_count(self) -> int:
            # Only those that Python started can be counted here.
            threading = sys.modules.get("threading")
            return 1 if threading is None else int(threading.active_count())

        def resource_limit(self, resource: str) -> ResourceLimit | None:
            """Return the limit of *resource*, getrlimit(2)."""
            module = self._resource()
            number = getattr(module, f"RLIMIT_{resource.upper()}", None)
            if number is None:
                return None
            soft, hard = (
                None if value == module.RLIM_INFINITY else value
                for value in module.getrlimit(number)
            )
            return ResourceLimit(resource, soft, hard)

        def _resource(self) -> ModuleType:
            import resource

            return resource

        def nice(self) -> int:
            """Return the nice value, getpriority(2)."""
            return os.getpriority(os.PRIO_PROCESS, 0)

        def working_directory(self) -> str | None:
            """Return the working directory, getcwd(3)."""
            try:
                return os.getcwd()
            except OSError:
                return None

        def directory_id(self, path: str) -> object:
            """Return the device and inode numbers of the directory."""
            status = os.stat(path)
            return status.st_dev, status.st_ino

        def environment(self) -> dict[str, str]:
            """Return a copy of the environment variables."""
            return dict(os.environ)

        def parent(self) -> int:
            """Return the parent's process id, getppid(2)."""
            return os.getppid()

        def parent_death_signal(self) -> int:
            """Return 0: only Linux has it."""
            return 0

        def session_keyring(self) -> int | None:
            """Return None: only Linux has keyrings."""
            return None

        def obstacle(
            self, path: str, identity: Identity, *, root: str = "/", directory: bool = False
        ) -> str | None:
            """Return why *identity* could not execute, or enter, *path*; None if it could."""
            found = reach.find_obstacle(path, identity, root=root, directory=directory)
            return None if found is None else found.reason

        def set_groups(self, groups: Sequence[Gid]) -> None:
            """setgroups(2)."""
            try:
                os.setgroups(groups)
            except ValueError as error:
                # Python's own limit, in front of the kernel's, which says EINVAL.
                raise OSError(errno.EINVAL, str(error)) from error

        def set_resgid(self, real: Gid | None, effective: Gid | None, saved: Gid | None) -> None:
            """setresgid(2); where there is none, setgid(2), which sets all three for root."""
            if sys.platform == "darwin":
                self.set_gid(_one(real, effective, saved))
            else:
                os.setresgid(_id(real), _id(effective), _id(saved))

        def set_resuid(self, real: Uid | None, effective: Uid | None, saved: Uid | None) -> None:
            """setresuid(2); where there is none, setuid(2), which sets all three for root."""
            if sys.platform == "darwin":
                self.set_uid(_one(real, effective, saved))
            else:
                os.setresuid(_id(real), _id(effective), _id(saved))

        def set_regid(self, real: Gid | None, effective: Gid | None) -> None:
            """setregid(2)."""
            os.setregid(_id(real), _id(effective))

        def set_reuid(self, real: Uid | None, effective: Uid | None) -> None:
            """setreuid(2)."""
            os.setreuid(_id(real), _id(effective))

        def set_gid(self, gid: Gid) -> None:
            """setgid(2)."""
            os.setgid(gid)

        def set_uid(self, uid: Uid) -> None:
            """setuid(2)."""
            os.setuid(uid)

        def set_resource_limit(self, limit: ResourceLimit) -> None:
            """setrlimit(2)."""
            module = self._resource()
            soft, hard = (
                module.RLIM_INFINITY if value is None else value
                for value in (limit.soft, limit.hard)
            )
            try:
                module.setrlimit(getattr(module, f"RLIMIT_{limit.resource.upper()}"), (soft, hard))
            except ValueError as error:
                # The module says ValueError where the kernel said EPERM or EINVAL.
                number = errno.EPERM if "not allowed" in str(error) else errno.EINVAL
                raise OSError(number, str(error)) from error

        def change_root(self, path: str) -> None:
            """chroot(2), and chdir(2) to the new root's ``/``."""
            os.chroot(path)
            # Without it the working directory stays outside, and ".." leads out: chroot(2).
            os.chdir("/")

        def change_directory(self, path: str) -> None:
            """chdir(2)."""
            os.chdir(path)

        def set_umask(self, mask: int) -> None:
            """umask(2)."""
            os.umask(mask)

        def set_environment(
            self,
            assign: Iterable[tuple[str, str]],
            remove: Iterable[str],
            retain: Iterable[str] | None,
        ) -> None:
            """Change environment variables, in `os.environ` and in libc's environ."""
            if retain is not None:
                kept = frozenset(retain)
                remove = [name for name in os.environ if name not in kept]
            for name in remove:
                os.environ.pop(name, None)
            os.environ.update(assign)

        def set_thread_nice(self, value: int) -> None:
            """setpriority(2)."""
            os.setpriority(os.PRIO_PROCESS, 0, value)

        # What only Linux has. The preflight refuses a plan that needs it elsewhere; a caller
        # that comes here all the same gets an errno, as from a kernel without the call.

        def set_dumpable(self, on: bool) -> None:
            """Only Linux has it."""
            raise _no_such_call("PR_SET_DUMPABLE")

        def join_thread_session_keyring(self) -> None:
            """Only Linux has it."""
            raise _no_such_call("keyctl")

        def drop_thread_bounding(self, capability: int) -> None:
            """Only Linux has it."""
            raise _no_such_call("PR_CAPBSET_DROP")

        def set_thread_keep_capabilities(self, on: bool) -> None:
            """Only Linux has it."""
            raise _no_such_call("PR_SET_KEEPCAPS")

        def set_thread_capabilities(
            self, permitted: CapabilitySet, effective: CapabilitySet, inheritable: CapabilitySet
        ) -> None:
            """Only Linux has it."""
            raise _no_such_call("capset")

        def clear_thread_ambient(self) -> None:
            """Only Linux has it."""
            raise _no_such_call("PR_CAP_AMBIENT")

        def raise_thread_ambient(self, capability: int) -> None:
            """Only Linux has it."""
            raise _no_such_call("PR_CAP_AMBIENT")

        def set_thread_securebits(self, bits: Securebits) -> None:
            """Only Linux has it."""
            raise _no_such_call("PR_SET_SECUREBITS")

        def set_thread_no_new_privs(self) -> None:
            """Only Linux has it."""
            raise _no_such_call("PR_SET_NO_NEW_PRIVS")

        def set_thread_parent_death_signal(self, signal: int) -> None:
            """Only Linux has it."""
            raise _no_such_call("PR_SET_PDEATHSIG")

    def _next_descriptor() -> int:
        number = os.open("/", os.O_RDONLY)
        os.close(number)
        return number

    def _id(number: int | None) -> int:
        return _NO_CHANGE if number is None else number

    def _one(*ids: Number | None) -> Number:
        # Without setresuid(2) and setresgid(2) the three can only become the same one.
        first = ids[0]
        if first is None or any(number != first for number in ids):
            raise _no_such_call("setresuid or setresgid")
        return first

    def _no_such_call(name: str) -> OSError:
        return OSError(errno.ENOSYS, f"{sys.platform} has no {name}")
