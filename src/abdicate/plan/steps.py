"""One frozen value for each change of the process: what it does, and why it stands where it does.

Steps are data. `abdicate.executor` carries them out through the kernel port; nothing here does.
"""

from __future__ import annotations

from abdicate.errors import SpecError
from abdicate.identity.capabilities import CapabilitySet, Securebits
from abdicate.identity.ids import Gid, Uid
from abdicate.identity.situation import ResourceLimit
from abdicate.plan.ranges import check_mask, check_nice, check_path, check_signal
from abdicate.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar, Literal

__all__ = [
    "STEPS",
    "ChangeDirectory",
    "ChangeRoot",
    "DropBounding",
    "KeepCapabilities",
    "NewSessionKeyring",
    "SetAmbient",
    "SetCapabilities",
    "SetDumpable",
    "SetEnvironment",
    "SetGid",
    "SetGroups",
    "SetNice",
    "SetNoNewPrivs",
    "SetParentDeathSignal",
    "SetResourceLimit",
    "SetSecurebits",
    "SetUid",
    "SetUmask",
    "Step",
]


class Step(Value):
    """One change of the process.

    Attributes:
        kind: the step's name in JSON and in reports; it is stable.
        call: the system call that does it, as the manual pages name it; "" for none.
        scope: whether it acts on the whole process, or on the calling thread alone.
        reason: why it stands where it stands in the order.
    """

    kind: ClassVar[str] = ""
    call: ClassVar[str] = ""
    scope: ClassVar[Literal["process", "thread"]] = "process"
    reason: ClassVar[str] = ""

    def sentence(self) -> str:
        """Return what the step does, as one sentence."""
        raise NotImplementedError  # every kind of step says its own


class SetResourceLimit(Step):
    """Set a resource limit, setrlimit(2)."""

    kind: ClassVar[str] = "resource-limit"
    call: ClassVar[str] = "prlimit"
    reason: ClassVar[str] = "raising a hard limit needs CAP_SYS_RESOURCE, which is about to go"

    limit: ResourceLimit

    def sentence(self) -> str:
        """Return what the step does, as one sentence."""
        return f"Set the limit {self.limit.resource} to {self.limit} (soft:hard)."


class SetNice(Step):
    """Set the nice value, setpriority(2)."""

    kind: ClassVar[str] = "nice"
    call: ClassVar[str] = "setpriority"
    # POSIX speaks of the process, Linux changes one thread: setpriority(2), "C library/kernel
    # differences".
    scope: ClassVar[Literal["process", "thread"]] = "thread"
    reason: ClassVar[str] = "lowering the value needs CAP_SYS_NICE, which is about to go"

    value: int

    def __post_init__(self) -> None:
        check_nice("value", self.value)

    def sentence(self) -> str:
        """Return what the step does, as one sentence."""
        return f"Set the nice value to {self.value}."


class NewSessionKeyring(Step):
    """Join a new, empty session keyring, keyctl(2) KEYCTL_JOIN_SESSION_KEYRING."""

    kind: ClassVar[str] = "session-keyring"
    call: ClassVar[str] = "keyctl"
    scope: ClassVar[Literal["process", "thread"]] = "thread"
    reason: ClassVar[str] = "the keys that root could read are possessed through the old keyring"

    def sentence(self) -> str:
        """Return what the step does, as one sentence."""
        return "Join a new session keyring."


class ChangeRoot(Step):
    """Change the root directory and go to it, chroot(2) and chdir(2)."""

    kind: ClassVar[str] = "root-directory"
    call: ClassVar[str] = "chroot"
    # Threads share it, unless one has taken its own, clone(2) CLONE_FS; no file tells which.
    scope: ClassVar[Literal["process", "thread"]] = "thread"
    reason: ClassVar[str] = (
        "needs CAP_SYS_CHROOT; every name was resolved before, outside; "
        'without the chdir to "/" behind it the process would still stand outside'
    )

    path: str

    def __post_init__(self) -> None:
        check_path("path", self.path)

    def sentence(self) -> str:
        """Return what the step does, as one sentence."""
        return f'Make {self.path} the root directory, and go to its "/".'


