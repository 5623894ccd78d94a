"""From names to one identity: every policy, for users with and without an entry."""

from __future__ import annotations

import pytest

from abdicate.errors import PreflightError, SpecError, UnknownGroupError, UnknownUserError
from abdicate.identity.accounts import Account, Group, StaticAccounts
from abdicate.identity.credentials import Credentials
from abdicate.identity.ids import Gid, GroupName, Owner, Uid, UserName, parse_owner
from abdicate.identity.resolve import (
    AddGroups,
    ExactGroups,
    GroupPolicy,
    Identity,
    InitGroups,
    KeepGroups,
    OnlyGroup,
    resolve,
    resolve_gid,
    resolve_uid,
)
from unit.making import AS_ROOT, gids, holding

_ACCOUNTS = StaticAccounts(
    [
        Account("root", Uid(0), Gid(0), "/root", "/bin/bash"),
        Account("app", Uid(1000), Gid(1000), "/srv/app", "/bin/zsh"),
        Account("4000", Uid(5000), Gid(5000)),
    ],
    [
        Group("root", Gid(0)),
        Group("adm", Gid(4), ("app",)),
        Group("app", Gid(1000)),
        Group("web", Gid(33)),
        Group("ops", Gid(50), ("root",)),
    ],
)
_NAMES = (GroupName("web"), Gid(77))

_INIT, _ONLY, _KEEP = InitGroups(), OnlyGroup(), KeepGroups()
_EXACTLY, _NOTHING, _ADD = ExactGroups(_NAMES), ExactGroups(()), AddGroups(_NAMES)


def _resolved(
    owner: str, policy: GroupPolicy | None = None, current: Credentials = AS_ROOT
) -> Identity:
    return resolve(parse_owner(owner), policy, _ACCOUNTS, current)


@pytest.mark.parametrize(
    ("owner", "policy", "gid", "groups"),
    [
        # A user with an entry; the login group.
        ("app", None, 1000, (4, 1000)),
        ("app", _INIT, 1000, (4, 1000)),
        ("app", _ONLY, 1000, (1000,)),
        ("app", _EXACTLY, 1000, (33, 77, 1000)),
        ("app", _NOTHING, 1000, (1000,)),
        ("app", _ADD, 1000, (4, 33, 77, 1000)),
        ("app", _KEEP, 1000, (0, 4, 27)),
        ("app:", None, 1000, (4, 1000)),
        # The same by number: it has an entry.
        ("1000", None, 1000, (4, 1000)),
        ("1000", _ADD, 1000, (4, 33, 77, 1000)),
        # A user with an entry; a group that is named.
        ("app:web", None, 33, (4, 33)),
        ("app:web", _INIT, 33, (4, 33)),
        ("app:web", _ONLY, 33, (33,)),
        ("app:web", _EXACTLY, 33, (33, 77)),
        ("app:web", _NOTHING, 33, (33,)),
        ("app:web", _ADD, 33, (4, 33, 77)),
        ("app:web", _KEEP, 33, (0, 4, 27)),
        ("app:99", None, 99, (4, 99)),
        # A uid without an entry; a group that is named.
        ("4242:web", None, 33, (33,)),
        ("4242:web", _ONLY, 33, (33,)),
        ("4242:web", _EXACTLY, 33, (33, 77)),
        ("4242:web", _NOTHING, 33, (33,)),
        ("4242:web", _ADD, 33, (33, 77)),
        ("4242:web", _KEEP, 33, (0, 4, 27)),
        ("4242:4242", None, 4242, (4242,)),
        # Root, by name, by number and as a group.
        ("root", None, 0, (0, 50)),
        ("0", None, 0, (0, 50)),
        ("0:0", None, 0, (0, 50)),
        ("app:0", None, 0, (0, 4)),
        ("app:root", _ONLY, 0, (0,)),
        ("4242:0", None, 0, (0,)),
        # No user: root stays here.
        (":web", None, 33, (33,)),
        (":web", _INIT, 33, (33, 50)),
        (":web", _ONLY, 33, (33,)),
        (":web", _EXACTLY, 33, (33, 77)),
        (":web", _NOTHING, 33, (33,)),
        (":web", _ADD, 33, (33, 50, 77)),
        (":web", _KEEP, 33, (0, 4, 27)),
        (":0", None, 0, (0,)),
    ],
)
def test_each_policy_for_each_kind_of_owner(
    owner: str, policy: GroupPolicy | None, gid: int, groups: tuple[int, ...]
) -> None:
    """P7, P12, P13: nothing is taken for absent, and nothing of the caller's stays unasked."""
    identity = _resolved(owner, policy)
    assert (identity.gid, identity.groups) == (gid, gids(*groups))


