"""The credential rules of Linux: what a call makes of one thread, or the errno it gets.

Pure, thread by thread: each rule takes a `Thread` and returns what it becomes, or raises `OSError`.
They are written from the manual pages that each one names, a second time and independently of
`abdicate.plan.rules`; the tests hold both against each other and this one against the real kernel.

This module knows nothing of other threads, of libc, of files or of faults:
`abdicate.testing.fake_kernel` does.
"""

from __future__ import annotations

import errno
import os

from abdicate.identity.capabilities import Capability, CapabilitySet, CapabilitySets, Securebits
from abdicate.identity.credentials import ResGid, ResUid
from abdicate.identity.situation import ResourceLimit, UserNamespace
from abdicate.testing.thread import Machine, Thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    from abdicate.identity.ids import Gid, Uid

    Number = TypeVar("Number", bound=int)

__all__ = ["CredentialRules", "refusal"]

# linux/securebits.h: every even bit is a flag, and the odd one above it is its lock. Bits 8 to 11
# are SECBIT_EXEC_RESTRICT_FILE and SECBIT_EXEC_DENY_INTERACTIVE, which ask nothing of the kernel.
_LOCKS = 0xAAAAAAAA
_EXEC_BITS = 0xF00

_LAST_SIGNAL = 64  # _NSIG, signal(7)
_BEST_NICE, _WORST_NICE = -20, 19  # setpriority(2)

_NONE = CapabilitySet.EMPTY


def refusal(number: int) -> OSError:
    """Return the `OSError` of an errno, as a refused system call raises it."""
    return OSError(number, os.strerror(number))