class DropBounding(Step):
    """Drop capabilities from the bounding set, prctl(2) PR_CAPBSET_DROP, one call for each."""

    kind: ClassVar[str] = "bounding-set"
    call: ClassVar[str] = "prctl"
    scope: ClassVar[Literal["process", "thread"]] = "thread"
    reason: ClassVar[str] = "needs CAP_SETPCAP, which is about to go"

    capabilities: CapabilitySet

    def sentence(self) -> str:
        """Return what the step does, as one sentence."""
        return f"Drop from the bounding set: {self.capabilities}."


class KeepCapabilities(Step):
    """Switch "keep capabilities" on or off, prctl(2) PR_SET_KEEPCAPS."""

    kind: ClassVar[str] = "keep-capabilities"
    call: ClassVar[str] = "prctl"
    scope: ClassVar[Literal["process", "thread"]] = "thread"
    reason: ClassVar[str] = (
        "on before the uids change, or the permitted set would be cleared with them; "
        "off right after, so that no later change of ids is exempt"
    )

    on: bool

    def sentence(self) -> str:
        """Return what the step does, as one sentence."""
        if self.on:
            return "Let the permitted capabilities outlive the change of the user."
        return "Let no later change of the user keep capabilities."


class SetGroups(Step):
    """Set the supplementary groups, setgroups(2). The gid comes first.

    FreeBSD takes the first group for the effective gid, so the gid is first everywhere.
    """

    kind: ClassVar[str] = "groups"
    call: ClassVar[str] = "setgroups"
    reason: ClassVar[str] = "needs CAP_SETGID, so it comes before the user changes"

    groups: tuple[Gid, ...]

    def sentence(self) -> str:
        """Return what the step does, as one sentence."""
        names = " ".join(map(str, self.groups)) or "none"
        return f"Set the supplementary groups to {names}."


class SetGid(Step):
    """Set the real, effective and saved gid, setresgid(2); the filesystem gid follows."""

    kind: ClassVar[str] = "gid"
    call: ClassVar[str] = "setresgid"
    reason: ClassVar[str] = "needs CAP_SETGID, so it comes before the user changes"

    gid: Gid

    def sentence(self) -> str:
        """Return what the step does, as one sentence."""
        return f"Set the real, effective and saved gid to {self.gid}."


class SetUid(Step):
    """Set the real, effective and saved uid, setresuid(2); the filesystem uid follows."""

    kind: ClassVar[str] = "uid"
    call: ClassVar[str] = "setresuid"
    reason: ClassVar[str] = (
        "the point of no return: with the saved uid too, there is no way back; "
        "a change from root also clears the ambient, permitted and effective sets"
    )

    uid: Uid

    def sentence(self) -> str:
        """Return what the step does, as one sentence."""
        return f"Set the real, effective and saved uid to {self.uid}."


class SetCapabilities(Step):
    """Set the permitted, effective and inheritable sets, capset(2)."""

    kind: ClassVar[str] = "capabilities"
    call: ClassVar[str] = "capset"
    scope: ClassVar[Literal["process", "thread"]] = "thread"
    reason: ClassVar[str] = (
        "after the change of the user, which clears the effective set, and may leave the others"
    )

    permitted: CapabilitySet
    effective: CapabilitySet
    inheritable: CapabilitySet

    def sentence(self) -> str:
        """Return what the step does, as one sentence."""
        return (
            f"Hold these capabilities: permitted {self.permitted}; effective {self.effective}; "
            f"inheritable {self.inheritable}."
        )


class SetAmbient(Step):
    """Make the ambient set these capabilities, prctl(2) PR_CAP_AMBIENT: clear, then raise each."""

    kind: ClassVar[str] = "ambient-set"
    call: ClassVar[str] = "prctl"
    scope: ClassVar[Literal["process", "thread"]] = "thread"
    reason: ClassVar[str] = (
        "the change of the user clears the ambient set, even with keep-capabilities; "
        "a capability must be permitted and inheritable before it can be ambient"
    )

    capabilities: CapabilitySet

    def sentence(self) -> str:
        """Return what the step does, as one sentence."""
        if not self.capabilities:
            return "Empty the ambient set."
        return f"Let these capabilities survive an exec: {self.capabilities}."


class SetSecurebits(Step):
    """Set the securebits, prctl(2) PR_SET_SECUREBITS. The whole word, others' bits included."""

    kind: ClassVar[str] = "securebits"
    call: ClassVar[str] = "prctl"
    scope: ClassVar[Literal["process", "thread"]] = "thread"
    reason: ClassVar[str] = (
        "after the change of the user, which these bits would alter, and after the ambient set, "
        "which they close; while CAP_SETPCAP is still held"
    )

    bits: Securebits

    def sentence(self) -> str:
        """Return what the step does, as one sentence."""
        return f"Set the securebits to {self.bits}."


