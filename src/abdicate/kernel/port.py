"""The port: what the executor may ask of a kernel, and may make it do.

Three adapters follow it: Linux, POSIX (macOS and the BSDs), and the model in
`abdicate.testing`. Every changing call either succeeds or raises `OSError` with the kernel's
errno. Calls that act on the calling thread alone say ``thread`` in their name; the others act on
every thread of the process, because libc makes them (nptl(7)) or the kernel does.

None in place of an id leaves that id as it is.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Protocol

    from abdicate.identity.capabilities import CapabilitySet, Securebits
    from abdicate.identity.credentials import Credentials
    from abdicate.identity.ids import Gid, Uid
    from abdicate.identity.resolve import Identity
    from abdicate.identity.situation import Platform, ResourceLimit, Situation
else:
    Protocol = object

__all__ = ["Kernel"]


class Kernel(Protocol):
    """A kernel, seen from one process."""

    @property
    def platform(self) -> Platform:
        """What this platform has."""
        ...

    def prepare(self) -> None:
        """Load and open everything that the calls below need.

        After a drop or a chroot, modules may be unreadable and ``/proc`` out of sight.
        """
        ...

    def finish(self) -> None:
        """Close what `prepare` opened. It raises nothing, whatever happens."""
        ...

    def hold_signals_back(self) -> None:
        """Let no handler run in this thread until `let_signals_come`, as far as that works.

        What a handler raises may be an ordinary exception, which a program catches and goes on
        from; between two steps that would leave it half-root.

        Raises:
            OSError: it is not allowed. Nothing has changed.
        """
        ...

    def let_signals_come(self) -> None:
        """Let handlers run again: those of what has come meanwhile, now. It raises nothing else."""
        ...

    # Reading.

    def situation(self, resources: Iterable[str] = ()) -> Situation:
        """Return what the planner and the preflight want to know, with these resource limits."""
        ...

    def credentials(self) -> Credentials:
        """Return what the calling thread holds."""
        ...

    def threads(self) -> dict[int, Credentials] | None:
        """Return what every thread holds, by thread id; None where that can't be read."""
        ...

    def resource_limit(self, resource: str) -> ResourceLimit | None:
        """Return the limit of *resource*; None where the platform has no such resource."""
        ...

    def nice(self) -> int:
        """Return the nice value of the calling thread."""
        ...

    def working_directory(self) -> str | None:
        """Return the working directory; None where it has no name any more, or is out of reach."""
        ...

    def directory_id(self, path: str) -> object:
        """Return something that tells the directory from every other one."""
        ...

    def environment(self) -> dict[str, str]:
        """Return a copy of the environment variables."""
        ...

    def parent(self) -> int:
        """Return the process id of the parent."""
        ...

    def parent_death_signal(self) -> int:
        """Return the signal that the parent's death will send; 0 for none."""
        ...

    def session_keyring(self) -> int | None:
        """Return the serial number of the session keyring; None where there are no keyrings."""
        ...

    def obstacle(
        self, path: str, identity: Identity, *, root: str = "/", directory: bool = False
    ) -> str | None:
        """Return why *identity* could not execute, or enter, *path*; None if it could."""

    # Changing the whole process.

    def set_groups(self, groups: Sequence[Gid]) -> None:
        """setgroups(2)."""
        ...

    def set_resgid(self, real: Gid | None, effective: Gid | None, saved: Gid | None) -> None:
        """setresgid(2)."""
        ...

    def set_resuid(self, real: Uid | None, effective: Uid | None, saved: Uid | None) -> None:
        """setresuid(2)."""
        ...

    def set_regid(self, real: Gid | None, effective: Gid | None) -> None:
        """setregid(2)."""
        ...

    def set_reuid(self, real: Uid | None, effective: Uid | None) -> None:
        """setreuid(2)."""
        ...

    def set_gid(self, gid: Gid) -> None:
        """setgid(2)."""
        ...

    def set_uid(self, uid: Uid) -> None:
        """setuid(2)."""
        ...

    def set_resource_limit(self, limit: ResourceLimit) -> None:
        """setrlimit(2)."""
        ...

    def change_root(self, path: str) -> None:
        """chroot(2), and chdir(2) to the new root's ``/``."""
        ...

    def change_directory(self, path: str) -> None:
        """chdir(2)."""
        ...

    def set_umask(self, mask: int) -> None:
        """umask(2)."""
        ...

    def set_environment(
        self, assign: Iterable[tuple[str, str]], remove: Iterable[str], retain: Iterable[str] | None
    ) -> None:
        """Change environment variables; with *retain*, all others go first."""
        ...

    def set_dumpable(self, on: bool) -> None:
        """prctl(2) PR_SET_DUMPABLE."""
        ...

    # Changing the calling thread alone.

    def set_thread_nice(self, value: int) -> None:
        """setpriority(2)."""
        ...

    def join_thread_session_keyring(self) -> None:
        """keyctl(2) KEYCTL_JOIN_SESSION_KEYRING."""
        ...

    def drop_thread_bounding(self, capability: int) -> None:
        """prctl(2) PR_CAPBSET_DROP."""
        ...

    def set_thread_keep_capabilities(self, on: bool) -> None:
        """prctl(2) PR_SET_KEEPCAPS."""
        ...

    def set_thread_capabilities(
        self, permitted: CapabilitySet, effective: CapabilitySet, inheritable: CapabilitySet
    ) -> None:
        """capset(2)."""
        ...

    def clear_thread_ambient(self) -> None:
        """prctl(2) PR_CAP_AMBIENT_CLEAR_ALL."""
        ...

    def raise_thread_ambient(self, capability: int) -> None:
        """prctl(2) PR_CAP_AMBIENT_RAISE."""
        ...

    def set_thread_securebits(self, bits: Securebits) -> None:
        """prctl(2) PR_SET_SECUREBITS."""
        ...

    def set_thread_no_new_privs(self) -> None:
        """prctl(2) PR_SET_NO_NEW_PRIVS."""
        ...

    def set_thread_parent_death_signal(self, signal: int) -> None:
        """prctl(2) PR_SET_PDEATHSIG."""
        ...
