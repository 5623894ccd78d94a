"""`DropRequest`: where every way of asking meets, and one path leads on."""

from __future__ import annotations

import pytest

from abdicate.errors import (
    IncompleteDropError,
    PreflightError,
    SpecError,
    UnknownGroupError,
    UnknownUserError,
)
from abdicate.identity.accounts import Account, Group, StaticAccounts
from abdicate.identity.credentials import Credentials, ResGid, ResUid
from abdicate.identity.ids import Gid, GroupName, Owner, Uid, UserName
from abdicate.identity.resolve import ExactGroups, Identity, InitGroups, KeepGroups
from abdicate.identity.situation import ResourceLimit
from abdicate.plan.plan import Plan
from abdicate.plan.policy import DropPolicy
from abdicate.request import DropRequest
from abdicate.testing import FakeKernel
from unit.making import gids

_ACCOUNTS = StaticAccounts(
    [Account("root", Uid(0), Gid(0), "/root"), Account("app", Uid(1000), Gid(1000), "/srv/app")],
    [Group("adm", Gid(4), ("app",)), Group("web", Gid(33))],
)
_APP = Owner(UserName("app"))
_KEEP = DropPolicy(environment="keep")


def _kernel() -> FakeKernel:
    return FakeKernel.root(groups=(0, 4, 27))


def test_it_is_a_value() -> None:
    """Equal, hashable, and by default it asks for nothing."""
    assert DropRequest(_APP) == DropRequest(owner=_APP)
    assert hash(DropRequest(_APP)) == hash(DropRequest(_APP))
    assert DropRequest() == DropRequest(Owner(), None, None, DropPolicy())


class TestResolve:
    """`DropRequest.resolve`."""

    def test_it_looks_every_name_up(self) -> None:
        """In the database that is given."""
        request = DropRequest(
            Owner(UserName("app"), GroupName("web")), ExactGroups((GroupName("adm"),)), "/elsewhere"
        )
        assert request.resolve(_ACCOUNTS, _kernel()) == Identity(
            "app", Uid(1000), Gid(33), gids(4, 33), "/elsewhere"
        )

    def test_what_stays_is_the_kernels(self) -> None:
        """The present credentials of that process, and not of this one."""
        kernel = FakeKernel.user(1000, groups=(1000, 7))
        assert DropRequest().resolve(_ACCOUNTS, kernel) == Identity(
            "app", Uid(1000), Gid(1000), gids(7, 1000), "/srv/app"
        )
        kept = DropRequest(_APP, KeepGroups())
        assert kept.resolve(_ACCOUNTS, _kernel()).groups == gids(0, 4, 27)

    @pytest.mark.needs("linux")
    def test_by_default_it_asks_this_machine(self) -> None:
        """Its database, and this process."""
        identity = DropRequest(Owner(Uid(0), Gid(0))).resolve()
        assert (identity.uid, identity.gid) == (0, 0)
        own = Credentials.current()
        if own.uid == ResUid.all(own.uid.real) and own.gid == ResGid.all(own.gid.real):
            assert DropRequest().resolve().uid == own.uid.real

    @pytest.mark.parametrize(
        ("request_", "error"),
        [
            (DropRequest(Owner(UserName("nosuch"))), UnknownUserError),
            (DropRequest(Owner(Uid(4242))), UnknownUserError),
            (DropRequest(Owner(UserName("app"), GroupName("nosuch"))), UnknownGroupError),
            (DropRequest(Owner(Uid(4242), Gid(1)), InitGroups()), SpecError),
        ],
    )
    def test_it_tells_what_is_unknown(self, request_: DropRequest, error: type[Exception]) -> None:
        """P1, P12: in each of its three ways; and nothing has changed."""
        kernel = _kernel()
        for ask in (request_.resolve, request_.plan, request_.apply):
            with pytest.raises(error):
                ask(_ACCOUNTS, kernel)
        assert kernel.calls == []


