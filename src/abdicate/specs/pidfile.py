"""`PidfileSpec`: the validated model of a pidfile."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import (
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)

from abdicate.identity.accounts import AccountDatabase
from abdicate.plan.grammar import parse_mode
from abdicate.process.pidlock import PIDFILE_MODE, HeldPidfile, PidLock
from abdicate.process.pidstatus import PidfileStatus
from abdicate.specs.base import Spec
from abdicate.specs.drop import GroupSpec, UserSpec
from abdicate.specs.fields import AbsolutePath, GroupRef, JsonSchema, UserRef, is_mapping

__all__ = ["PidfileSpec"]

_DAY = 86400.0


def _read_pidfile_mode(value: object) -> int:
    return parse_mode(value, field="mode", most=PIDFILE_MODE)


_PidfileMode = Annotated[
    int | str,
    PlainValidator(_read_pidfile_mode),
    PlainSerializer(lambda mode: f"{mode:04o}"),
    WithJsonSchema(
        {
            "description": "Permission bits: octal text with a leading zero, or a number.",
            "anyOf": [
                {"type": "string", "enum": ["0600", "0604", "0640", "0644"]},
                {"type": "integer", "enum": [0o600, 0o604, 0o640, 0o644]},
            ],
        }
    ),
]


class PidfileSpec(Spec, frozen=True):
    """A pidfile: where it is, how it is made, and from whom it may be taken over.

    From a path alone, or a mapping of the fields. Nothing is looked up or opened before a
    method is called.

    Take it before a privilege drop, and leave it root's: whoever may write to a pidfile aims
    the signals of the tools that read it.

    Example:
        >>> from abdicate import PidfileSpec
        >>> PidfileSpec.model_validate("/run/worker.pid").stale
        'reused'
    """

    short_form: ClassVar[JsonSchema | None] = {
        "description": "The path of a pidfile, absolute.",
        "type": "string",
        "pattern": "^/",
    }

    path: AbsolutePath = Field(description="Absolute: a daemon's working directory changes.")
    mode: _PidfileMode = Field(
        default=PIDFILE_MODE, description="Permission bits, 0600 to 0644, whatever the umask is."
    )
    owner: UserRef | None = Field(
        default=None, description="Whom the file is given to; None: it stays its maker's."
    )
    group: GroupRef | None = Field(
        default=None, description="The group it is given to; None: as it comes."
    )
    timeout: float = Field(
        default=0.0,
        ge=0,
        le=_DAY,
        allow_inf_nan=False,
        description="Seconds to wait for a holder to let go; 0 refuses at once.",
    )
    stale: Literal["never", "dead", "reused"] = Field(
        default="reused",
        description="Which file that nobody has locked is taken over. dead: of a process that "
        "has ended; reused: also of one whose number another process has now; never: none.",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, value: object) -> object:
        return value if isinstance(value, PidfileSpec) or is_mapping(value) else {"path": value}

    @model_validator(mode="after")
    def _is_lockable(self) -> PidfileSpec:
        # PidLock has the rules for the path and the mode; who owns it doesn't matter to them.
        self._lock(None, None)
        return self

    def lock(self, accounts: AccountDatabase | None = None) -> PidLock:
        """Look the owner and the group up, and return the lock; nothing is opened yet.

        Args:
            accounts: where to look; None is the system's own database.

        Raises:
            UnknownUserError: no such user.
            UnknownGroupError: no such group.
        """
        return self._lock(
            None if self.owner is None else UserSpec(user=self.owner).resolve(accounts),
            None if self.group is None else GroupSpec(group=self.group).resolve(accounts),
        )

    def _lock(self, owner: int | None, group: int | None) -> PidLock:
        return PidLock(
            path=self.path,
            mode=int(self.mode),
            owner=owner,
            group=group,
            timeout=self.timeout,
            stale=self.stale,
        )

    def acquire(self, accounts: AccountDatabase | None = None) -> HeldPidfile:
        """Take the lock and write this process's pid: `PidLock.acquire`.

        Args:
            accounts: where to look the owner and the group up; None is the system's database.

        Returns:
            The held lock: a context manager that releases it.

        Raises:
            UnknownUserError: no such user.
            UnknownGroupError: no such group.
            LockFailed: it is held, or can't be made or taken over safely.
            UnsupportedPlatformError: there is no flock(2) here.
        """
        return self.lock(accounts).acquire()

    def status(self) -> PidfileStatus:
        """Tell who holds it: absent, not held, held by a pid, or held by an unknown process.

        Raises:
            LockFailed: what is there is not a regular file.
            OSError: it may not be read.
            UnsupportedPlatformError: there is no flock(2) here.
        """
        return self._lock(None, None).status()

    def holder(self) -> int | None:
        """Return the holder's pid; None where nobody holds it, or the holder is unknown.

        Raises:
            LockFailed: what is there is not a regular file.
            OSError: it may not be read.
            UnsupportedPlatformError: there is no flock(2) here.
        """
        return self._lock(None, None).holder()

    def signal_holder(self, number: int, accounts: AccountDatabase | None = None) -> int:
        """Send signal *number* to the holder, through a pidfd, and return its pid.

        Args:
            number: the signal; 0 sends none, and checks.
            accounts: where to look the owner up; None is the system's own database.

        Raises:
            UnknownUserError: no such user.
            LockFailed: no process is known to hold it; nothing was signalled.
            PermissionError: the kernel refuses to signal that process.
            UnsupportedPlatformError: there are no pidfds here.
        """
        return self.lock(accounts).signal_holder(number)
