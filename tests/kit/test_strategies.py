"""What the public strategies draw is valid, and reaches the edges."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, find, given, settings

from abdicate.identity.accounts import StaticAccounts
from abdicate.identity.capabilities import CapabilitySet
from abdicate.identity.credentials import Credentials
from abdicate.identity.ids import Gid, GroupName, Uid, UserName
from abdicate.specs.drop import PrivilegeDrop
from abdicate.specs.profile import Profile
from abdicate.testing import FakeKernel, strategies

_QUICK = settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


@given(strategies.credentials())
@_QUICK
def test_a_process_can_start_with_any_of_the_credentials(held: Credentials) -> None:
    """The model refuses what no thread can hold."""
    assert FakeKernel(held).credentials().uid == held.uid


@given(strategies.accounts(), strategies.user_names(), strategies.group_names())
@_QUICK
def test_every_account_is_found_by_its_name_and_its_number(
    database: StaticAccounts, user: UserName, group: GroupName
) -> None:
    """And root is always among them."""
    assert database.users[0].name == "root"
    for account in database.users:
        assert database.user_by_name(UserName(account.name)) == account
        found = database.user_by_uid(account.uid)
        assert found is not None
        assert found.uid == account.uid
    for one in database.groups:
        assert {user.name for user in database.users} >= set(one.members)
    assert database.user_by_name(user) is None or str(user) in {u.name for u in database.users}
    assert isinstance(group, str)


@given(strategies.drops())
@_QUICK
def test_a_drop_is_the_same_after_json(drop: PrivilegeDrop) -> None:
    """It is a spec like any other."""
    assert PrivilegeDrop.model_validate_json(drop.model_dump_json()) == drop


@pytest.mark.filterwarnings("ignore::abdicate.errors.SecurityWarning")
def test_a_drop_within_a_database_can_be_resolved_there() -> None:
    """Each name in it is known."""

    @given(
        strategies.accounts().flatmap(
            lambda known: strategies.drops(known).map(lambda drop: (known, drop))
        )
    )
    @_QUICK
    def every(pair: tuple[StaticAccounts, PrivilegeDrop]) -> None:
        database, drop = pair
        assert drop.resolve(database).uid != 0

    every()


@given(strategies.profiles())
@_QUICK
def test_a_profile_has_a_command(profile: Profile) -> None:
    """So that it can be run and exported."""
    assert profile.exec[0] == "/bin/echo"
    assert profile.service is not None


def test_the_edges_are_reached() -> None:
    """Root, the highest id, full and empty sets, and bits that have no name."""
    highest = 2**32 - 2
    quick = settings(max_examples=300, derandomize=True, database=None)
    assert find(strategies.uids(), lambda uid: uid == highest, settings=quick) == Uid(highest)
    assert find(strategies.gids(), lambda gid: gid == 0, settings=quick) == Gid(0)
    assert not find(strategies.capability_sets(), lambda held: not held, settings=quick)
    nameless = find(strategies.capability_sets(), lambda held: held.mask >> 41, settings=quick)
    assert isinstance(nameless, CapabilitySet)


@given(strategies.uids(root=False), strategies.gids(root=False))
@_QUICK
def test_root_is_left_out_where_it_is_not_wanted(uid: Uid, gid: Gid) -> None:
    """Zero is root."""
    assert uid
    assert gid