class TestPlan:
    """`DropRequest.plan`."""

    def test_it_plans_for_that_process_as_it_is_now(self) -> None:
        """And changes nothing."""
        kernel = _kernel()
        plan = DropRequest(_APP, policy=_KEEP).plan(_ACCOUNTS, kernel)
        assert plan.prior == kernel.credentials()
        assert [step.kind for step in plan.steps] == ["groups", "gid", "uid"]
        kernel.set_groups(gids(4, 1000))
        again = DropRequest(_APP, policy=_KEEP).plan(_ACCOUNTS, kernel)
        assert [step.kind for step in again.steps] == ["gid", "uid"]

    def test_it_reads_the_limits_that_are_asked_for(self) -> None:
        """So one that is so already is no step."""
        present = _kernel().resource_limit("nofile")
        assert present is not None
        for limit, steps in ((present, 0), (ResourceLimit("nofile", 7, 7), 1)):
            policy = _KEEP.replace(limits=(limit,))
            plan = DropRequest(_APP, policy=policy).plan(_ACCOUNTS, _kernel())
            assert len(plan.steps) == 3 + steps

    def test_the_variables_of_a_user_who_stays_stay(self) -> None:
        """P40 is about the old user's; "reset" and "keep" mean what they say."""
        kernel = FakeKernel.root(environment={"HOME": "/elsewhere", "USER": "root"})
        for owner, environment, changes in (
            (Owner(None, Gid(33)), "account", False),
            (Owner(None, Gid(33)), "keep", False),
            (Owner(None, Gid(33)), "reset", True),
            (Owner(Uid(0), Gid(33)), "account", True),
        ):
            policy = DropPolicy(allow_root=True, allow_root_group=True)
            policy = policy.replace(environment=environment)
            plan = DropRequest(owner, policy=policy).plan(_ACCOUNTS, kernel)
            assert any(step.kind == "environment" for step in plan.steps) is changes

    def test_root_has_to_be_allowed(self) -> None:
        """P1, P7: whether it is named or stays."""
        for owner in (Owner(UserName("root")), Owner(Uid(0)), Owner(Uid(0), Gid(0)), Owner()):
            with pytest.raises(PreflightError, match="allow_root"):
                DropRequest(owner).plan(_ACCOUNTS, _kernel())

    @pytest.mark.needs("linux")
    def test_by_default_it_is_for_this_process(self) -> None:
        """As it is now, and whether or not it may."""
        request = DropRequest(Owner(Uid(1), Gid(1)), policy=_KEEP)
        assert isinstance(request.plan(), Plan)
        assert request.plan().prior == Credentials.current()

    @pytest.mark.parametrize("home", ["", "srv", "/srv\0x", "/\ud800"], ids=repr)
    def test_a_home_that_could_not_be_set_is_refused(self, home: str) -> None:
        """P29: the variable would fail after the point of no return."""
        with pytest.raises(SpecError, match="home"):
            DropRequest(_APP, home=home).plan(_ACCOUNTS, _kernel())


class TestApply:
    """`DropRequest.apply`."""

    def test_it_carries_the_plan_out(self) -> None:
        """And returns the proof, with the report."""
        kernel = _kernel()
        request = DropRequest(_APP, policy=_KEEP)
        plan = request.plan(_ACCOUNTS, kernel)
        report = request.apply(_ACCOUNTS, kernel).report
        assert report.ok
        assert report.plan == plan
        assert list(plan.goal.differences(kernel.credentials())) == []

    def test_twice_is_once(self) -> None:
        """P42: the second time there is nothing to do, and that is success."""
        kernel = _kernel()
        request = DropRequest(_APP)
        request.apply(_ACCOUNTS, kernel)
        assert request.apply(_ACCOUNTS, kernel).report.plan.steps == ()

    def test_what_stands_in_the_way_changes_nothing(self) -> None:
        """P19: an ordinary user who asks for another."""
        kernel = FakeKernel.user(2000)
        before = kernel.credentials()
        with pytest.raises(PreflightError, match="CAP_SETUID"):
            DropRequest(_APP).apply(_ACCOUNTS, kernel)
        assert kernel.credentials() == before
        assert kernel.calls == []

    def test_what_fails_on_the_way_is_no_exception(self) -> None:
        """P29: and holds the report."""
        kernel = _kernel()
        kernel.fail("set_resuid", 11)
        with pytest.raises(IncompleteDropError) as caught:
            DropRequest(_APP).apply(_ACCOUNTS, kernel)
        assert not caught.value.report.ok
