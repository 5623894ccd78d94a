"""What running processes really hold, in every thread, against what they should hold.

Everything comes from ``/proc``, so an ordinary user may ask too; what can't be seen of another
process (its securebits, whether it is dumpable) is said, and never taken for right.
"""

from __future__ import annotations

import os
from functools import lru_cache

from abdicate.auditing.lint import ROOT_CAPABILITIES, ROOT_GROUPS
from abdicate.errors import UnsupportedPlatformError
from abdicate.identity.accounts import SystemAccounts
from abdicate.identity.cached import CachedAccounts
from abdicate.identity.capabilities import Capability, CapabilitySet, CapabilitySets
from abdicate.identity.credentials import (
    Credentials,
    ResGid,
    ResUid,
    identity_lines,
    status_line,
    status_text,
)
from abdicate.identity.ids import Uid
from abdicate.identity.resolve import Identity, KeepGroups, resolve
from abdicate.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from abdicate.identity.accounts import AccountDatabase
    from abdicate.service import Service

__all__ = [
    "Deviation",
    "Expectation",
    "ProcessAudit",
    "Regain",
    "audit",
    "audit_process",
    "process_ids",
]

#: What no process can read of another one: prctl(2) tells of the caller alone.
NEVER_SEEN = ("securebits", "dumpable")

_WAYS = {
    "AUD100": "it is root",
    "AUD101": "one of its uids is root's: setuid(2) takes root back",
    "AUD102": "a capability leads back to root",
    "AUD103": "it is in root's group",
    "AUD104": "it is in a group that equals root",
    "AUD105": "its threads differ",
}


class Regain(Value):
    """One way in which a process is root, or could be root again. ``code`` is stable."""

    code: str
    detail: str

    @property
    def message(self) -> str:
        """The code in words, and what was found."""
        return f"{_WAYS[self.code]}: {self.detail}"


class Deviation(Value):
    """One slot of one thread that is not what it should be."""

    thread: int
    slot: str
    expected: str
    observed: str

    def __str__(self) -> str:
        return (
            f"thread {self.thread}: {self.slot}: expected {self.expected}, observed {self.observed}"
        )


class ProcessAudit(Value):
    """What was found of one process.

    Attributes:
        pid: the process.
        name: what it calls itself, at most 15 bytes: proc_pid_comm(5).
        credentials: what its main thread holds.
        threads: how many threads were read.
        deviations: where it is not what was expected; None where nothing was expected.
        regains: how it is, or could be, root.
        unseen: the slots that could not be read, or that the expectation leaves open.
    """

    pid: int
    name: str
    credentials: Credentials
    threads: int
    deviations: tuple[Deviation, ...] | None
    regains: tuple[Regain, ...]
    unseen: tuple[str, ...] = ()

    @property
    def is_root(self) -> bool:
        """Whether it is root now, and does not claim to be anybody else."""
        return any(regain.code == "AUD100" for regain in self.regains)

    @property
    def can_regain(self) -> bool:
        """Whether it is not root, and could be again."""
        return bool(self.regains) and not self.is_root


class Expectation:
    """What a process of a service should hold, once it runs.

    A profile does not settle everything: the bounding set, for one, is what the starter had,
    less what the profile drops. Such slots are compared as far as they are settled.

    Args:
        service: what the process should be.
        accounts: where its names are looked up.
        current: what it keeps where nothing else is asked.
    """

    def __init__(self, service: Service, accounts: AccountDatabase, current: Credentials) -> None:
        drop = service.drop
        self.name: str = service.name
        self._identity = resolve(drop.owner, drop.groups, accounts, current, home=drop.home)
        self._service = service

    def of(self, held: Credentials) -> Credentials:
        """Return what a thread that holds *held* should hold; None in a slot that is left open."""
        policy, identity = self._service.drop.policy, self._identity
        daemon = self._service.daemon
        umask = policy.umask if policy.umask is not None or daemon is None else daemon.umask
        keeps = isinstance(self._service.drop.groups, KeepGroups)
        return Credentials(
            uid=ResUid.all(identity.uid),
            gid=ResGid.all(identity.gid),
            groups=held.groups if keeps else identity.groups,
            filesystem_uid=identity.uid,
            filesystem_gid=identity.gid,
            capabilities=self._sets(identity, held.capabilities),
            no_new_privs=True if policy.no_new_privs else None,
            umask=umask,
        )

    def _sets(self, identity: Identity, held: CapabilitySets | None) -> CapabilitySets | None:
        policy = self._service.drop.policy
        if held is None:
            return None
        bounding = held.bounding
        if policy.bounding is not None and not held.bounding <= policy.bounding:
            bounding = policy.bounding
        if identity.uid == 0 and policy.capabilities is None:
            return held.replace(bounding=bounding)
        kept = policy.capabilities or CapabilitySet.EMPTY
        passed_on = kept if policy.ambient else CapabilitySet.EMPTY
        # An exec leaves an ordinary user what is ambient, capabilities(7) "Transformation of
        # capabilities during execve()"; a program that drops by itself keeps what it kept.
        owned = passed_on if self._service.command else kept
        return CapabilitySets(
            inheritable=passed_on,
            permitted=owned,
            effective=owned,
            bounding=bounding,
            ambient=passed_on,
        )

    def open_slots(self, held: Credentials) -> tuple[str, ...]:
        """Return the names of the slots that the profile leaves open, or that can't be read."""
        expected, found = self.of(held).slots(), held.slots()
        return tuple(slot for slot in found if expected[slot] is None or found[slot] is None)


