"""A model of the kernel that speaks errno: privilege code, tested without root.

`FakeKernel` follows `abdicate.kernel.port.Kernel`. It refuses what Linux refuses, with the same
errno, and changes what Linux changes: the tests hold it against the real kernel, call by call. It
changes nothing but itself: not the process, not `os.environ`, no file.

    >>> from abdicate.identity.ids import Uid
    >>> from abdicate.testing import FakeKernel
    >>> kernel = FakeKernel.user(1000)
    >>> kernel.set_uid(Uid(0))
    Traceback (most recent call last):
    PermissionError: [Errno 1] Operation not permitted
    >>> kernel.calls
    [('set_uid', (Uid(0),))]

What it does not know: signals, processes other than its own, security modules, seccomp filters,
file capabilities and execve(2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from abdicate.identity.capabilities import CapabilitySet
from abdicate.identity.situation import IdRange, UserNamespace
from abdicate.testing.changes import ChangingProcess
from abdicate.testing.start import Surroundings, credentials
from abdicate.testing.thread import Machine

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self, Unpack

__all__ = ["FakeKernel"]

_INIT = 1  # who adopts orphans
_ONE_USER = (IdRange(0, 1000, 1),)  # as `unshare --map-root-user` maps it, for user 1000

_READING = frozenset(
    {
        "credentials",
        "directory_id",
        "environment",
        "finish",
        "hold_signals_back",
        "let_signals_come",
        "nice",
        "obstacle",
        "parent",
        "parent_death_signal",
        "prepare",
        "resource_limit",
        "session_keyring",
        "situation",
        "threads",
        "working_directory",
    }
)
_CHANGING_PROCESS = frozenset(
    {
        "change_directory",
        "change_root",
        "set_dumpable",
        "set_environment",
        "set_gid",
        "set_groups",
        "set_regid",
        "set_resgid",
        "set_resource_limit",
        "set_resuid",
        "set_reuid",
        "set_uid",
        "set_umask",
    }
)
_CHANGING_THREAD = frozenset(
    {
        "clear_thread_ambient",
        "drop_thread_bounding",
        "join_thread_session_keyring",
        "raise_thread_ambient",
        "set_thread_capabilities",
        "set_thread_keep_capabilities",
        "set_thread_nice",
        "set_thread_no_new_privs",
        "set_thread_parent_death_signal",
        "set_thread_securebits",
    }
)


class FakeKernel(ChangingProcess):
    """A Linux kernel, seen from one process that exists in this object alone.

    Args:
        credentials: what the calling thread holds; what is None there gets its usual value.
        user_namespace: the maps of its user namespace; None is the initial one.
        surroundings: see `abdicate.testing.start.Surroundings`.

    Attributes:
        calls: every changing call so far, refused ones too, as name and arguments.
        rules: the class of the credential rules; for tests of the tests, which need wrong ones.

    Raises:
        ValueError: if no thread can hold *credentials*.
    """

    # Start states.

    @classmethod
    def root(
        cls,
        *,
        groups: Iterable[int] = (0,),
        capabilities: CapabilitySet | None = None,
        **surroundings: Unpack[Surroundings],
    ) -> Self:
        """Return a kernel whose process is root, in the initial user namespace.

        Args:
            groups: the supplementary groups.
            capabilities: what root holds, and the bounding set: a container's root has few. None:
                every capability.
            surroundings: see `abdicate.testing.start.Surroundings`.
        """
        machine = surroundings.get("machine", Machine())
        held = machine.capabilities if capabilities is None else capabilities
        return cls(credentials(0, 0, groups, held, held), **surroundings)

    @classmethod
    def user(
        cls,
        uid: int,
        gid: int | None = None,
        *,
        groups: Iterable[int] | None = None,
        capabilities: CapabilitySet = CapabilitySet.EMPTY,
        **surroundings: Unpack[Surroundings],
    ) -> Self:
        """Return a kernel whose process is an ordinary user's.

        Args:
            uid: all its uids.
            gid: all its gids. None: the same number.
            groups: the supplementary groups. None: the gid.
            capabilities: its permitted and effective set, as file capabilities give them.
            surroundings: see `abdicate.testing.start.Surroundings`.
        """
        gid = uid if gid is None else gid
        groups = (gid,) if groups is None else groups
        bounding = surroundings.get("machine", Machine()).capabilities
        return cls(credentials(uid, gid, groups, capabilities, bounding), **surroundings)

    @classmethod
    def in_user_namespace(
        cls,
        uid: int = 0,
        gid: int = 0,
        *,
        uids: Iterable[IdRange] = _ONE_USER,
        gids: Iterable[IdRange] = _ONE_USER,
        setgroups_allowed: bool = False,
        groups: Iterable[int] | None = None,
        **surroundings: Unpack[Surroundings],
    ) -> Self:
        """Return a kernel whose process has made a user namespace, and holds all of it.

        Args:
            uid: all its uids, as the namespace numbers them. One that has no number there is
                shown as 65534.
            gid: all its gids.
            uids: the lines of its uid_map. By default one user is mapped, as root.
            gids: the lines of its gid_map.
            setgroups_allowed: what ``/proc/self/setgroups`` says; a user who writes his own
                gid_map has to write ``deny``, user_namespaces(7).
            groups: the supplementary groups. None: the gid.
            surroundings: see `abdicate.testing.start.Surroundings`.
        """
        every = surroundings.get("machine", Machine()).capabilities
        groups = (gid,) if groups is None else groups
        namespace = UserNamespace(tuple(uids), tuple(gids), setgroups_allowed)
        return cls(credentials(uid, gid, groups, every, every), namespace, **surroundings)

    # Threads and the parent.

    def start_thread(self) -> int:
        """Start a thread as the calling one would, clone(2); return its thread id."""
        thread = max(self._threads) + 1
        self._threads[thread] = self._thread.replace(parent_death_signal=0)
        return thread

    def switch_thread(self, thread: int) -> None:
        """Let *thread* be the calling one from here on.

        Raises:
            KeyError: if there is no such thread.
        """
        if thread not in self._threads:
            raise KeyError(thread)
        self._caller = thread

    def lose_parent(self) -> None:
        """Let the parent die. No signal is delivered, whatever was armed."""
        self._parent = _INIT

    # Faults.

    def fail(self, method: str, error: int | BaseException, *, call: int = 1) -> None:
        """Let a call fail: the *call*-th one of *method*, counted from now.

        Args:
            method: a method of the `Kernel` port.
            error: an errno, or what is raised, such as `KeyboardInterrupt`.
            call: 1 or more.
        """
        self._faults.plan(
            _known(method, _READING, _CHANGING_PROCESS, _CHANGING_THREAD), call, error
        )

    def lie(self, method: str, *, call: int | None = None) -> None:
        """Let calls of *method* report success and do nothing: the *call*-th from now, or all."""
        self._faults.plan(_known(method, _CHANGING_PROCESS, _CHANGING_THREAD), call, None)

    def grant(self, method: str) -> None:
        """Let *method* pass every capability check from now on: a hole in the kernel."""
        self._faults.granted.add(_known(method, _CHANGING_PROCESS, _CHANGING_THREAD))

    def miss_threads(self, method: str) -> None:
        """Let *method* reach the calling thread alone, as a raw system call would."""
        self._faults.missing_threads.add(_known(method, _CHANGING_PROCESS))

    def keep_saved_uid(self) -> None:
        """Let setresuid leave the saved uid as it is, and report success."""
        self._faults.keeps_saved_uid = True


def _known(method: str, *kinds: frozenset[str]) -> str:
    known = frozenset[str]().union(*kinds)
    if method not in known:
        raise ValueError(f"{method!r} is none of {', '.join(sorted(known))}")
    return method
