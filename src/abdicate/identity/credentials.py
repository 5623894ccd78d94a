"""Credentials: one value for everything that the kernel says about a process's identity.

Parsing ``/proc/<pid>/status`` is pure (`Credentials.parse`) and takes what old and new kernels
write; the readers beside it only open files and ask for what no file tells.
"""

from __future__ import annotations

import os
import sys

from abdicate.errors import UnsupportedPlatformError
from abdicate.identity import native
from abdicate.identity.capabilities import CapabilitySet, CapabilitySets, Securebits
from abdicate.identity.ids import Gid, Uid
from abdicate.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

__all__ = [
    "Credentials",
    "Difference",
    "ResGid",
    "ResUid",
    "identity_lines",
    "read_text",
    "read_threads",
    "status_line",
    "status_text",
]


class ResUid(Value):
    """A thread's real, effective and saved user ids, credentials(7)."""

    real: Uid
    effective: Uid
    saved: Uid

    @classmethod
    def all(cls, uid: Uid) -> ResUid:
        """Return the value in which all three are *uid*: the only one without a way back."""
        return cls(uid, uid, uid)

    def __contains__(self, uid: int) -> bool:
        return uid in (self.real, self.effective, self.saved)


class ResGid(Value):
    """A thread's real, effective and saved group ids, credentials(7)."""

    real: Gid
    effective: Gid
    saved: Gid

    @classmethod
    def all(cls, gid: Gid) -> ResGid:
        """Return the value in which all three are *gid*."""
        return cls(gid, gid, gid)

    def __contains__(self, gid: int) -> bool:
        return gid in (self.real, self.effective, self.saved)


class Difference(Value):
    """One slot in which two `Credentials` differ, as people read it."""

    slot: str
    expected: str
    observed: str

    def __str__(self) -> str:
        return f"{self.slot}: expected {self.expected}, observed {self.observed}"


