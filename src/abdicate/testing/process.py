"""The process of a `FakeKernel`: what it holds, and what can be read of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from abdicate.identity.capabilities import Capability
from abdicate.identity.situation import Platform, ResourceLimit, Situation
from abdicate.testing.directories import Directories
from abdicate.testing.faults import Aborted, Faults
from abdicate.testing.rules import CredentialRules
from abdicate.testing.start import Surroundings, usual_limits
from abdicate.testing.thread import Machine, Thread

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Unpack

    from abdicate.identity.credentials import Credentials
    from abdicate.identity.resolve import Identity
    from abdicate.identity.situation import UserNamespace

__all__ = ["Process"]


class Process:
    """The reading half of a `FakeKernel`."""

    rules: ClassVar[type[CredentialRules]] = CredentialRules

    def __init__(
        self,
        credentials: Credentials,
        user_namespace: UserNamespace | None = None,
        **surroundings: Unpack[Surroundings],
    ) -> None:
        given = surroundings
        self.calls: list[tuple[str, tuple[object, ...]]] = []
        self._machine = given.get("machine", Machine())
        self._rules = self.rules(self._machine, user_namespace)
        self._pid = given.get("process_id", 4242)
        self._parent = given.get("parent", 4241)
        nice = given.get("nice", 0)
        everyone = (credentials, *given.get("threads", ()))
        self._threads = {
            self._pid + n: Thread.of(held).replace(nice=nice) for n, held in enumerate(everyone)
        }
        self._caller = self._pid
        armed = given.get("parent_death_signal", 0)
        self._threads[self._pid] = self._thread.replace(parent_death_signal=armed)
        self._umask = 0o022 if credentials.umask is None else credentials.umask
        self._dumpable = 1 if credentials.dumpable is None else credentials.dumpable
        self._limits = usual_limits() | {each.resource: each for each in given.get("limits", ())}
        plain = {"HOME": "/root", "PATH": "/usr/bin"}
        self._environment = dict(given.get("environment", plain))
        proc = ("/proc",) if given.get("proc", True) else ()
        self._directories = Directories(
            ("/", "/tmp", "/usr/bin", *proc, *given.get("directories", ())),  # noqa: S108
            given.get("private_directories", ("/root",)),
            given.get("executables", ()),
        )
        working = given.get("working_directory", "/")
        self._directories.working = self._directories.enter(working, override=True)
        self._proc_is_open = False
        self._keyrings = 1
        self._faults = Faults()
        self._gone = False

    @property
    def platform(self) -> Platform:
        """Linux, with all that it has."""
        return Platform("linux", linux_credentials=True)

    def prepare(self) -> None:
        """Open ``/proc``, where it is in sight."""
        self._enter("prepare")
        self._proc_is_open = self._directories.exists("/proc")

    def finish(self) -> None:
        """Close ``/proc``."""
        self._enter("finish")
        self._proc_is_open = False

    def hold_signals_back(self) -> None:
        """Do nothing: the signals of a test are its own."""
        self._enter("hold_signals_back")

    def let_signals_come(self) -> None:
        """Do nothing, likewise."""
        self._enter("let_signals_come")

    def situation(self, resources: Iterable[str] = ()) -> Situation:
        """Return what surrounds the process."""
        self._enter("situation")
        asked = tuple(resources)
        sees_proc = self._directories.exists("/proc")
        knows_most = sees_proc and "nofile" in asked
        return Situation(
            credentials=self._held(self._caller),
            platform=self.platform,
            threads=len(self._threads),
            user_namespace=self._rules.namespace if sees_proc else None,
            groups_max=self._machine.groups_max,
            limits=tuple(self._limits[name] for name in asked if name in self._limits),
            nice=self._thread.nice,
            environment=tuple(self._environment.items()),
            working_directory=self._directories.shown(),
            parent_death_signal=self._thread.parent_death_signal,
            descriptors_max=self._machine.open_files_max if knows_most else None,
        )

    def credentials(self) -> Credentials:
        """Return what the calling thread holds; without ``/proc``, what calls tell of it."""
        self._enter("credentials")
        return self._held(self._caller)

    def threads(self) -> dict[int, Credentials] | None:
        """Return what every thread holds, as ``/proc`` tells it; None where there is none."""
        self._enter("threads")
        if not self._sees_proc:
            return None
        unseen: dict[str, object] = {"securebits": None, "dumpable": None}
        return {thread: self._held(thread).replace(**unseen) for thread in self._threads}

    def resource_limit(self, resource: str) -> ResourceLimit | None:
        """Return the limit of *resource*."""
        self._enter("resource_limit")
        return self._limits.get(resource)

    def nice(self) -> int:
        """Return the nice value of the calling thread."""
        self._enter("nice")
        return self._thread.nice

    def working_directory(self) -> str | None:
        """Return the working directory."""
        self._enter("working_directory")
        return self._directories.shown()

    def directory_id(self, path: str) -> object:
        """Return where *path* leads, as the outermost root names it."""
        self._enter("directory_id")
        return self._directories.look(path, override=self._overrides_modes)

    def environment(self) -> dict[str, str]:
        """Return a copy of the environment variables."""
        self._enter("environment")
        return dict(self._environment)

    def parent(self) -> int:
        """Return the process id of the parent; 1 after `lose_parent`."""
        self._enter("parent")
        return self._parent

    def parent_death_signal(self) -> int:
        """Return the signal that is armed in the calling thread."""
        self._enter("parent_death_signal")
        return self._thread.parent_death_signal

    def session_keyring(self) -> int | None:
        """Return the serial number of the calling thread's session keyring."""
        self._enter("session_keyring")
        return self._thread.keyring

    def obstacle(
        self, path: str, identity: Identity, *, root: str = "/", directory: bool = False
    ) -> str | None:
        """Return why *identity* could not execute, or enter, *path*; None if it could."""
        self._enter("obstacle")
        return self._directories.obstacle(path, identity, root=root, directory=directory)

    # What the calls above share.

    def _enter(self, method: str) -> bool:
        if self._gone:
            raise Aborted("the process was ended before")
        self._rules.lenient = method in self._faults.granted
        return self._faults.strike(method)

    def _passes_over(self, method: str, *arguments: object) -> bool:
        self.calls.append((method, arguments))
        return self._enter(method)

    def _held(self, thread: int) -> Credentials:
        held = self._threads[thread].credentials()
        held = held.replace(umask=self._umask, dumpable=self._dumpable)
        # No call tells these two without changing them.
        return held if self._sees_proc else held.replace(umask=None, seccomp=None)

    @property
    def _thread(self) -> Thread:
        return self._threads[self._caller]

    @property
    def _sees_proc(self) -> bool:
        return self._proc_is_open or self._directories.exists("/proc")

    @property
    def _overrides_modes(self) -> bool:
        may = self._rules.may_here
        owner = self._rules.initial and self._thread.filesystem_uid == 0
        overriding = (Capability.DAC_OVERRIDE, Capability.DAC_READ_SEARCH)
        return owner or any(may(self._thread, capability) for capability in overriding)
