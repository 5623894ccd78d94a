"""What a drop is to do besides becoming somebody: one frozen value of explicit choices."""

from __future__ import annotations

from abdicate.errors import SpecError
from abdicate.identity.capabilities import CapabilitySet
from abdicate.identity.situation import ResourceLimit
from abdicate.plan.ranges import check_mask, check_nice, check_path, check_signal
from abdicate.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    #: ``account``: HOME, USER, LOGNAME and SHELL become the new user's; ``keep``: nothing is
    #: touched; ``reset``: everything else goes too, except TERM, and PATH gets a plain default.
    EnvironmentPolicy = Literal["account", "keep", "reset"]

__all__ = ["ENVIRONMENT_POLICIES", "DropPolicy"]

ENVIRONMENT_POLICIES = ("account", "keep", "reset")


class DropPolicy(Value):
    """What changes with the identity. None means "leave it as it is", everywhere.

    Attributes:
        umask: from 0 to 0o777.
        no_new_privs: execve(2) can't give privileges from here on, prctl(2).
        capabilities: the permitted and effective set to keep. None: none are kept by a user
            other than root, all by root.
        ambient: the kept capabilities survive execve(2), in the ambient and inheritable sets.
        bounding: the bounding set to keep; what is outside of it is dropped.
        lock_securebits: uid 0 means nothing any more in this thread and its children,
            capabilities(7) "The securebits flags".
        limits: resource limits to set.
        nice: the nice value, from -20 to 19.
        chroot: the new root directory, absolute.
        working_directory: the directory to go to, seen from the new root; absolute.
        environment: see `EnvironmentPolicy`.
        dumpable: False: no core dumps, and no ptrace(2) by the same user; True: both. None:
            what the kernel makes of it (a change of ids sets it to fs.suid_dumpable).
        parent_death_signal: the signal that the death of the parent sends; 0 for none. None:
            the present one is armed again, since a change of ids disarms it.
        session_keyring: join a new, empty session keyring, so that root's keys stay behind.
        allow_root: uid 0 may stay or be asked for.
        allow_root_group: gid 0 may be asked for, or stay among the groups.
    """

    umask: int | None = None
    no_new_privs: bool = False
    capabilities: CapabilitySet | None = None
    ambient: bool = False
    bounding: CapabilitySet | None = None
    lock_securebits: bool = False
    limits: tuple[ResourceLimit, ...] = ()
    nice: int | None = None
    chroot: str | None = None
    working_directory: str | None = None
    environment: EnvironmentPolicy = "account"
    dumpable: bool | None = None
    parent_death_signal: int | None = None
    session_keyring: bool = False
    allow_root: bool = False
    allow_root_group: bool = False

    def __post_init__(self) -> None:
        for field, check, value in (
            ("umask", check_mask, self.umask),
            ("nice", check_nice, self.nice),
            ("parent_death_signal", check_signal, self.parent_death_signal),
        ):
            if value is not None:
                check(field, value)
        for field, path in (("chroot", self.chroot), ("working_directory", self.working_directory)):
            if path is not None:
                check_path(field, path)
        if self.environment not in ENVIRONMENT_POLICIES:
            rule = f"one of {', '.join(ENVIRONMENT_POLICIES)} is wanted"
            raise SpecError("environment", self.environment, rule)
        named = [limit.resource for limit in self.limits]
        if len(named) != len(set(named)):
            raise SpecError("limits", named, "each resource is named once")
        if self.ambient and not self.capabilities:
            raise SpecError("ambient", True, "there are no kept capabilities to make ambient")