class Credentials(Value):
    """What one thread holds. None means "could not be read here", never "absent" or "zero".

    A thread can read ``securebits`` and ``dumpable`` of itself only.

    Attributes:
        uid: the real, effective and saved uid.
        gid: the real, effective and saved gid.
        groups: the supplementary groups, ascending and without repetition (their order and
            repetition mean nothing to the kernel).
        filesystem_uid: whose files it may open, setfsuid(2).
        filesystem_gid: likewise, setfsgid(2).
        capabilities: the five sets.
        securebits: capabilities(7), "The securebits flags".
        no_new_privs: whether no exec gives privileges, prctl(2).
        seccomp: 0 (off), 1 (strict) or 2 (filter).
        umask: from 0 to 0o777.
        dumpable: 0, 1 or 2, as in prctl(2) PR_GET_DUMPABLE.
    """

    uid: ResUid
    gid: ResGid
    groups: tuple[Gid, ...]
    filesystem_uid: Uid | None = None
    filesystem_gid: Gid | None = None
    capabilities: CapabilitySets | None = None
    securebits: Securebits | None = None
    no_new_privs: bool | None = None
    seccomp: int | None = None
    umask: int | None = None
    dumpable: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "groups", tuple(sorted(set(self.groups))))

    @classmethod
    def current(cls) -> Credentials:
        """Return what the calling thread holds, read from the kernel now.

        Without ``/proc`` (in a chroot, on macOS and the BSDs) the slots that have calls are
        asked by call, and the others are None.

        Raises:
            UnsupportedPlatformError: on Windows.
        """
        try:
            # thread-self, and not the thread's number: /proc may show another pid namespace.
            text = read_text("/proc/thread-self/status")
        except OSError:
            return cls.by_calls()
        return cls.parse(text).replace(securebits=native.securebits(), dumpable=native.dumpable())

    @classmethod
    def of(cls, pid: int) -> Credentials:
        """Return what the main thread of process *pid* holds, as ``/proc`` tells it.

        Raises:
            ValueError: if *pid* is not above 0.
            ProcessLookupError: if there is no such process.
            UnsupportedPlatformError: where there is no ``/proc/<pid>/status``.
        """
        return cls.parse(status_text(pid))

    @classmethod
    def of_threads(cls, pid: int) -> dict[int, Credentials]:
        """Return what each thread of process *pid* holds, by thread id.

        Credentials belong to threads on Linux; only libc keeps a process's threads alike
        (credentials(7), nptl(7)). A thread that ends meanwhile is left out.

        Raises:
            ValueError: if *pid* is not above 0.
            ProcessLookupError: if there is no such process.
            UnsupportedPlatformError: where there is no ``/proc/<pid>/task``.
        """
        try:
            found = read_threads(f"{_folder(pid)}/task")
        except FileNotFoundError:
            found = {}
        if not found:
            raise _missing(pid)
        return found

    @classmethod
    def parse(cls, status: str) -> Credentials:
        """Return what the text of a ``/proc/<pid>/status`` says, proc_pid_status(5).

        Lines that a kernel is too old to write leave their slots None.

        Raises:
            ValueError: if the Uid, Gid or Groups line is missing, or any line is malformed.
        """
        lines = _wanted_lines(status)
        try:
            uids, gids = lines["Uid"].split(), lines["Gid"].split()
            real, effective, saved, filesystem = (Uid(int(uid)) for uid in uids)
            real_gid, effective_gid, saved_gid, filesystem_gid = (Gid(int(gid)) for gid in gids)
            return cls(
                uid=ResUid(real, effective, saved),
                gid=ResGid(real_gid, effective_gid, saved_gid),
                groups=tuple([Gid(int(gid)) for gid in lines["Groups"].split()]),
                filesystem_uid=filesystem,
                filesystem_gid=filesystem_gid,
                capabilities=_parse_capabilities(lines),
                no_new_privs=bool(int(lines["NoNewPrivs"])) if "NoNewPrivs" in lines else None,
                seccomp=int(lines["Seccomp"]) if "Seccomp" in lines else None,
                umask=int(lines["Umask"], 8) if "Umask" in lines else None,
            )
        except (KeyError, ValueError) as error:
            raise ValueError(f"this is not the text of a /proc/<pid>/status: {error}") from error

    @classmethod
    def by_calls(cls) -> Credentials:
        """Return what the calling thread holds, asked by system calls alone.

        The filesystem ids, sets and flags of Linux are None elsewhere; umask and seccomp are
        None everywhere, since no call tells them without changing them.

        Raises:
            UnsupportedPlatformError: on Windows.
        """
        if sys.platform == "win32":
            raise UnsupportedPlatformError("Windows has no user and group ids to read")
        if sys.platform == "darwin":
            # No getresuid there: the saved ids can't be read. They are shown as the effective
            # ones, and abdicate.kernel.posix lists them as slots that can't be verified.
            uids = (os.getuid(), os.geteuid(), os.geteuid())
            gids = (os.getgid(), os.getegid(), os.getegid())
        else:
            uids, gids = os.getresuid(), os.getresgid()
        return cls(
            uid=ResUid(*map(Uid, uids)),
            gid=ResGid(*map(Gid, gids)),
            groups=tuple(map(Gid, os.getgroups())),
            filesystem_uid=native.filesystem_uid(),
            filesystem_gid=native.filesystem_gid(),
            capabilities=native.capabilities(),
            securebits=native.securebits(),
            no_new_privs=native.no_new_privs(),
            dumpable=native.dumpable(),
        )

    def slots(self) -> dict[str, str | None]:
        """Return every slot by name, as people read it; None for what could not be read."""
        return {
            name: None if (value := read(self)) is None else text(value)
            for name, read, text in _SLOTS
        }

    def differences(self, observed: Credentials) -> Iterator[Difference]:
        """Yield each slot in which *observed* is not what this value, the expected one, says.

        A slot that either side could not read is passed over: it is neither equal nor different.
        """
        if self is observed:
            return  # most often: `read_threads` has one value for all threads that are alike
        for name, read, text in _SLOTS:
            expected, found = read(self), read(observed)
            if expected != found and expected is not None and found is not None:
                yield Difference(name, text(expected), text(found))


def read_threads(folder: str | int, *, only: str | None = None) -> dict[int, Credentials]:
    """Return what each thread holds, by thread id, from a ``/proc/<pid>/task``.

    *folder* is its path, or a descriptor that was opened on it: the way to see one's own
    threads after a chroot. A thread that ends meanwhile is left out. *only* names one thread.

    Raises:
        OSError: if the folder can't be listed.
    """
    found: dict[int, Credentials] = {}
    known: dict[str, Credentials] = {}
    for thread in os.listdir(folder) if only is None else (only,):
        try:
            if isinstance(folder, int):
                text = read_text(f"{thread}/status", folder)
            else:
                text = read_text(f"{folder}/{thread}/status")
        except (FileNotFoundError, ProcessLookupError):
            continue
        # Nearly always all threads of a process are alike, and one value says it of all.
        lines = identity_lines(text)
        if lines not in known:
            known[lines] = Credentials.parse(lines)
        found[int(thread)] = known[lines]
    return found


def status_text(pid: int) -> str:
    """Return the text of ``/proc/<pid>/status``, proc_pid_status(5).

    Raises:
        ValueError: if *pid* is not above 0.
        ProcessLookupError: if there is no such process.
        UnsupportedPlatformError: where there is no ``/proc/<pid>/status``.
    """
    try:
        return read_text(f"{_folder(pid)}/status")
    except FileNotFoundError:
        raise _missing(pid) from None


