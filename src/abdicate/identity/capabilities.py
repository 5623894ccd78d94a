"""Capabilities, the five sets of a thread, and securebits, as capabilities(7) defines them."""

from __future__ import annotations

from abdicate.errors import SpecError
from abdicate.numbers import IntEnum, IntFlag
from abdicate.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import ClassVar

__all__ = ["Capability", "CapabilitySet", "CapabilitySets", "Securebits"]


class Capability(IntEnum):
    """A capability by its kernel number. ``str()`` gives its name in capabilities(7)."""

    CHOWN = 0
    DAC_OVERRIDE = 1
    DAC_READ_SEARCH = 2
    FOWNER = 3
    FSETID = 4
    KILL = 5
    SETGID = 6
    SETUID = 7
    SETPCAP = 8
    LINUX_IMMUTABLE = 9
    NET_BIND_SERVICE = 10
    NET_BROADCAST = 11
    NET_ADMIN = 12
    NET_RAW = 13
    IPC_LOCK = 14
    IPC_OWNER = 15
    SYS_MODULE = 16
    SYS_RAWIO = 17
    SYS_CHROOT = 18
    SYS_PTRACE = 19
    SYS_PACCT = 20
    SYS_ADMIN = 21
    SYS_BOOT = 22
    SYS_NICE = 23
    SYS_RESOURCE = 24
    SYS_TIME = 25
    SYS_TTY_CONFIG = 26
    MKNOD = 27
    LEASE = 28
    AUDIT_WRITE = 29
    AUDIT_CONTROL = 30
    SETFCAP = 31
    MAC_OVERRIDE = 32
    MAC_ADMIN = 33
    SYSLOG = 34
    WAKE_ALARM = 35
    BLOCK_SUSPEND = 36
    AUDIT_READ = 37
    PERFMON = 38
    BPF = 39
    CHECKPOINT_RESTORE = 40

    def __str__(self) -> str:
        return f"CAP_{self.name}"

    @classmethod
    def parse(cls, text: object, *, field: str = "capability") -> Capability:
        """Return the capability of that name, with or without ``CAP_``, in either case.

        Raises:
            SpecError: if there is none of that name. Numbers are not names.
        """
        if isinstance(text, Capability):
            return text
        if isinstance(text, str) and text.isascii():
            found = cls.__members__.get(text.upper().removeprefix("CAP_"))
            if found is not None:
                return found
        raise SpecError(field, text, "a capability is a name of capabilities(7), like CAP_KILL")


_CAPABILITY_NAMES = {int(capability): str(capability) for capability in Capability}
_EVERY_CAPABILITY = (1 << len(Capability)) - 1
_FEW = 8
_NUMBERS = 64  # the kernel's sets are 64 bits wide, capget(2)


class CapabilitySet(Value):
    """A set of capabilities, as the kernel's 64-bit mask.

    A newer kernel's capabilities that have no name here yet are kept, counted and compared
    like the rest: a set that forgot them would call a privileged process clean.
    """

    mask: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.mask < 1 << _NUMBERS:
            raise SpecError("capability set", self.mask, "a mask has 64 bits")

    @classmethod
    def of(cls, *capabilities: Capability) -> CapabilitySet:
        """Return the set of these capabilities."""
        mask = 0
        for capability in capabilities:
            mask |= 1 << capability
        return cls(mask)

    @classmethod
    def parse(cls, names: Iterable[object], *, field: str = "capabilities") -> CapabilitySet:
        """Return the set of the named capabilities.

        Raises:
            SpecError: if one of the names is unknown, or *names* is itself a text.
        """
        if isinstance(names, str):
            raise SpecError(field, names, "a list of capability names is wanted, not one text")
        return cls.of(*(Capability.parse(name, field=field) for name in names))

    def __iter__(self) -> Iterator[int]:
        mask = self.mask
        while mask:
            yield (mask & -mask).bit_length() - 1
            mask &= mask - 1

    def __contains__(self, capability: int) -> bool:
        return bool(self.mask >> capability & 1)

    def __len__(self) -> int:
        return self.mask.bit_count()

    def __bool__(self) -> bool:
        return self.mask != 0

    def __or__(self, other: CapabilitySet) -> CapabilitySet:
        return CapabilitySet(self.mask | other.mask)

    def __and__(self, other: CapabilitySet) -> CapabilitySet:
        return CapabilitySet(self.mask & other.mask)

    def __sub__(self, other: CapabilitySet) -> CapabilitySet:
        return CapabilitySet(self.mask & ~other.mask)

    def __le__(self, other: CapabilitySet) -> bool:
        return not self.mask & ~other.mask

    def names(self) -> tuple[str, ...]:
        """Return the names, ascending by number; ``CAP_41`` for one without a name here."""
        return tuple(_CAPABILITY_NAMES.get(number, f"CAP_{number}") for number in self)

    def __str__(self) -> str:
        missing = _EVERY_CAPABILITY & ~self.mask
        # Root's sets, in one line: what is not in them says more than what is.
        if missing.bit_count() <= _FEW and len(self) > _FEW:
            less = ", ".join(CapabilitySet(missing).names())
            more = ", ".join(CapabilitySet(self.mask & ~_EVERY_CAPABILITY).names())
            if less and more:
                return f"{more}, and all others but {less}"
            return f"all but {less}" if less else f"all and {more}" if more else "all"
        return ", ".join(self.names()) or "none"

    #: The empty set.
    EMPTY: ClassVar[CapabilitySet]


CapabilitySet.EMPTY = CapabilitySet()


class CapabilitySets(Value):
    """The five capability sets of a thread, capabilities(7) "Thread capability sets".

    Attributes:
        inheritable: what an exec of a program with file capabilities may take from it.
        permitted: what may become effective.
        effective: what the kernel looks at.
        bounding: what no exec can give beyond.
        ambient: what survives an exec of a program without file capabilities.
    """

    inheritable: CapabilitySet = CapabilitySet.EMPTY
    permitted: CapabilitySet = CapabilitySet.EMPTY
    effective: CapabilitySet = CapabilitySet.EMPTY
    bounding: CapabilitySet = CapabilitySet.EMPTY
    ambient: CapabilitySet = CapabilitySet.EMPTY


class Securebits(IntFlag):
    """The securebits of a thread, capabilities(7) "The securebits flags".

    Bits without a name here are kept: prctl(PR_SET_SECUREBITS) replaces the whole word.
    """

    NOROOT = 1 << 0
    NOROOT_LOCKED = 1 << 1
    NO_SETUID_FIXUP = 1 << 2
    NO_SETUID_FIXUP_LOCKED = 1 << 3
    KEEP_CAPS = 1 << 4
    KEEP_CAPS_LOCKED = 1 << 5
    NO_CAP_AMBIENT_RAISE = 1 << 6
    NO_CAP_AMBIENT_RAISE_LOCKED = 1 << 7

    def without(self, bits: Securebits) -> Securebits:
        """Return these bits without those; ``~`` would lose the bits without a name here."""
        return Securebits(int(self) & ~int(bits))

    def names(self) -> tuple[str, ...]:
        """Return the names of the bits that are set; ``bit 8`` for one without a name here."""
        return tuple(
            _SECUREBIT_NAMES.get(1 << number, f"bit {number}")
            for number in range(int(self).bit_length())
            if self >> number & 1
        )

    def __str__(self) -> str:
        return ", ".join(self.names()) or "none"


_SECUREBIT_NAMES = {
    int(bit): name.lower().replace("_", "-") for name, bit in Securebits.__members__.items()
}
