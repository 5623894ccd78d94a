"""`Profile`: one service in a config file: drop, pidfile, daemon, title and command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, PlainValidator, WithJsonSchema, model_validator

from abdicate.errors import SpecError
from abdicate.identity.accounts import AccountDatabase
from abdicate.service import Service, Suppression
from abdicate.specs.base import Spec
from abdicate.specs.daemon import DaemonSettings
from abdicate.specs.drop import PrivilegeDrop
from abdicate.specs.pidfile import PidfileSpec
from abdicate.values import is_list, is_tuple

__all__ = ["Profile"]


def _read_command(value: object) -> tuple[str, ...]:
    given = value if is_list(value) or is_tuple(value) else ()
    words = tuple(word for word in given if isinstance(word, str) and "\0" not in word)
    if len(words) != len(given) or not words:
        raise SpecError("exec", value, "a list of texts is wanted: the program, its arguments")
    if not words[0]:
        raise SpecError("exec", value, "the program's name is empty")
    return words


_Command = Annotated[
    tuple[str, ...],
    PlainValidator(_read_command),
    WithJsonSchema(
        {
            "description": "The program that is executed, and its arguments.",
            "type": "array",
            "items": {"type": "string"},
            "minItems": 1,
        }
    ),
]


class Profile(Spec, frozen=True):
    """What one service is: whom it becomes, what it holds, what it executes.

    Nothing is looked up or opened before a method is called.

    Example:
        >>> from abdicate import Profile
        >>> web = Profile.model_validate({"name": "web", "drop": "nobody"})
        >>> web.service().drop.owner.user
        UserName('nobody')
    """

    name: str = Field(description="The profile's name: the key under which it stands.")
    description: str | None = Field(default=None, description="What it is for, in words.")
    drop: PrivilegeDrop = Field(description="Whom to become.")
    pidfile: PidfileSpec | None = Field(default=None, description="Held while it runs.")
    daemon: DaemonSettings | None = Field(
        default=None, description="How it detaches; absent: it stays in the foreground."
    )
    title: str | None = Field(default=None, description="The process title.")
    exec: _Command = Field(default=(), description="What is executed, and its arguments.")
    ignore: Mapping[str, str] = Field(
        default_factory=dict, description="Accepted findings: their codes, each with a reason."
    )

    @model_validator(mode="after")
    def _is_consistent(self) -> Profile:
        self._service(None)
        return self

    def service(self, accounts: AccountDatabase | None = None) -> Service:
        """Return the same in the standard library's terms, the pidfile's owner looked up.

        Raises:
            UnknownUserError, UnknownGroupError: the pidfile's owner or group does not exist.
        """
        return self._service(accounts, lookup=True)

    def _service(self, accounts: AccountDatabase | None, *, lookup: bool = False) -> Service:
        drop = self.drop.request()
        lock = self.pidfile.lock(accounts) if lookup and self.pidfile is not None else None
        daemon = None if self.daemon is None else self.daemon.settings(drop).replace(pidfile=lock)
        return Service(
            name=self.name,
            drop=drop,
            pidfile=lock,
            daemon=daemon,
            title=self.title,
            command=self.exec,
            suppressed=tuple(Suppression(*entry) for entry in self.ignore.items()),
        )