def read_text(path: str, folder: int | None = None) -> str:
    """Return the text of a file of ``/proc``, which may hold any bytes.

    Args:
        path: where it is.
        folder: a descriptor of the directory that a relative path counts from.

    Raises:
        OSError: it can't be opened, or read.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0), dir_fd=folder)
    try:
        chunks: list[bytes] = []
        # One read nearly always; a process with thousands of groups needs more.
        while chunk := os.read(descriptor, 16384):
            chunks.append(chunk)
    finally:
        os.close(descriptor)
    # The Name line holds whatever bytes the program chose for itself.
    return b"".join(chunks).decode(errors="surrogateescape")


def status_line(status: str, name: str) -> str | None:
    """Return what a status says behind ``name:`` at the beginning of a line; None: nothing.

    The kernel escapes a newline in the Name, so what follows one is a line's beginning.
    """
    text = f"\n{status}"
    begin = text.find(f"\n{name}:")
    if begin < 0:
        return None
    begin += len(name) + 2
    end = text.find("\n", begin)
    return text[begin:] if end < 0 else text[begin:end]


def identity_lines(status: str) -> str:
    """Return what `Credentials.parse` reads of a status: many threads and processes share it.

    proc_pid_status(5) keeps its order: Umask, Uid to Groups, and the sets to Seccomp.
    """
    umask = status.find("\nUmask:")
    ids, ids_end = status.find("\nUid:"), status.find("\nNStgid:")
    sets, sets_end = status.find("\nCapInh:"), status.find("\nSeccomp_filters:")
    if min(umask, ids, ids_end, sets, sets_end) < 0:
        return status  # an older kernel: slower, and the same
    umask_end = status.find("\n", umask + 1)
    return status[umask:umask_end] + status[ids:ids_end] + status[sets:sets_end]


def _folder(pid: int) -> str:
    if isinstance(pid, bool) or not isinstance(pid, int) or pid < 1:
        raise ValueError(f"a process id is a whole number above 0, and not {pid!r}")
    return f"/proc/{pid}"


def _missing(pid: int) -> Exception:
    if os.path.exists("/proc/self/status"):
        return ProcessLookupError(f"there is no process {pid}")
    return UnsupportedPlatformError("there is no /proc here that tells of other processes")


_SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
_WANTED = ("Uid", "Gid", "Groups", *_SETS, "Umask", "NoNewPrivs", "Seccomp")


def _wanted_lines(status: str) -> dict[str, str]:
    # Line by line would make sixty texts where a dozen are wanted.
    found = {name: status_line(status, name) for name in _WANTED}
    return {name: line for name, line in found.items() if line is not None}


def _parse_capabilities(lines: dict[str, str]) -> CapabilitySets | None:
    if "CapEff" not in lines:
        return None
    # Before Linux 4.3 there were no ambient sets, so that line's absence means an empty one.
    return CapabilitySets(*[CapabilitySet(int(lines.get(name, "0"), 16)) for name in _SETS])


def _set(name: str) -> Callable[[Credentials], CapabilitySet | None]:
    def read(credentials: Credentials) -> CapabilitySet | None:
        sets = credentials.capabilities
        return None if sets is None else getattr(sets, name)

    return read


# Name, how it is read from the value, how people read it.
_SLOTS: tuple[tuple[str, Callable[[Credentials], object], Callable[[Any], str]], ...] = (
    ("real uid", lambda c: c.uid.real, str),
    ("effective uid", lambda c: c.uid.effective, str),
    ("saved uid", lambda c: c.uid.saved, str),
    ("filesystem uid", lambda c: c.filesystem_uid, str),
    ("real gid", lambda c: c.gid.real, str),
    ("effective gid", lambda c: c.gid.effective, str),
    ("saved gid", lambda c: c.gid.saved, str),
    ("filesystem gid", lambda c: c.filesystem_gid, str),
    (
        "supplementary groups",
        lambda c: c.groups,
        lambda groups: " ".join(map(str, groups)) or "none",
    ),
    ("inheritable set", _set("inheritable"), str),
    ("permitted set", _set("permitted"), str),
    ("effective set", _set("effective"), str),
    ("bounding set", _set("bounding"), str),
    ("ambient set", _set("ambient"), str),
    ("securebits", lambda c: c.securebits, str),
    ("no_new_privs", lambda c: c.no_new_privs, lambda on: "on" if on else "off"),
    ("seccomp", lambda c: c.seccomp, str),
    ("umask", lambda c: c.umask, lambda mask: f"{mask:04o}"),
    ("dumpable", lambda c: c.dumpable, str),
)
