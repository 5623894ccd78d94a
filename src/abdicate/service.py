"""What a profile describes, in the standard library's terms.

The value in which config, findings, audit and exports meet: whom a service becomes, what it
holds, what is executed. `abdicate.specs` reads it from text; everything else takes it as it is.
"""

from __future__ import annotations

from abdicate.errors import SpecError
from abdicate.process.daemon import Daemon
from abdicate.process.pidlock import PidLock
from abdicate.request import DropRequest
from abdicate.values import Value

__all__ = ["Service", "Suppression"]


class Suppression(Value):
    """A finding that is known and accepted, and why.

    Attributes:
        code: the finding's stable code.
        reason: why it is accepted here; never empty.
    """

    code: str
    reason: str

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            SpecError: there is no reason.
        """
        if not self.reason.strip():
            raise SpecError("ignore", self.code, "a reason is wanted, in words")


class Service(Value):
    """One service: who it is, and how it is run.

    Attributes:
        name: the profile's name.
        drop: whom to become.
        pidfile: held while it runs; None: there is none.
        daemon: how it detaches, with the same drop and pidfile; None: it stays in the foreground.
        title: the process title; None: as it comes.
        command: what is executed, and its arguments; empty: the program is its own.
        suppressed: the findings that are accepted.
    """

    name: str
    drop: DropRequest = DropRequest()
    pidfile: PidLock | None = None
    daemon: Daemon | None = None
    title: str | None = None
    command: tuple[str, ...] = ()
    suppressed: tuple[Suppression, ...] = ()