@pytest.mark.parametrize(
    ("policy", "groups"),
    [
        (None, (0, 4, 27)),
        (_KEEP, (0, 4, 27)),
        (_INIT, (0, 50)),
        (_ONLY, (0,)),
        (_EXACTLY, (0, 33, 77)),
        (_NOTHING, (0,)),
        (_ADD, (0, 33, 50, 77)),
    ],
)
def test_each_policy_where_nobody_is_named(
    policy: GroupPolicy | None, groups: tuple[int, ...]
) -> None:
    """The user and the group stay, and so do the groups unless a policy says otherwise."""
    identity = resolve(Owner(), policy, _ACCOUNTS, AS_ROOT)
    assert (identity.user, identity.uid, identity.gid) == ("root", 0, 0)
    assert identity.groups == gids(*groups)


@pytest.mark.parametrize("policy", [_INIT, _ONLY, _EXACTLY, _NOTHING, _ADD, None])
@pytest.mark.parametrize("owner", ["app", "app:web", "root", "app:99", ":web"])
def test_the_gid_is_among_the_groups(owner: str, policy: GroupPolicy | None) -> None:
    """P15: or a file that is closed to that group would be open to it (CVE-2022-36109)."""
    identity = _resolved(owner, policy)
    assert identity.gid in identity.groups
    assert list(identity.groups) == sorted(set(identity.groups))


def test_the_callers_groups_do_not_stay() -> None:
    """P10, P12: neither with a name nor with a number."""
    caller = holding(0, 0, (0, 4, 27, 1234))
    for owner in ("app", "4242:4242"):
        assert 1234 not in _resolved(owner, current=caller).groups


def test_no_groups_are_an_answer() -> None:
    """P13: an empty list is not None (CVE-2023-6507)."""
    assert _resolved("app", ExactGroups(())).groups == gids(1000)
    assert _resolved("app", AddGroups(())).groups == gids(4, 1000)
    assert _resolved("app", None).groups == gids(4, 1000)


@pytest.mark.parametrize("policy", [None, _INIT, _ONLY, _EXACTLY, _ADD, _KEEP])
def test_a_uid_without_an_entry_needs_a_group(policy: GroupPolicy | None) -> None:
    """P12: rust's privdrop and moby keep the caller's gid, which is root's."""
    with pytest.raises(UnknownUserError, match="name one, as in 4242:GROUP") as caught:
        _resolved("4242", policy)
    assert caught.value.name == 4242


@pytest.mark.parametrize("owner", ["4242:web", "4242:4242"])
def test_a_uid_without_an_entry_has_no_groups_in_the_database(owner: str) -> None:
    """To ask for them is an error, and not an empty answer."""
    with pytest.raises(SpecError, match="a uid without an entry has no groups") as caught:
        _resolved(owner, _INIT)
    assert caught.value.field == "groups"


def test_digits_are_never_a_name() -> None:
    """P3: there is a user called 4000, and "4000" is not that user."""
    with pytest.raises(UnknownUserError):
        _resolved("4000")
    assert _resolved("4000:web").uid == 4000
    assert _resolved("5000").user == "4000"


@pytest.mark.parametrize("policy", [None, _INIT, _ONLY, _KEEP])
@pytest.mark.parametrize("owner", ["nosuch", "nosuch:web", "nosuch:", "nosuch:0"])
def test_an_unknown_user_is_refused(owner: str, policy: GroupPolicy | None) -> None:
    """P1: it never falls through to root."""
    with pytest.raises(UnknownUserError, match="no such user") as caught:
        _resolved(owner, policy)
    assert caught.value.name == "nosuch"


@pytest.mark.parametrize("owner", ["app:nosuch", ":nosuch", "4242:nosuch", "0:nosuch"])
def test_an_unknown_group_is_refused(owner: str) -> None:
    """P1: it never falls through to root's, nor to the login group."""
    with pytest.raises(UnknownGroupError, match="no such group") as caught:
        _resolved(owner)
    assert caught.value.name == "nosuch"