class SetParentDeathSignal(Step):
    """Choose the signal that the parent's death sends, prctl(2) PR_SET_PDEATHSIG."""

    kind: ClassVar[str] = "parent-death-signal"
    call: ClassVar[str] = "prctl"
    scope: ClassVar[Literal["process", "thread"]] = "thread"
    reason: ClassVar[str] = (
        "every change of ids disarms it; the parent may have died meanwhile, so it is looked at"
    )

    signal: int

    def __post_init__(self) -> None:
        check_signal("signal", self.signal)

    def sentence(self) -> str:
        """Return what the step does, as one sentence."""
        if self.signal == 0:
            return "Let the parent's death send no signal."
        return f"Let the parent's death send signal {self.signal}, and see that the parent lives."


class SetDumpable(Step):
    """Choose whether the process dumps core and may be traced, prctl(2) PR_SET_DUMPABLE."""

    kind: ClassVar[str] = "dumpable"
    call: ClassVar[str] = "prctl"
    reason: ClassVar[str] = "every change of ids sets it to fs.suid_dumpable"

    on: bool

    def sentence(self) -> str:
        """Return what the step does, as one sentence."""
        if self.on:
            return "Allow core dumps, and tracing by the same user."
        return "Forbid core dumps, and tracing by the same user."


class SetNoNewPrivs(Step):
    """Switch no_new_privs on, prctl(2) PR_SET_NO_NEW_PRIVS. It can't be switched off again."""

    kind: ClassVar[str] = "no-new-privs"
    call: ClassVar[str] = "prctl"
    scope: ClassVar[Literal["process", "thread"]] = "thread"
    reason: ClassVar[str] = "it needs no privilege, and nothing that follows gains one"

    def sentence(self) -> str:
        """Return what the step does, as one sentence."""
        return "Let no exec give privileges any more."


class ChangeDirectory(Step):
    """Change the working directory, chdir(2)."""

    kind: ClassVar[str] = "working-directory"
    call: ClassVar[str] = "chdir"
    reason: ClassVar[str] = "as the new user, so that a directory out of reach is noticed here"

    path: str

    def __post_init__(self) -> None:
        check_path("path", self.path)

    def sentence(self) -> str:
        """Return what the step does, as one sentence."""
        return f"Go to {self.path}."


class SetUmask(Step):
    """Set the file mode creation mask, umask(2)."""

    kind: ClassVar[str] = "umask"
    call: ClassVar[str] = "umask"
    reason: ClassVar[str] = "nothing before it creates files"

    mask: int

    def __post_init__(self) -> None:
        check_mask("mask", self.mask)

    def sentence(self) -> str:
        """Return what the step does, as one sentence."""
        return f"Set the umask to {self.mask:04o}."


class SetEnvironment(Step):
    """Change environment variables. With ``retain``, all that it does not name go first."""

    kind: ClassVar[str] = "environment"
    reason: ClassVar[str] = "HOME, USER, LOGNAME and SHELL would still be the old user's"

    assign: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()
    retain: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for name, value in self.assign:
            # putenv(3): a name has no "=", and neither of them a NUL.
            if not name or "=" in name or "\0" in name + value:
                raise SpecError("assign", [name, value], "this is no environment variable")

    def sentence(self) -> str:
        """Return what the step does, as one sentence."""
        parts: list[str] = []
        if self.retain is not None:
            parts.append(f"Clear the environment, except {', '.join(self.retain) or 'nothing'}")
        if self.assign:
            parts.append("Set " + ", ".join(f"{name}={value}" for name, value in self.assign))
        if self.remove:
            parts.append("Remove " + ", ".join(self.remove))
        return "; ".join(parts) + "."


#: Every kind of step by its name.
STEPS: dict[str, type[Step]] = {
    step.kind: step
    for step in (
        SetResourceLimit,
        SetNice,
        NewSessionKeyring,
        ChangeRoot,
        DropBounding,
        KeepCapabilities,
        SetGroups,
        SetGid,
        SetUid,
        SetCapabilities,
        SetAmbient,
        SetSecurebits,
        SetParentDeathSignal,
        SetDumpable,
        SetNoNewPrivs,
        ChangeDirectory,
        SetUmask,
        SetEnvironment,
    )
}
