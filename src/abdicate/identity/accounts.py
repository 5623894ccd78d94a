"""Accounts: the port through which names become numbers, and its two adapters."""

from __future__ import annotations

import os
import sys

from abdicate.errors import UnsupportedPlatformError
from abdicate.identity.ids import Gid, GroupName, Uid, UserName
from abdicate.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Protocol
else:
    Protocol = object

__all__ = ["Account", "AccountDatabase", "Group", "StaticAccounts", "SystemAccounts"]


_NO_DATABASE = "Windows has no passwd and group database"


class Account(Value):
    """A user's entry in the account database, passwd(5).

    Attributes:
        name: the login name.
        uid: the user id, from 0 to 2^32 - 2.
        gid: the login group.
        home: the home directory.
        shell: the login shell.
    """

    name: str
    uid: Uid
    gid: Gid
    home: str = "/"
    shell: str = "/bin/sh"


class Group(Value):
    """A group's entry in the account database, group(5).

    Attributes:
        name: the group's name.
        gid: the group id, from 0 to 2^32 - 2.
        members: the names of users who have it as a supplementary group.
    """

    name: str
    gid: Gid
    members: tuple[str, ...] = ()


class AccountDatabase(Protocol):
    """Where users and groups are looked up. None is the answer for those that do not exist."""

    def user_by_name(self, name: UserName) -> Account | None:
        """Return the user of that name."""
        ...

    def user_by_uid(self, uid: Uid) -> Account | None:
        """Return the user of that uid; the first one, where several names share it."""
        ...

    def group_by_name(self, name: GroupName) -> Group | None:
        """Return the group of that name."""
        ...

    def group_by_gid(self, gid: Gid) -> Group | None:
        """Return the group of that gid."""
        ...

    def groups_of(self, user: str, gid: Gid) -> tuple[Gid, ...]:
        """Return every group of that user, *gid* among them, as getgrouplist(3) does."""
        ...


class SystemAccounts:
    """The system's own database, through getpwnam(3), getgrnam(3) and getgrouplist(3).

    Whatever nsswitch.conf(5) names answers: files, LDAP, systemd. Each question is asked once
    for each instance, and the answer kept: ten thousand profiles that name fifty users cost
    fifty look-ups. The database is never enumerated (getgrall over LDAP takes minutes).
    """

    def __init__(self) -> None:
        if sys.platform == "win32":
            raise UnsupportedPlatformError(_NO_DATABASE)
        self._users: dict[str | int, Account | None] = {}
        self._groups: dict[str | int, Group | None] = {}
        self._lists: dict[tuple[str, Gid], tuple[Gid, ...]] = {}

    def user_by_name(self, name: UserName) -> Account | None:
        """Return the user of that name, or None."""
        return self._user(str(name))

    def user_by_uid(self, uid: Uid) -> Account | None:
        """Return the first user of that uid, or None."""
        return self._user(int(uid))

    def group_by_name(self, name: GroupName) -> Group | None:
        """Return the group of that name, or None."""
        return self._group(str(name))

    def group_by_gid(self, gid: Gid) -> Group | None:
        """Return the group of that gid, or None."""
        return self._group(int(gid))

    def groups_of(self, user: str, gid: Gid) -> tuple[Gid, ...]:
        """Return the user's groups with *gid* among them, ascending.

        Raises:
            UnsupportedPlatformError: on Windows.
        """
        if sys.platform == "win32":
            raise UnsupportedPlatformError(_NO_DATABASE)
        if (user, gid) not in self._lists:
            found = {Gid(group) for group in os.getgrouplist(user, gid)}
            self._lists[user, gid] = tuple(sorted(found))
        return self._lists[user, gid]

    def _user(self, key: str | int) -> Account | None:
        if sys.platform == "win32":
            raise UnsupportedPlatformError(_NO_DATABASE)
        import pwd

        if key not in self._users:
            try:
                entry = pwd.getpwnam(key) if isinstance(key, str) else pwd.getpwuid(key)
            except KeyError:
                self._users[key] = None
            else:
                self._users[key] = Account(
                    entry.pw_name,
                    Uid(entry.pw_uid),
                    Gid(entry.pw_gid),
                    entry.pw_dir or "/",
                    # An empty field means /bin/sh, passwd(5).
                    entry.pw_shell or "/bin/sh",
                )
        return self._users[key]

    def _group(self, key: str | int) -> Group | None:
        if sys.platform == "win32":
            raise UnsupportedPlatformError(_NO_DATABASE)
        import grp

        if key not in self._groups:
            try:
                entry = grp.getgrnam(key) if isinstance(key, str) else grp.getgrgid(key)
            except KeyError:
                self._groups[key] = None
            else:
                members = tuple(entry.gr_mem)
                self._groups[key] = Group(entry.gr_name, Gid(entry.gr_gid), members)
        return self._groups[key]


class StaticAccounts:
    """A fixed database, for tests and for machines that are not this one.

    Args:
        users: the accounts; of several with one uid, the first is that uid's user.
        groups: the groups, with their members.
    """

    def __init__(self, users: Iterable[Account] = (), groups: Iterable[Group] = ()) -> None:
        self._users = tuple(users)
        self._groups = tuple(groups)

    @property
    def users(self) -> tuple[Account, ...]:
        """Every account, in the order given."""
        return self._users

    @property
    def groups(self) -> tuple[Group, ...]:
        """Every group, in the order given."""
        return self._groups

    def user_by_name(self, name: UserName) -> Account | None:
        """Return the user of that name, or None."""
        return next((user for user in self._users if user.name == name), None)

    def user_by_uid(self, uid: Uid) -> Account | None:
        """Return the first user of that uid, or None."""
        return next((user for user in self._users if user.uid == uid), None)

    def group_by_name(self, name: GroupName) -> Group | None:
        """Return the group of that name, or None."""
        return next((group for group in self._groups if group.name == name), None)

    def group_by_gid(self, gid: Gid) -> Group | None:
        """Return the group of that gid, or None."""
        return next((group for group in self._groups if group.gid == gid), None)

    def groups_of(self, user: str, gid: Gid) -> tuple[Gid, ...]:
        """Return the groups that have *user* as a member, and *gid*, ascending."""
        return tuple(sorted({gid} | {group.gid for group in self._groups if user in group.members}))
