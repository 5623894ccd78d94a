"""An account database that asks another one once for each name and id."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from typing import TypeVar

    from abdicate.identity.accounts import Account, AccountDatabase, Group
    from abdicate.identity.ids import Gid, GroupName, Uid, UserName

    K = TypeVar("K", bound=Hashable)
    V = TypeVar("V")

__all__ = ["CachedAccounts"]


class CachedAccounts:
    """Remembers every answer, "there is none" too; follows `AccountDatabase`.

    For judging many profiles at once: behind a directory server each look-up is a round trip.
    It never forgets, so it is made for one run and not for the life of a server.

    Args:
        accounts: whom to ask.
    """

    def __init__(self, accounts: AccountDatabase) -> None:
        self._accounts = accounts
        self._users: dict[UserName, Account | None] = {}
        self._uids: dict[Uid, Account | None] = {}
        self._groups: dict[GroupName, Group | None] = {}
        self._gids: dict[Gid, Group | None] = {}
        self._memberships: dict[tuple[str, Gid], tuple[Gid, ...]] = {}

    def user_by_name(self, name: UserName) -> Account | None:
        """Return the user of that name, None where there is none."""
        return _once(self._users, name, self._accounts.user_by_name)

    def user_by_uid(self, uid: Uid) -> Account | None:
        """Return the user with that uid, None where there is none."""
        return _once(self._uids, uid, self._accounts.user_by_uid)

    def group_by_name(self, name: GroupName) -> Group | None:
        """Return the group of that name, None where there is none."""
        return _once(self._groups, name, self._accounts.group_by_name)

    def group_by_gid(self, gid: Gid) -> Group | None:
        """Return the group with that gid, None where there is none."""
        return _once(self._gids, gid, self._accounts.group_by_gid)

    def groups_of(self, user: str, gid: Gid) -> tuple[Gid, ...]:
        """Return every group that the database gives the user, and *gid*."""
        return _once(
            self._memberships, (user, gid), lambda asked: tuple(self._accounts.groups_of(*asked))
        )


def _once(known: dict[K, V], asked: K, look_up: Callable[[K], V]) -> V:
    if asked not in known:
        known[asked] = look_up(asked)
    return known[asked]
