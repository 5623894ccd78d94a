"""The pytest plugin: ``pytest_plugins = ["abdicate.testing.plugin"]`` in an app's conftest.py.

The fixtures ``fake_kernel`` and ``fake_accounts`` make the drops of the app under test run on
the model, without root. What they start from are fixtures too, for the app to override:
``fake_kernel_start`` and ``fake_accounts_start``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from abdicate.identity.accounts import Account, Group, StaticAccounts
from abdicate.identity.ids import Gid, Uid
from abdicate.testing.fake_kernel import FakeKernel
from abdicate.testing.stand_in import standing_in

__all__ = ["fake_accounts", "fake_accounts_start", "fake_kernel", "fake_kernel_start"]


@pytest.fixture
def fake_kernel_start() -> FakeKernel:
    """The process that the app starts as: root, with every capability, and one thread."""
    return FakeKernel.root()


@pytest.fixture
def fake_kernel(fake_kernel_start: FakeKernel) -> Iterator[FakeKernel]:
    """The kernel on which every drop is made while the test runs; the process stays as it is."""
    with standing_in(kernel=fake_kernel_start):
        yield fake_kernel_start


@pytest.fixture
def fake_accounts_start() -> StaticAccounts:
    """The accounts that the app finds: root, nobody, and app, who is in the group logs."""
    return StaticAccounts(
        users=[
            Account("root", Uid(0), Gid(0), "/root"),
            Account("app", Uid(1000), Gid(1000), "/", "/usr/sbin/nologin"),
            Account("nobody", Uid(65534), Gid(65534), "/", "/usr/sbin/nologin"),
        ],
        groups=[
            Group("root", Gid(0)),
            Group("app", Gid(1000)),
            Group("logs", Gid(1001), ("app",)),
            Group("nogroup", Gid(65534)),
        ],
    )


@pytest.fixture
def fake_accounts(
    fake_accounts_start: StaticAccounts,
    fake_kernel: FakeKernel,
) -> Iterator[StaticAccounts]:
    """The account database in which every drop looks names up; and `fake_kernel` with it."""
    with standing_in(accounts=fake_accounts_start):
        yield fake_accounts_start
