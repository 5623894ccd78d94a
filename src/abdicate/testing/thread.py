"""What the model keeps: one value for a thread, and one for what differs between machines."""

from __future__ import annotations

from abdicate.identity.capabilities import Capability, CapabilitySet, CapabilitySets, Securebits
from abdicate.identity.credentials import Credentials, ResGid, ResUid
from abdicate.identity.ids import Gid, Uid
from abdicate.values import Value

__all__ = ["Machine", "Thread"]


class Machine(Value):
    """What differs from one Linux machine to another.

    Attributes:
        groups_max: NGROUPS_MAX, the most supplementary groups.
        last_capability: the greatest capability that the kernel knows,
            ``/proc/sys/kernel/cap_last_cap``.
        securebits: every securebit that the kernel knows; before Linux 6.14, ``Securebits(0xFF)``.
        suid_dumpable: what "dumpable" becomes when the ids change, ``/proc/sys/fs/suid_dumpable``.
        open_files_max: the most that RLIMIT_NOFILE may be, ``/proc/sys/fs/nr_open``.
    """

    groups_max: int = 65536
    last_capability: int = max(Capability)
    securebits: Securebits = Securebits(0xFFF)
    suid_dumpable: int = 0
    open_files_max: int = 1 << 20

    @property
    def capabilities(self) -> CapabilitySet:
        """Every capability that the kernel knows."""
        return CapabilitySet((1 << self.last_capability + 1) - 1)


class Thread(Value):
    """What the kernel keeps for each thread: its credentials, and what changes along with them."""

    uid: ResUid
    gid: ResGid
    groups: tuple[Gid, ...]
    filesystem_uid: Uid
    filesystem_gid: Gid
    sets: CapabilitySets
    securebits: Securebits
    no_new_privs: bool = False
    seccomp: int = 0
    nice: int = 0
    parent_death_signal: int = 0
    keyring: int = 1

    @classmethod
    def of(cls, credentials: Credentials) -> Thread:
        """Return a thread that holds *credentials*; what is None there gets its usual value.

        Raises:
            ValueError: if no thread can hold them: the effective set is not within the permitted
                one, or the ambient set not within the permitted and the inheritable one.
        """
        sets = credentials.capabilities or CapabilitySets()
        if not sets.effective <= sets.permitted:
            raise ValueError(f"effective {sets.effective} is not within permitted {sets.permitted}")
        if not sets.ambient <= sets.permitted & sets.inheritable:
            raise ValueError(f"ambient {sets.ambient} is not both permitted and inheritable")
        uid, gid = credentials.filesystem_uid, credentials.filesystem_gid
        return cls(
            uid=credentials.uid,
            gid=credentials.gid,
            groups=credentials.groups,
            filesystem_uid=credentials.uid.effective if uid is None else uid,
            filesystem_gid=credentials.gid.effective if gid is None else gid,
            sets=sets,
            securebits=credentials.securebits or Securebits(0),
            no_new_privs=bool(credentials.no_new_privs),
            seccomp=credentials.seccomp or 0,
        )

    def credentials(self) -> Credentials:
        """Return what the thread holds; umask and dumpable belong to the process."""
        return Credentials(
            uid=self.uid,
            gid=self.gid,
            groups=self.groups,
            filesystem_uid=self.filesystem_uid,
            filesystem_gid=self.filesystem_gid,
            capabilities=self.sets,
            securebits=self.securebits,
            no_new_privs=self.no_new_privs,
            seccomp=self.seccomp,
        )
