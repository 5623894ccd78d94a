"""The changing half of a `FakeKernel`: one thread by its rules, or all of them as libc does it."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from abdicate.identity.capabilities import Capability
from abdicate.testing.faults import Aborted
from abdicate.testing.process import Process
from abdicate.testing.rules import refusal
from abdicate.testing.thread import Thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from abdicate.identity.capabilities import CapabilitySet, Securebits
    from abdicate.identity.ids import Gid, Uid
    from abdicate.identity.situation import ResourceLimit

__all__ = ["ChangingProcess"]


class ChangingProcess(Process):
    """A `Process` that can change, itself and nothing else."""

    # Changing the whole process.

    def set_groups(self, groups: Sequence[Gid]) -> None:
        """setgroups(2)."""
        rule = self._rules.set_groups
        self._for_all("set_groups", tuple(groups), rule=lambda now: rule(now, groups))

    def set_resgid(self, real: Gid | None, effective: Gid | None, saved: Gid | None) -> None:
        """setresgid(2)."""
        rule = self._rules.set_resgid
        ids = (real, effective, saved)
        self._for_all("set_resgid", *ids, rule=lambda now: rule(now, *ids))

    def set_resuid(self, real: Uid | None, effective: Uid | None, saved: Uid | None) -> None:
        """setresuid(2)."""

        def rule(now: Thread) -> Thread:
            new = self._rules.set_resuid(now, real, effective, saved)
            if self._faults.keeps_saved_uid:
                return new.replace(uid=new.uid.replace(saved=now.uid.saved))
            return new

        self._for_all("set_resuid", real, effective, saved, rule=rule)

    def set_regid(self, real: Gid | None, effective: Gid | None) -> None:
        """setregid(2)."""
        rule = self._rules.set_regid
        self._for_all("set_regid", real, effective, rule=lambda now: rule(now, real, effective))

    def set_reuid(self, real: Uid | None, effective: Uid | None) -> None:
        """setreuid(2)."""
        rule = self._rules.set_reuid
        self._for_all("set_reuid", real, effective, rule=lambda now: rule(now, real, effective))

    def set_gid(self, gid: Gid) -> None:
        """setgid(2)."""
        self._for_all("set_gid", gid, rule=lambda now: self._rules.set_gid(now, gid))

    def set_uid(self, uid: Uid) -> None:
        """setuid(2)."""
        self._for_all("set_uid", uid, rule=lambda now: self._rules.set_uid(now, uid))

    def set_resource_limit(self, limit: ResourceLimit) -> None:
        """setrlimit(2)."""
        if self._passes_over("set_resource_limit", limit):
            return
        current = self._limits.get(limit.resource)
        if current is None:
            raise refusal(errno.EINVAL)
        self._limits[limit.resource] = self._rules.set_resource_limit(self._thread, limit, current)

    def change_root(self, path: str) -> None:
        """chroot(2), and chdir(2) to the new root's ``/``."""
        if self._passes_over("change_root", path):
            return
        # The path is looked up before the privilege is looked at.
        place = self._directories.enter(path, override=self._overrides_modes)
        if not self._rules.may(self._thread, Capability.SYS_CHROOT):
            raise refusal(errno.EPERM)
        self._directories.root = self._directories.working = place

    def change_directory(self, path: str) -> None:
        """chdir(2)."""
        if not self._passes_over("change_directory", path):
            place = self._directories.enter(path, override=self._overrides_modes)
            self._directories.working = place

    def set_umask(self, mask: int) -> None:
        """umask(2)."""
        if not self._passes_over("set_umask", mask):
            self._umask = mask & 0o777

    def set_environment(
        self, assign: Iterable[tuple[str, str]], remove: Iterable[str], retain: Iterable[str] | None
    ) -> None:
        """Change the model's environment variables; with *retain*, all others go first."""
        assign, remove = tuple(assign), tuple(remove)
        kept = None if retain is None else tuple(retain)
        if self._passes_over("set_environment", assign, remove, kept):
            return
        if kept is not None:
            remove = tuple(name for name in self._environment if name not in kept)
        for name in remove:
            self._environment.pop(name, None)
        self._environment.update(assign)

    def set_dumpable(self, on: bool) -> None:
        """prctl(2) PR_SET_DUMPABLE."""
        if not self._passes_over("set_dumpable", on):
            self._dumpable = int(on)

    # Changing the calling thread alone.

    def set_thread_nice(self, value: int) -> None:
        """setpriority(2)."""
        rule, limit = self._rules.set_nice, self._limits["nice"]
        self._for_caller("set_thread_nice", value, rule=lambda now: rule(now, value, limit))

    def join_thread_session_keyring(self) -> None:
        """keyctl(2) KEYCTL_JOIN_SESSION_KEYRING."""

        def rule(now: Thread) -> Thread:
            self._keyrings += 1
            return now.replace(keyring=self._keyrings)

        self._for_caller("join_thread_session_keyring", rule=rule)

    def drop_thread_bounding(self, capability: int) -> None:
        """prctl(2) PR_CAPBSET_DROP."""
        rule = self._rules.drop_bounding
        self._for_caller("drop_thread_bounding", capability, rule=lambda now: rule(now, capability))

    def set_thread_keep_capabilities(self, on: bool) -> None:
        """prctl(2) PR_SET_KEEPCAPS."""
        rule = self._rules.keep_capabilities
        self._for_caller("set_thread_keep_capabilities", on, rule=lambda now: rule(now, on))

    def set_thread_capabilities(
        self, permitted: CapabilitySet, effective: CapabilitySet, inheritable: CapabilitySet
    ) -> None:
        """capset(2)."""
        rule, sets = self._rules.set_capabilities, (permitted, effective, inheritable)
        self._for_caller("set_thread_capabilities", *sets, rule=lambda now: rule(now, *sets))

    def clear_thread_ambient(self) -> None:
        """prctl(2) PR_CAP_AMBIENT_CLEAR_ALL."""
        self._for_caller("clear_thread_ambient", rule=self._rules.clear_ambient)

    def raise_thread_ambient(self, capability: int) -> None:
        """prctl(2) PR_CAP_AMBIENT_RAISE."""
        rule = self._rules.raise_ambient
        self._for_caller("raise_thread_ambient", capability, rule=lambda now: rule(now, capability))

    def set_thread_securebits(self, bits: Securebits) -> None:
        """prctl(2) PR_SET_SECUREBITS."""
        rule = self._rules.set_securebits
        self._for_caller("set_thread_securebits", bits, rule=lambda now: rule(now, bits))

    def set_thread_no_new_privs(self) -> None:
        """prctl(2) PR_SET_NO_NEW_PRIVS."""
        self._for_caller("set_thread_no_new_privs", rule=self._rules.set_no_new_privs)

    def set_thread_parent_death_signal(self, signal: int) -> None:
        """prctl(2) PR_SET_PDEATHSIG."""
        rule = self._rules.set_parent_death_signal
        self._for_caller(
            "set_thread_parent_death_signal", signal, rule=lambda now: rule(now, signal)
        )

    # What the calls above share.

    def _for_caller(
        self, method: str, *arguments: object, rule: Callable[[Thread], Thread]
    ) -> None:
        if not self._passes_over(method, *arguments):
            self._become(self._caller, rule(self._thread))

    def _for_all(self, method: str, *arguments: object, rule: Callable[[Thread], Thread]) -> None:
        """Have every thread make the call, as libc does: nptl(7)."""
        if self._passes_over(method, *arguments):
            return
        alone = method in self._faults.missing_threads
        reached = (self._caller,) if alone else tuple(self._threads)
        answers = {thread: _answer(rule, self._threads[thread]) for thread in reached}
        if len({_errno(answer) for answer in answers.values()}) > 1:
            self._gone = True
            raise Aborted(f"{method} succeeded in one thread, and not in another: {answers}")
        mine = answers[self._caller]
        if isinstance(mine, OSError):
            raise mine
        for thread, answer in answers.items():
            if isinstance(answer, Thread):
                self._become(thread, answer)

    def _become(self, thread: int, new: Thread) -> None:
        if self._rules.resets_dumpable(self._threads[thread], new):
            self._dumpable = self._machine.suid_dumpable
        self._threads[thread] = new


def _answer(rule: Callable[[Thread], Thread], thread: Thread) -> Thread | OSError:
    try:
        return rule(thread)
    except OSError as error:
        return error


def _errno(answer: Thread | OSError) -> int | None:
    return answer.errno if isinstance(answer, OSError) else None