def audit(
    pid: int, service: Service | None = None, accounts: AccountDatabase | None = None
) -> ProcessAudit | None:
    """Return what process *pid* holds, and where that is not what *service* says.

    Args:
        pid: the process.
        service: what it should be; None: only ways back to root are told.
        accounts: where names are looked up; None is the system's own database.

    Returns:
        None for a zombie: it holds nothing.

    Raises:
        ProcessLookupError: there is no such process.
        AbdicateError: a name of the service does not exist here; or there is no ``/proc``.

    Example:
        >>> import os
        >>> from abdicate import audit
        >>> found = audit(os.getpid())
        >>> found is not None and found.threads >= 1
        True
    """
    database = CachedAccounts(SystemAccounts()) if accounts is None else accounts
    expectation = None
    if service is not None:
        expectation = Expectation(service, database, Credentials.current())
    return audit_process(pid, database, expectation)


def audit_process(
    pid: int,
    accounts: AccountDatabase,
    expectation: Expectation | None = None,
    *,
    kernel_threads: bool = True,
) -> ProcessAudit | None:
    """Return what process *pid* holds, and where that is wrong.

    Args:
        pid: the process.
        accounts: where groups that equal root are looked up.
        expectation: what it should hold; None: only ways back to root are told.
        kernel_threads: False returns None for a thread of the kernel, which has no program.

    Returns:
        None for a kernel thread that was not asked for, and for a zombie: it holds nothing.

    Raises:
        ProcessLookupError: there is no such process, or it ended meanwhile.
        PermissionError: it is hidden, proc(5) "hidepid".
        UnsupportedPlatformError: there is no ``/proc`` that tells.
    """
    text = status_text(pid)
    # A process whose first thread has ended shows that thread's Z while the others run on.
    alone = _field(text, "Threads") in ("0", "1")
    if alone and _field(text, "State").startswith(("Z", "X")):
        return None
    if not kernel_threads and _is_kernel_thread(pid, text):
        return None
    held = _parsed(identity_lines(text))
    threads = {pid: held}
    if not alone:
        threads = Credentials.of_threads(pid)
    deviations = None
    if expectation is not None:
        deviations = tuple(_deviations(threads, expectation))
    unseen = NEVER_SEEN if expectation is None else expectation.open_slots(held)
    return ProcessAudit(
        pid=pid,
        name=_field(text, "Name"),
        credentials=held,
        threads=len(threads),
        deviations=deviations,
        regains=tuple(_regains(pid, threads, accounts)),
        unseen=unseen,
    )


def process_ids() -> list[int]:
    """Return the ids of all processes that ``/proc`` shows, ascending.

    Raises:
        UnsupportedPlatformError: there is no ``/proc`` that tells.
    """
    try:
        return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
    except OSError:
        raise UnsupportedPlatformError("there is no /proc here that tells of processes") from None


def _is_kernel_thread(pid: int, text: str) -> bool:
    marked = _field(text, "Kthread")
    if marked:
        return marked == "1"
    # Older kernels: kthreadd is 2, and the parent of the others; none of them has memory.
    return "\nVmSize:" not in text and (pid == 2 or _field(text, "PPid") == "2")


def _field(text: str, name: str) -> str:
    """Return what one line says; empty where there is none. The name is escaped by the kernel."""
    return (status_line(text, name) or "").removeprefix("\t")


# On a whole machine a few identities are shared by thousands of processes.
_parsed = lru_cache(maxsize=1024)(Credentials.parse)


def _deviations(threads: dict[int, Credentials], expectation: Expectation) -> Iterator[Deviation]:
    for thread, held in sorted(threads.items()):
        for found in expectation.of(held).differences(held):
            yield Deviation(thread, found.slot, found.expected, found.observed)


def _regains(
    pid: int, threads: dict[int, Credentials], accounts: AccountDatabase
) -> Iterator[Regain]:
    main = threads.get(pid) or next(iter(threads.values()))
    seen: set[tuple[str, str]] = set()
    for thread, held in sorted(threads.items()):
        where = "" if thread == pid else f" (thread {thread})"
        for code, detail in _ways(pid, held, accounts):
            if (code, detail) not in seen:
                seen.add((code, detail))
                yield Regain(code, detail + where)
        differing = [found.slot for found in main.differences(held)]
        if differing:
            yield Regain("AUD105", f"thread {thread}: {', '.join(differing)}")


def _ways(pid: int, held: Credentials, accounts: AccountDatabase) -> Iterator[tuple[str, str]]:
    uids = (held.uid.real, held.uid.effective, held.uid.saved, held.filesystem_uid)
    if held.uid == _ROOT:
        yield "AUD100", "uid 0, real, effective and saved"
        return
    if 0 in uids:
        yield "AUD101", " ".join(map(str, uids))
    sets = held.capabilities
    if sets is not None and sets.permitted and not _in_another_namespace(pid):
        for number in sets.permitted:
            if number in _NUMBERS and Capability(number) in ROOT_CAPABILITIES:
                capability = Capability(number)
                yield "AUD102", f"{capability}: {ROOT_CAPABILITIES[capability]}"
    gids = {held.gid.real, held.gid.effective, held.gid.saved, *held.groups}
    if 0 in gids or held.filesystem_gid == 0:
        yield "AUD103", "gid 0"
    for gid in sorted(gids):
        entry = accounts.group_by_gid(gid)
        if entry is not None and entry.name in ROOT_GROUPS:
            yield "AUD104", f"{entry.name} (gid {gid}): {ROOT_GROUPS[entry.name]}"


_NUMBERS = frozenset(map(int, Capability))
_ROOT = ResUid.all(Uid(0))


def _in_another_namespace(pid: int) -> bool:
    """Tell whether its capabilities count in another user namespace, and not here."""
    try:
        return os.readlink(f"/proc/{pid}/ns/user") != os.readlink("/proc/self/ns/user")
    except OSError:
        return False  # not to be seen: it is taken for dangerous
