"""`UserSpec`, `GroupSpec` and `PrivilegeDrop`: the validated models of a privilege drop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from abdicate.errors import SpecError
from abdicate.executor import Dropped
from abdicate.identity.accounts import AccountDatabase, SystemAccounts
from abdicate.identity.capabilities import CapabilitySet
from abdicate.identity.ids import Gid, Owner, Uid, UserName, parse_group, parse_owner, parse_user
from abdicate.identity.resolve import (
    AddGroups,
    ExactGroups,
    GroupPolicy,
    Identity,
    InitGroups,
    KeepGroups,
    OnlyGroup,
    resolve_gid,
    resolve_uid,
)
from abdicate.kernel.port import Kernel
from abdicate.plan.plan import Plan
from abdicate.plan.policy import DropPolicy
from abdicate.rehearsal import Rehearsal, rehearse
from abdicate.request import DropRequest
from abdicate.specs.base import Spec
from abdicate.specs.fields import (
    OWNER_SCHEMA,
    AbsolutePath,
    CapabilityNames,
    GroupRef,
    JsonSchema,
    Limits,
    Mode,
    OwnerRef,
    Signal,
    UserRef,
    id_or_name,
    is_mapping,
)

__all__ = ["Add", "Exactly", "GroupChoice", "GroupSpec", "PrivilegeDrop", "UserSpec"]


class UserSpec(Spec, frozen=True):
    """A user, by name or id: from ``"nobody"``, ``1000``, ``"1000"`` or ``{"user": …}``.

    ``user`` is a `Uid` or a `UserName` once it is validated.
    """

    short_form: ClassVar[JsonSchema | None] = id_or_name("user")

    user: UserRef

    @model_validator(mode="before")
    @classmethod
    def _from_scalar(cls, value: object) -> object:
        return value if isinstance(value, UserSpec) or is_mapping(value) else {"user": value}

    def resolve(self, accounts: AccountDatabase | None = None) -> Uid:
        """Return the uid; a number needs no entry in the database.

        Raises:
            UnknownUserError: if there is no user of that name.
        """
        return resolve_uid(
            parse_user(self.user), SystemAccounts() if accounts is None else accounts
        )


class GroupSpec(Spec, frozen=True):
    """A group, by name or id: from ``"adm"``, ``4``, ``"4"`` or ``{"group": …}``.

    ``group`` is a `Gid` or a `GroupName` once it is validated.
    """

    short_form: ClassVar[JsonSchema | None] = id_or_name("group")

    group: GroupRef

    @model_validator(mode="before")
    @classmethod
    def _from_scalar(cls, value: object) -> object:
        return value if isinstance(value, GroupSpec) or is_mapping(value) else {"group": value}

    def resolve(self, accounts: AccountDatabase | None = None) -> Gid:
        """Return the gid; a number needs no entry in the database.

        Raises:
            UnknownGroupError: if there is no group of that name.
        """
        return resolve_gid(
            parse_group(self.group), SystemAccounts() if accounts is None else accounts
        )


class Exactly(Spec, frozen=True):
    """Group policy ``exactly``: these supplementary groups and the gid, and no others.

    An empty list means the gid alone; it does not mean "not chosen".
    """

    exactly: tuple[GroupRef, ...] = Field(strict=False)


class Add(Spec, frozen=True):
    """Group policy ``add``: the groups that the database gives the user, and these."""

    add: tuple[GroupRef, ...] = Field(strict=False)


def _known_choice(value: object) -> object:
    # Ahead of the union, whose own error does not say what may be written.
    named = isinstance(value, str) and value in ("init", "only", "keep")
    listed = is_mapping(value) and set(value) in ({"exactly"}, {"add"})
    if value is None or named or listed or isinstance(value, Exactly | Add):
        return value
    rule = "init, only, keep, {exactly: [groups]} or {add: [groups]} is wanted"
    raise SpecError("groups", value, rule)


def _kind_of_choice(value: object) -> str:
    # So that what is wrong within a list is one error, and not one for each kind of choice.
    if isinstance(value, Exactly) or (is_mapping(value) and "exactly" in value):
        return "exactly"
    return "add" if isinstance(value, Add | Mapping) else "name"


#: ``init``: the database's groups; ``only``: the gid alone; ``keep``: what the process has.
GroupChoice: TypeAlias = Annotated[
    Annotated[Literal["init", "only", "keep"], Tag("name")]
    | Annotated[Exactly, Tag("exactly")]
    | Annotated[Add, Tag("add")],
    Discriminator(_kind_of_choice),
]


class PrivilegeDrop(Spec, frozen=True):
    """Whom to become, and everything that changes on the way.

    From ``"nobody"``, ``1000``, ``"nobody:nogroup"``, ``"nobody:"`` (the login group), ``":adm"``
    (the user stays), or a mapping of the fields. Nothing is looked up before `resolve`.

    Example:
        >>> from abdicate import PrivilegeDrop
        >>> PrivilegeDrop.model_validate("nobody:nogroup").group
        GroupName('nogroup')
    """

    short_form: ClassVar[JsonSchema | None] = OWNER_SCHEMA

    user: OwnerRef | None = Field(default=None, description="The user to become; None: stays.")
    group: GroupRef | None = Field(
        default=None, description="The group; None: the user's login group."
    )
    groups: Annotated[GroupChoice | None, BeforeValidator(_known_choice)] = Field(
        default=None,
        description="Supplementary groups; by default init for a user with an entry, else only.",
    )
    home: AbsolutePath | None = Field(
        default=None, description="A home directory in place of the account's."
    )
    umask: Mode | None = Field(default=None, description="The umask; None: stays.")
    no_new_privs: bool = Field(default=False, description="No exec gives privileges any more.")
    capabilities: CapabilityNames | None = Field(
        default=None, description="Capabilities to keep; None: none, unless the user is root."
    )
    ambient: bool = Field(default=False, description="The kept capabilities survive an exec.")
    bounding: CapabilityNames | None = Field(
        default=None, description="The bounding set to keep; None: as it is."
    )
    lock_securebits: bool = Field(
        default=False, description="Uid 0 gives nothing any more, here and in children."
    )
    limits: Limits = Field(
        default=(), description="Resource limits.", json_schema_extra={"default": {}}
    )
    nice: int | None = Field(default=None, ge=-20, le=19, description="The nice value.")
    chroot: AbsolutePath | None = Field(
        default=None, description="The new root directory, absolute."
    )
    working_directory: AbsolutePath | None = Field(
        default=None, description="Where to go, seen from the new root; absolute."
    )
    environment: Literal["account", "keep", "reset"] = Field(
        default="account",
        description="HOME, USER, LOGNAME and SHELL become the user's; keep: as they are; "
        "reset: and everything else goes, except TERM.",
    )
    dumpable: bool | None = Field(
        default=None, description="Core dumps and tracing by the same user; None: the kernel's way."
    )
    parent_death_signal: Signal | None = Field(
        default=None, description="Sent when the parent dies; 0: none; None: as it is."
    )
    session_keyring: bool = Field(default=False, description="Join a new session keyring.")
    allow_root: bool = Field(default=False, description="Uid 0 is meant.")
    allow_root_group: bool = Field(default=False, description="Gid 0 is meant.")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        if isinstance(value, PrivilegeDrop):
            return value
        if not is_mapping(value):
            return _owner_fields(parse_owner(value))
        user = value.get("user")
        if isinstance(user, str) and ":" in user:
            owner = parse_owner(user)
            if value.get("group") is not None:
                raise SpecError("user", user, "the group is named twice: here, and by group")
            others = {name: field for name, field in value.items() if name != "user"}
            return others | _owner_fields(owner)
        return value

    @model_validator(mode="after")
    def _is_consistent(self) -> PrivilegeDrop:
        # The policy refuses what does not go together, such as ambient without capabilities.
        self.request()
        return self

    def request(self) -> DropRequest:
        """Return the same in the standard library's terms: what the executor's side reads."""
        return DropRequest(
            owner=Owner(
                None if self.user is None else parse_user(self.user),
                None if self.group is None else parse_group(self.group),
            ),
            groups=self._group_policy(),
            home=self.home,
            policy=self._policy(),
        )

    def _group_policy(self) -> GroupPolicy | None:
        match self.groups:
            case None:
                return None
            case "init":
                return InitGroups()
            case "only":
                return OnlyGroup()
            case "keep":
                return KeepGroups()
            case Exactly(exactly=groups):
                return ExactGroups(tuple(parse_group(group) for group in groups))
            case Add(add=groups):
                return AddGroups(tuple(parse_group(group) for group in groups))

    def _policy(self) -> DropPolicy:
        same = (
            "ambient no_new_privs lock_securebits limits nice chroot working_directory environment "
            "dumpable session_keyring allow_root allow_root_group umask parent_death_signal"
        )
        return DropPolicy(
            **{name: getattr(self, name) for name in same.split()},
            capabilities=_capability_set(self.capabilities),
            bounding=_capability_set(self.bounding),
        )

    def resolve(self, accounts: AccountDatabase | None = None) -> Identity:
        """Look every name up, and return who the process would become.

        Args:
            accounts: where to look; None is the system's own database.

        Raises:
            UnknownUserError: no such user; or a uid without an entry, and no group was given.
            UnknownGroupError: no such group.
            SpecError: ``init`` was asked for a uid that has no entry.
            PreflightError: no user is named, and the process holds more than one.
            UnsupportedPlatformError: on Windows.
        """
        return self.request().resolve(accounts)

    def plan(self, accounts: AccountDatabase | None = None, kernel: Kernel | None = None) -> Plan:
        """Return the plan for this process, as it is now. Nothing has changed.

        Args:
            accounts: where to look names up; None is the system's own database.
            kernel: whose process; None is the machine's own.

        Raises:
            AbdicateError: as `resolve` does; and `PreflightError` where root or its group would
                remain without being allowed.
        """
        return self.request().plan(accounts, kernel)

    def apply(
        self, accounts: AccountDatabase | None = None, kernel: Kernel | None = None
    ) -> Dropped:
        """Become it, verify it, and return the proof.

        Raises:
            AbdicateError: as `plan` does; and `PreflightError` where something stands in the
                way. Nothing has changed.
            IncompleteDropError: it failed after the first change. Not an `Exception`.
        """
        return self.request().apply(accounts, kernel)

    def rehearse(self, accounts: AccountDatabase | None = None) -> Rehearsal:
        """Carry it out in a forked child, and return what came of it.

        Raises:
            AbdicateError: as `plan` does.
        """
        return rehearse(self.plan(accounts))


def _owner_fields(owner: Owner) -> dict[str, Uid | UserName | Gid | str | None]:
    fields: dict[str, Uid | UserName | Gid | str | None] = {}
    if owner.user is not None:
        fields["user"] = owner.user
    if owner.group is not None:
        fields["group"] = owner.group
    return fields


def _capability_set(names: tuple[object, ...] | None) -> CapabilitySet | None:
    return None if names is None else CapabilitySet.parse(names)