@pytest.mark.parametrize("kind", [ExactGroups, AddGroups])
def test_an_unknown_group_of_a_list_is_refused(kind: type[ExactGroups | AddGroups]) -> None:
    """None of the list is left out in silence."""
    with pytest.raises(UnknownGroupError, match="nosuch"):
        _resolved("app", kind((Gid(4), GroupName("nosuch"))))


def test_a_group_by_number_needs_no_entry() -> None:
    """Nor is one looked for: 0 is 0."""
    assert resolve_gid(Gid(0), StaticAccounts()) == 0
    assert resolve_gid(Gid(4242), StaticAccounts()) == 4242
    assert resolve_gid(GroupName("adm"), _ACCOUNTS) == 4


def test_a_user_by_number_needs_no_entry() -> None:
    """Nor is one looked for: 4000 is not the user of that name."""
    assert resolve_uid(Uid(0), StaticAccounts()) == 0
    assert resolve_uid(Uid(4000), _ACCOUNTS) == 4000
    assert resolve_uid(UserName("app"), _ACCOUNTS) == 1000
    with pytest.raises(UnknownUserError, match="nosuch"):
        resolve_uid(UserName("nosuch"), _ACCOUNTS)


class TestNames:
    """User, home and shell."""

    def test_they_are_the_entrys(self) -> None:
        """By name and by number."""
        for owner in ("app", "1000", "app:web"):
            identity = _resolved(owner)
            assert (identity.user, identity.uid) == ("app", 1000)
            assert (identity.home, identity.shell) == ("/srv/app", "/bin/zsh")

    def test_without_an_entry_there_is_no_name(self) -> None:
        """P43: and the home is the root directory."""
        identity = _resolved("4242:web")
        assert (identity.user, identity.home, identity.shell) == (None, "/", "/bin/sh")

    @pytest.mark.parametrize("owner", ["app", "4242:web", ":web"])
    def test_another_home_may_be_given(self, owner: str) -> None:
        """In place of the entry's, or of none."""
        identity = resolve(parse_owner(owner), None, _ACCOUNTS, AS_ROOT, home="/var/lib/app")
        assert identity.home == "/var/lib/app"

    def test_the_present_user_without_an_entry_may_stay(self) -> None:
        """P43: as in a container with ``USER 4242``."""
        current = holding(4242, 0, (0,))
        identity = resolve(Owner(), None, _ACCOUNTS, current)
        assert identity == Identity(None, Uid(4242), Gid(0), gids(0))


class TestStaying:
    """A half that is not named stays; where there is more than one, nothing is guessed."""

    @pytest.mark.parametrize("uids", [(0, 1000, 0), (1000, 0, 0), (1000, 1000, 0), (0, 0, 1000)])
    @pytest.mark.parametrize("owner", [Owner(), Owner(None, Gid(33))])
    def test_more_than_one_uid_is_refused(self, owner: Owner, uids: tuple[int, int, int]) -> None:
        """P28: the real uid alone says nothing."""
        with pytest.raises(PreflightError, match="the process holds more than one"):
            resolve(owner, None, _ACCOUNTS, holding(uids, 1000, (1000,)))

    @pytest.mark.parametrize("three", [(0, 1000, 1000), (1000, 1000, 0), (1000, 0, 1000)])
    def test_more_than_one_gid_is_refused(self, three: tuple[int, int, int]) -> None:
        """P28: where the group is to stay."""
        with pytest.raises(PreflightError, match="the process holds more than one"):
            resolve(Owner(), None, _ACCOUNTS, holding(1000, three, (1000,)))

    def test_more_than_one_gid_is_no_matter_where_one_is_named(self) -> None:
        """It is going to be that one."""
        current = holding(1000, (0, 1000, 0), (1000,))
        assert resolve(Owner(None, Gid(33)), None, _ACCOUNTS, current).gid == 33

    def test_mixed_uids_are_no_matter_where_a_user_is_named(self) -> None:
        """P28: they all become that one."""
        current = holding((0, 1000, 0), (0, 1000, 0), (1000,))
        identity = resolve(Owner(UserName("app")), None, _ACCOUNTS, current)
        assert (identity.uid, identity.gid) == (1000, 1000)


def test_an_identity_reads_as_a_phrase() -> None:
    """With every number."""
    assert str(_resolved("app")) == "app (uid 1000, gid 1000, groups 4 1000)"
    assert str(_resolved("4242:33")) == "no name (uid 4242, gid 33, groups 33)"
    assert str(Identity("a", Uid(1), Gid(2), ())) == "a (uid 1, gid 2, groups none)"
