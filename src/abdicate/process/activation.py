"""Descriptors that systemd, or another service manager, passed to this process: sd_listen_fds(3).

They are announced by three variables, to one process by its pid. After a fork the child's pid
is another, and the announcement is nobody's. This module reads it and writes it anew; it neither
opens nor closes anything.
"""

from __future__ import annotations

import os

from abdicate.errors import SpecError
from abdicate.process.descriptors import is_open
from abdicate.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, MutableMapping

__all__ = ["PassedDescriptor", "announce_descriptors", "passed_descriptors"]

_FIRST = 3  # SD_LISTEN_FDS_START
_LONGEST_COUNT = 10  # digits of the highest int
# LISTEN_PIDFDID, newer, names the process by its pidfd's inode.
_VARIABLES = ("LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES")


class PassedDescriptor(Value):
    """A descriptor that systemd opened for this process, with the name from its unit."""

    number: int
    name: str = "unknown"

    def __post_init__(self) -> None:
        """Refuse a name that would read as two, or can't be printed.

        Raises:
            SpecError: it has a colon, or a control character.
        """
        if ":" in self.name or not self.name.isprintable():
            raise SpecError("descriptor name", self.name, "must be printable, without a colon")


def passed_descriptors(
    environ: Mapping[str, str] | None = None, pid: int | None = None
) -> tuple[PassedDescriptor, ...]:
    """Return the descriptors that systemd, or another manager, passed: sd_listen_fds(3).

    They are addressed to one process, by LISTEN_PID. After a fork the child's is another, so a
    daemon asks before it forks, and then either keeps them and announces them anew or rejects
    them: `announce_descriptors`. Neither happens by itself.

    Args:
        environ: where to look, ``os.environ`` by default.
        pid: whom they must be addressed to, this process by default.

    Returns:
        Them in order; nothing where there are none, or they are addressed to another process.

    Raises:
        SpecError: they are addressed to this process, and LISTEN_FDS or LISTEN_FDNAMES is
            malformed, or a descriptor that was announced isn't open.
    """
    environ = os.environ if environ is None else environ
    if environ.get("LISTEN_PID") != str(os.getpid() if pid is None else pid):
        return ()
    text = environ.get("LISTEN_FDS", "0")
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_COUNT):
        raise SpecError("LISTEN_FDS", text, "must be how many descriptors were passed, in digits")
    count = int(text)
    listed = environ.get("LISTEN_FDNAMES")
    names = [] if listed is None else listed.split(":")
    if listed is not None and len(names) != count:
        rule = f"must have a name for each of {count} descriptors, with colons between"
        raise SpecError("LISTEN_FDNAMES", listed, rule)
    passed: list[PassedDescriptor] = []
    for index in range(count):
        number = _FIRST + index
        if not is_open(number):
            raise SpecError("LISTEN_FDS", text, f"descriptor {number} must be open, and isn't")
        passed.append(PassedDescriptor(number, *names[index : index + 1]))
    return tuple(passed)


def announce_descriptors(
    passed: Collection[PassedDescriptor],
    environ: MutableMapping[str, str] | None = None,
    pid: int | None = None,
) -> None:
    """Address descriptors to this process, and so to a program that it executes.

    Without any, the announcement is taken out of the environment: they are rejected, and this
    process's children don't take other descriptors for them. They are not closed.

    Args:
        passed: what `passed_descriptors` returned before the fork.
        environ: where to announce them, ``os.environ`` by default.
        pid: whom to address them to, this process by default.

    Raises:
        SpecError: the numbers aren't 3, 4, 5, …: the protocol can't tell that there is a gap.
            The environment hasn't changed.
    """
    environ = os.environ if environ is None else environ
    numbers = [descriptor.number for descriptor in passed]
    if numbers != list(range(_FIRST, _FIRST + len(numbers))):
        raise SpecError("passed descriptors", numbers, "must be 3, 4, 5, … without a gap")
    for variable in _VARIABLES:
        environ.pop(variable, None)
    if passed:
        environ["LISTEN_PID"] = str(os.getpid() if pid is None else pid)
        environ["LISTEN_FDS"] = str(len(numbers))
        environ["LISTEN_FDNAMES"] = ":".join(descriptor.name for descriptor in passed)
