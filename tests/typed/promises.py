"""What an app's type checker is told of the public names; checked, and never executed."""

from __future__ import annotations

from typing import assert_type

import abdicate
from abdicate import platforms
from abdicate.identity.accounts import AccountDatabase
from abdicate.identity.ids import Gid, Uid
from abdicate.testing import FakeKernel, StaticAccounts


def from_config_to_proof(accounts: AccountDatabase) -> abdicate.Dropped:
    """The way of an app that builds its drop from a config file."""
    config = abdicate.load_config("abdicate.toml")
    profile = assert_type(config.profile("web"), abdicate.Profile)
    drop = assert_type(profile.drop, abdicate.PrivilegeDrop)
    assert_type(drop.resolve(accounts), abdicate.Identity)
    plan = assert_type(drop.plan(accounts), abdicate.Plan)
    assert_type(plan.explain(), str)
    assert_type(plan.to_json(), str)
    assert_type(abdicate.Plan.from_json(plan.to_json()), abdicate.Plan)
    proof = assert_type(abdicate.execute(plan), abdicate.Dropped)
    assert_type(proof.report, abdicate.DropReport)
    return assert_type(drop.apply(), abdicate.Dropped)


def on_the_model(plan: abdicate.Plan) -> None:
    """The way of an app's tests: the model stands where the kernel does."""
    accounts: AccountDatabase = StaticAccounts()
    assert_type(abdicate.execute(plan, FakeKernel.root()), abdicate.Dropped)
    assert_type(abdicate.PrivilegeDrop(user="web").plan(accounts), abdicate.Plan)


def looks(pid: int) -> None:
    """What is held, by this process and by others."""
    assert_type(abdicate.Credentials.current(), abdicate.Credentials)
    assert_type(abdicate.Credentials.of(pid), abdicate.Credentials)
    assert_type(abdicate.Credentials.of_threads(pid), dict[int, abdicate.Credentials])
    found = abdicate.audit(pid)
    assert_type(found, "abdicate.ProcessAudit | None")
    if found is not None:
        assert_type(found.is_root, bool)


def the_function_api() -> None:
    """The way of an app that changed an import."""
    assert_type(platforms.parse_uid("web"), Uid)
    assert_type(platforms.parse_gid(0), Gid)
    platforms.maybe_drop_privileges(uid="web", gid="web")
    assert_type(platforms.signals.signum("TERM"), int)
    assert_type(platforms.EX_OK, int)
