"""From names to one `Identity`: every look-up of a drop, made once, while nothing has changed."""

from __future__ import annotations

from abdicate.errors import PreflightError, SpecError, UnknownGroupError, UnknownUserError
from abdicate.identity.ids import Gid, GroupName, Owner, Uid, UserName
from abdicate.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from abdicate.identity.accounts import Account, AccountDatabase
    from abdicate.identity.credentials import Credentials

__all__ = [
    "AddGroups",
    "ExactGroups",
    "GroupPolicy",
    "Identity",
    "InitGroups",
    "KeepGroups",
    "OnlyGroup",
    "resolve",
    "resolve_gid",
    "resolve_uid",
]


class InitGroups(Value):
    """``init``: the groups that the database gives the user, and the gid."""


class OnlyGroup(Value):
    """``only``: the gid alone."""


class ExactGroups(Value):
    """``exactly``: these groups and the gid; none of them is "the gid alone", not "no answer"."""

    groups: tuple[Gid | GroupName, ...]


class AddGroups(Value):
    """``add``: what ``init`` gives (``only``, for a uid without an entry), and these groups."""

    groups: tuple[Gid | GroupName, ...]


class KeepGroups(Value):
    """``keep``: whatever the process has. With a changed user these are another user's groups."""


GroupPolicy = InitGroups | OnlyGroup | ExactGroups | AddGroups | KeepGroups


class Identity(Value):
    """Who the process is to be: numbers, and nothing left to look up.

    Attributes:
        user: the name; None for a uid without an entry in the account database.
        uid: the user id.
        gid: the group id.
        groups: the supplementary groups, ascending; the gid is among them (CVE-2022-36109),
            except under ``keep``.
        home: the home directory, absolute.
        shell: the login shell.
    """

    user: str | None
    uid: Uid
    gid: Gid
    groups: tuple[Gid, ...]
    home: str = "/"
    shell: str = "/bin/sh"

    def __str__(self) -> str:
        groups = " ".join(map(str, self.groups)) or "none"
        return f"{self.user or 'no name'} (uid {self.uid}, gid {self.gid}, groups {groups})"


def resolve(
    owner: Owner,
    policy: GroupPolicy | None,
    accounts: AccountDatabase,
    current: Credentials,
    *,
    home: str | None = None,
) -> Identity:
    """Return the identity that *owner* and *policy* stand for, in *accounts*.

    Args:
        owner: the user and the group, as asked. No user: the current one stays. No group: the
            user's login group, or the current group where the user stays.
        policy: how the supplementary groups are chosen. None is the default: `InitGroups` for
            a user with an entry, `OnlyGroup` for a uid without one and for a group alone,
            `KeepGroups` where neither was named.
        accounts: where the names are looked up.
        current: what the process holds now, for what is to stay.
        home: the home directory, in place of the entry's, or of ``/`` where there is no entry.

    Raises:
        UnknownUserError: no such user; or a uid without an entry, and no group was given.
        UnknownGroupError: no such group.
        SpecError: `InitGroups` or a login group was asked for a uid that has no entry.
        PreflightError: the user is to stay, and the process holds more than one uid.
    """
    uid, account = _user(owner, accounts, current)
    gid = _group(owner, uid, account, accounts, current)
    return Identity(
        user=account.name if account else None,
        uid=uid,
        gid=gid,
        groups=_groups(owner, policy, gid, account, accounts, current),
        home=home if home is not None else account.home if account else "/",
        shell=account.shell if account else "/bin/sh",
    )


def _user(
    owner: Owner, accounts: AccountDatabase, current: Credentials
) -> tuple[Uid, Account | None]:
    if isinstance(owner.user, UserName):
        account = _entry(owner.user, accounts)
        return account.uid, account
    if owner.user is None:
        uid = current.uid.effective
        if current.uid.real != uid or current.uid.saved != uid:
            raise PreflightError(
                f"no user is named, and the process holds more than one: {current.uid}"
            )
        return uid, accounts.user_by_uid(uid)
    return owner.user, accounts.user_by_uid(owner.user)


def _group(
    owner: Owner,
    uid: Uid,
    account: Account | None,
    accounts: AccountDatabase,
    current: Credentials,
) -> Gid:
    if owner.group is None and owner.user is None:
        if current.gid.real != current.gid.effective or current.gid.saved != current.gid.effective:
            raise PreflightError(
                f"no group is named, and the process holds more than one: {current.gid}"
            )
        return current.gid.effective
    if owner.group is None:
        if account is None:
            # Keeping the caller's gid here is how a numeric user ends up in root's group.
            raise UnknownUserError(
                int(uid), f"a uid without an entry has no login group: name one, as in {uid}:GROUP"
            )
        return account.gid
    return resolve_gid(owner.group, accounts)


def resolve_uid(user: Uid | UserName, accounts: AccountDatabase) -> Uid:
    """Return the uid of *user*; a number needs no entry.

    Raises:
        UnknownUserError: if there is no user of that name.
    """
    return user if isinstance(user, Uid) else _entry(user, accounts).uid


def _entry(user: UserName, accounts: AccountDatabase) -> Account:
    account = accounts.user_by_name(user)
    if account is None:
        raise UnknownUserError(str(user))
    return account


def resolve_gid(group: Gid | GroupName, accounts: AccountDatabase) -> Gid:
    """Return the gid of *group*; a number needs no entry.

    Raises:
        UnknownGroupError: if there is no group of that name.
    """
    if isinstance(group, Gid):
        return group
    entry = accounts.group_by_name(group)
    if entry is None:
        raise UnknownGroupError(str(group))
    return entry.gid


def _groups(
    owner: Owner,
    policy: GroupPolicy | None,
    gid: Gid,
    account: Account | None,
    accounts: AccountDatabase,
    current: Credentials,
) -> tuple[Gid, ...]:
    if policy is None:
        policy = _default_policy(owner, account)
    chosen: set[Gid] = {gid}
    match policy:
        case KeepGroups():
            return current.groups
        case InitGroups():
            if account is None:
                raise SpecError(
                    "groups", "init", "a uid without an entry has no groups in the database"
                )
            chosen.update(accounts.groups_of(account.name, gid))
        case AddGroups(groups):
            if account is not None:
                chosen.update(accounts.groups_of(account.name, gid))
            chosen.update(resolve_gid(group, accounts) for group in groups)
        case ExactGroups(groups):
            chosen.update(resolve_gid(group, accounts) for group in groups)
        case OnlyGroup():
            pass
    return tuple(sorted(chosen))


def _default_policy(owner: Owner, account: Account | None) -> GroupPolicy:
    if owner.user is None:
        return KeepGroups() if owner.group is None else OnlyGroup()
    return OnlyGroup() if account is None else InitGroups()
