"""What surrounds a process when a plan is made: platform, namespace, threads, limits.

Values only. `abdicate.kernel` fills them in, the planner and the preflight read them.
"""

from __future__ import annotations

from abdicate.errors import SpecError
from abdicate.identity.credentials import Credentials
from abdicate.values import Value

__all__ = ["OVERFLOW_ID", "IdRange", "Platform", "ResourceLimit", "Situation", "UserNamespace"]


#: What the kernel shows for an id that is not mapped, /proc/sys/kernel/overflowuid.
OVERFLOW_ID = 65534


class Platform(Value):
    """What a platform has, as far as plans depend on it.

    ``linux_credentials``: capabilities, securebits, no_new_privs, keyrings, parent-death signal.
    ``unverifiable``: the slots of `Credentials` that can't be read there after a change.
    """

    name: str
    linux_credentials: bool = False
    unverifiable: tuple[str, ...] = ()


class IdRange(Value):
    """One line of a uid_map or gid_map, user_namespaces(7)."""

    inside: int
    outside: int
    count: int

    def __contains__(self, number: int) -> bool:
        return self.inside <= number < self.inside + self.count


class UserNamespace(Value):
    """Which ids exist in this process's user namespace, and whether setgroups(2) is allowed.

    ``nested``: it is known not to be the machine's own, whatever its maps look like.
    """

    uids: tuple[IdRange, ...] = (IdRange(0, 0, 2**32 - 1),)
    gids: tuple[IdRange, ...] = (IdRange(0, 0, 2**32 - 1),)
    setgroups_allowed: bool = True
    nested: bool = False

    @property
    def is_initial(self) -> bool:
        """Tell whether this is the machine's own namespace, where some capabilities count alone."""
        return not self.nested and IdRange(0, 0, 2**32 - 1) in self.uids

    def maps_uid(self, uid: int) -> bool:
        """Tell whether *uid* exists here; setresuid(2) says EINVAL to one that does not."""
        return any(uid in line for line in self.uids)

    def maps_gid(self, gid: int) -> bool:
        """Tell whether *gid* exists here; setresgid(2) says EINVAL to one that does not."""
        return any(gid in line for line in self.gids)

    @classmethod
    def parse(cls, uid_map: str, gid_map: str, setgroups: str) -> UserNamespace:
        """Return what the texts of ``/proc/self/{uid_map,gid_map,setgroups}`` say."""
        return cls(_ranges(uid_map), _ranges(gid_map), setgroups.strip() != "deny")


def _ranges(text: str) -> tuple[IdRange, ...]:
    return tuple(IdRange(*map(int, line.split())) for line in text.splitlines() if line.strip())


class ResourceLimit(Value):
    """A resource limit, getrlimit(2). ``resource`` is its name in lower case, as ``nofile``.

    ``soft`` and ``hard`` are in the resource's own unit (descriptors, bytes, seconds, …); None
    is "unlimited".
    """

    resource: str
    soft: int | None
    hard: int | None

    def __post_init__(self) -> None:
        for field, value in (("soft", self.soft), ("hard", self.hard)):
            if value is not None and not 0 <= value < 2**63:
                raise SpecError(field, value, "a limit of 0 or more is wanted, below 2^63")
        if self.hard is not None and (self.soft is None or self.soft > self.hard):
            raise SpecError("soft", str(self), "the soft limit is above the hard one")

    def raises(self, current: ResourceLimit) -> bool:
        """Tell whether this hard limit is above the current one, which needs CAP_SYS_RESOURCE."""
        if current.hard is None:
            return False
        return self.hard is None or self.hard > current.hard

    def __str__(self) -> str:
        soft, hard = ("unlimited" if n is None else str(n) for n in (self.soft, self.hard))
        return f"{soft}:{hard}"


class Situation(Value):
    """Everything that the planner and the preflight want to know, read once.

    ``threads`` is the number of threads of this process. ``limits`` holds the resources that
    were asked for. ``environment`` holds the environment variables. ``descriptors_max`` is
    fs.nr_open, above which nobody sets a limit, and ``next_descriptor`` the number that the next
    file to be opened will have; both are known where the limit ``nofile`` was asked for.
    """

    credentials: Credentials
    platform: Platform
    threads: int = 1
    user_namespace: UserNamespace | None = None
    groups_max: int = 65536
    limits: tuple[ResourceLimit, ...] = ()
    nice: int = 0
    environment: tuple[tuple[str, str], ...] = ()
    working_directory: str | None = None
    parent_death_signal: int = 0
    descriptors_max: int | None = None
    next_descriptor: int | None = None

    def may_hide(self, number: int) -> bool:
        """Tell whether *number* may stand for any id that this user namespace does not map.

        The kernel shows those as the overflow id, 65534 (user_namespaces(7), "Unmapped user and
        group IDs"): a root that is not mapped looks like nobody.
        """
        namespace = self.user_namespace
        return namespace is not None and not namespace.is_initial and number == OVERFLOW_ID

    def limit(self, resource: str) -> ResourceLimit | None:
        """Return the current limit of *resource*, None where there is no such resource."""
        return next((limit for limit in self.limits if limit.resource == resource), None)