class CredentialRules:
    """The rules of one machine, in one user namespace.

    Args:
        machine: what the kernel is like.
        namespace: the user namespace of the process; None is the initial one.

    Attributes:
        lenient: every capability check passes: a fault, see `FakeKernel.grant`.
    """

    def __init__(self, machine: Machine, namespace: UserNamespace | None) -> None:
        self.lenient = False
        self.machine = machine
        self.initial: bool = namespace is None
        self.namespace: UserNamespace = namespace or UserNamespace()

    def may(self, thread: Thread, capability: Capability) -> bool:
        """Tell whether the thread passes a capability check in its own user namespace.

        The effective set decides, and not "the uid is 0": capabilities(7).
        """
        return self.lenient or capability in thread.sets.effective

    def may_here(self, thread: Thread, capability: Capability) -> bool:
        """Tell whether the thread passes a capability check of the whole machine.

        Outside of the initial namespace nobody does: user_namespaces(7), "Effect of capabilities
        within a user namespace".
        """
        return self.initial and self.may(thread, capability)

    # Groups and gids.

    def set_groups(self, thread: Thread, groups: Sequence[Gid]) -> Thread:
        """setgroups(2); user_namespaces(7) for ``deny``, and for a namespace without a gid_map."""
        allowed = self.namespace.setgroups_allowed and self.namespace.gids
        if not allowed or not self.may(thread, Capability.SETGID):
            raise refusal(errno.EPERM)
        if len(groups) > self.machine.groups_max:
            raise refusal(errno.EINVAL)
        self._see_mapped(self.namespace.maps_gid, *groups)
        return thread.replace(groups=tuple(sorted(set(groups))))

    def set_resgid(
        self, thread: Thread, real: Gid | None, effective: Gid | None, saved: Gid | None
    ) -> Thread:
        """setresgid(2). What is given must be one of the three, without CAP_SETGID."""
        self._see_mapped(self.namespace.maps_gid, real, effective, saved)
        old = thread.gid
        new = ResGid(_or(real, old.real), _or(effective, old.effective), _or(saved, old.saved))
        if new == old and effective in (None, thread.filesystem_gid):
            return thread  # nothing to do; before Linux 6.3 the filesystem gid followed even so
        if any(gid not in old for gid in (new.real, new.effective, new.saved)):
            self._demand(thread, Capability.SETGID)
        return self._with_gids(thread, new)

    def set_regid(self, thread: Thread, real: Gid | None, effective: Gid | None) -> Thread:
        """setregid(2), with the saved gid as `set_reuid` has the saved uid."""
        self._see_mapped(self.namespace.maps_gid, real, effective)
        old = thread.gid
        if real not in (None, old.real, old.effective):
            self._demand(thread, Capability.SETGID)
        if effective is not None and effective not in old:
            self._demand(thread, Capability.SETGID)
        new = ResGid(_or(real, old.real), _or(effective, old.effective), old.saved)
        if real is not None or effective not in (None, old.real):
            new = new.replace(saved=new.effective)
        return self._with_gids(thread, new)

    def set_gid(self, thread: Thread, gid: Gid) -> Thread:
        """setgid(2): all three with CAP_SETGID, else the effective gid alone."""
        self._see_mapped(self.namespace.maps_gid, gid)
        if self.may(thread, Capability.SETGID):
            return self._with_gids(thread, ResGid.all(gid))
        if gid not in (thread.gid.real, thread.gid.saved):
            raise refusal(errno.EPERM)
        return self._with_gids(thread, thread.gid.replace(effective=gid))

    # Uids.

    def set_resuid(
        self, thread: Thread, real: Uid | None, effective: Uid | None, saved: Uid | None
    ) -> Thread:
        """setresuid(2). What is given must be one of the three, without CAP_SETUID."""
        self._see_mapped(self.namespace.maps_uid, real, effective, saved)
        old = thread.uid
        new = ResUid(_or(real, old.real), _or(effective, old.effective), _or(saved, old.saved))
        if new == old and effective in (None, thread.filesystem_uid):
            return thread  # nothing to do; before Linux 6.3 the filesystem uid followed even so
        if any(uid not in old for uid in (new.real, new.effective, new.saved)):
            self._demand(thread, Capability.SETUID)
        return self._with_uids(thread, new)

    def set_reuid(self, thread: Thread, real: Uid | None, effective: Uid | None) -> Thread:
        """setreuid(2).

        The saved uid becomes the new effective one where the real uid is given, or where the
        effective uid is set to anything but the old real one.
        """
        self._see_mapped(self.namespace.maps_uid, real, effective)
        old = thread.uid
        # The saved uid is no source for the real one here.
        if real not in (None, old.real, old.effective):
            self._demand(thread, Capability.SETUID)
        if effective is not None and effective not in old:
            self._demand(thread, Capability.SETUID)
        new = ResUid(_or(real, old.real), _or(effective, old.effective), old.saved)
        if real is not None or effective not in (None, old.real):
            new = new.replace(saved=new.effective)
        return self._with_uids(thread, new)

    def set_uid(self, thread: Thread, uid: Uid) -> Thread:
        """setuid(2): all three with CAP_SETUID, else the effective uid alone."""
        self._see_mapped(self.namespace.maps_uid, uid)
        if self.may(thread, Capability.SETUID):
            return self._with_uids(thread, ResUid.all(uid))
        if uid not in (thread.uid.real, thread.uid.saved):
            raise refusal(errno.EPERM)
        return self._with_uids(thread, thread.uid.replace(effective=uid))

    # Capabilities.

    def set_capabilities(
        self,
        thread: Thread,
        permitted: CapabilitySet,
        effective: CapabilitySet,
        inheritable: CapabilitySet,
    ) -> Thread:
        """capset(2), and capabilities(7) "Programmatically adjusting capability sets".

        Bits above the last capability are passed over in silence.
        """
        old, known = thread.sets, self.machine.capabilities
        permitted, effective, inheritable = (
            permitted & known,
            effective & known,
            inheritable & known,
        )
        if not inheritable <= old.inheritable | old.permitted:
            self._demand(thread, Capability.SETPCAP)
        if (
            not inheritable <= old.inheritable | old.bounding
            or not permitted <= old.permitted
            or not effective <= permitted
        ):
            raise refusal(errno.EPERM)
        return thread.replace(
            sets=old.replace(
                permitted=permitted,
                effective=effective,
                inheritable=inheritable,
                ambient=old.ambient & permitted & inheritable,
            )
        )

    def drop_bounding(self, thread: Thread, capability: int) -> Thread:
        """prctl(2) PR_CAPBSET_DROP. The privilege is looked at before the number."""
        self._demand(thread, Capability.SETPCAP)
        lowered = thread.sets.bounding - self._one(capability)
        return thread.replace(sets=thread.sets.replace(bounding=lowered))

    def clear_ambient(self, thread: Thread) -> Thread:
        """prctl(2) PR_CAP_AMBIENT_CLEAR_ALL. Everyone may."""
        return thread.replace(sets=thread.sets.replace(ambient=_NONE))

    def raise_ambient(self, thread: Thread, capability: int) -> Thread:
        """prctl(2) PR_CAP_AMBIENT_RAISE: what is permitted and inheritable, and not shut off."""
        one, sets = self._one(capability), thread.sets
        if (
            not one <= sets.permitted & sets.inheritable
            or thread.securebits & Securebits.NO_CAP_AMBIENT_RAISE
        ):
            raise refusal(errno.EPERM)
        return thread.replace(sets=sets.replace(ambient=sets.ambient | one))

    def keep_capabilities(self, thread: Thread, on: bool) -> Thread:
        """prctl(2) PR_SET_KEEPCAPS: one securebit, which everyone may set unless it is locked."""
        if thread.securebits & Securebits.KEEP_CAPS_LOCKED:
            raise refusal(errno.EPERM)
        off = int(thread.securebits) & ~int(Securebits.KEEP_CAPS)
        return thread.replace(securebits=Securebits(off | Securebits.KEEP_CAPS if on else off))

    def set_securebits(self, thread: Thread, bits: Securebits) -> Thread:
        """prctl(2) PR_SET_SECUREBITS, capabilities(7) "The securebits flags".

        No locked flag changes, no lock is opened, and no unknown bit is set, by anyone.
        """
        # Plain integers: from Python 3.11, ~ on an IntFlag forgets the bits without a name.
        old, new, known = int(thread.securebits), int(bits), int(self.machine.securebits)
        locks = old & _LOCKS
        if (old ^ new) & locks >> 1 or locks & ~new or new & ~known:
            raise refusal(errno.EPERM)
        # The bits for interpreters are a promise of user space to itself, Linux 6.14. Without
        # privilege a call that changes nothing is refused all the same.
        if old == new or (old ^ new) & ~_EXEC_BITS:
            self._demand(thread, Capability.SETPCAP)
        return thread.replace(securebits=bits)

    # What else belongs to a thread.

    def set_no_new_privs(self, thread: Thread) -> Thread:
        """prctl(2) PR_SET_NO_NEW_PRIVS. Everyone may, and there is no way back."""
        return thread.replace(no_new_privs=True)

    def set_parent_death_signal(self, thread: Thread, signal: int) -> Thread:
        """prctl(2) PR_SET_PDEATHSIG."""
        if not 0 <= signal <= _LAST_SIGNAL:
            raise refusal(errno.EINVAL)
        return thread.replace(parent_death_signal=signal)

    def set_nice(self, thread: Thread, value: int, limit: ResourceLimit) -> Thread:
        """setpriority(2): lower than RLIMIT_NICE, *limit*, allows needs CAP_SYS_NICE, or EACCES."""
        value = max(_BEST_NICE, min(_WORST_NICE, value))
        free = limit.soft is None or 20 - value <= limit.soft  # getrlimit(2), RLIMIT_NICE
        if value < thread.nice and not free and not self.may_here(thread, Capability.SYS_NICE):
            raise refusal(errno.EACCES)
        return thread.replace(nice=value)

    def set_resource_limit(
        self, thread: Thread, limit: ResourceLimit, current: ResourceLimit
    ) -> ResourceLimit:
        """setrlimit(2): only CAP_SYS_RESOURCE raises a hard limit; nobody, nofile over nr_open."""
        most = self.machine.open_files_max
        if limit.resource == "nofile" and (limit.hard is None or limit.hard > most):
            raise refusal(errno.EPERM)
        if limit.raises(current) and not self.may_here(thread, Capability.SYS_RESOURCE):
            raise refusal(errno.EPERM)
        return limit

    def resets_dumpable(self, before: Thread, after: Thread) -> bool:
        """Tell whether a change sets dumpable to fs.suid_dumpable and disarms the death signal.

        prctl(2), PR_SET_DUMPABLE and PR_SET_PDEATHSIG: the effective or filesystem ids changed.
        A change of the real or the saved ids alone is none.
        """
        return _visible(before) != _visible(after)

    # What the rules above share.

    def _demand(self, thread: Thread, capability: Capability) -> None:
        if not self.may(thread, capability):
            raise refusal(errno.EPERM)

    def _see_mapped(self, maps: Callable[[int], bool], *ids: int | None) -> None:
        # Before any question of privilege: user_namespaces(7), "User and group ID mappings".
        if not all(number is None or maps(number) for number in ids):
            raise refusal(errno.EINVAL)

    def _one(self, capability: int) -> CapabilitySet:
        if not 0 <= capability <= self.machine.last_capability:
            raise refusal(errno.EINVAL)
        return CapabilitySet(1 << capability)

    def _with_gids(self, thread: Thread, gid: ResGid) -> Thread:
        return self._settled(thread, thread.replace(gid=gid, filesystem_gid=gid.effective))

    def _with_uids(self, thread: Thread, uid: ResUid) -> Thread:
        sets = self.fixed_up(thread, uid)
        changed = thread.replace(uid=uid, filesystem_uid=uid.effective, sets=sets)
        return self._settled(thread, changed)

    def _settled(self, before: Thread, after: Thread) -> Thread:
        return (
            after.replace(parent_death_signal=0) if self.resets_dumpable(before, after) else after
        )

    def fixed_up(self, thread: Thread, uid: ResUid) -> CapabilitySets:
        """Return what a change of the uids to *uid* leaves of the capability sets.

        capabilities(7), "Effect of user ID changes on capabilities": three rules, in this order,
        unless NO_SETUID_FIXUP switches them off.
        """
        sets = thread.sets
        if thread.securebits & Securebits.NO_SETUID_FIXUP:
            return sets
        if 0 in thread.uid and 0 not in uid:
            sets = sets.replace(ambient=_NONE)
            if not thread.securebits & Securebits.KEEP_CAPS:
                sets = sets.replace(permitted=_NONE, effective=_NONE)
        was_root, is_root = thread.uid.effective == 0, uid.effective == 0
        if was_root and not is_root:
            return sets.replace(effective=_NONE)
        if is_root and not was_root:
            return sets.replace(effective=sets.permitted)
        return sets


def _or(given: Number | None, present: Number) -> Number:
    return present if given is None else given


def _visible(thread: Thread) -> tuple[int, int, int, int]:
    return (
        thread.uid.effective,
        thread.gid.effective,
        thread.filesystem_uid,
        thread.filesystem_gid,
    )
