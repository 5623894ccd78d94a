"""The pytest plugin, which pytest finds by itself where abdicate is installed.

The fixtures ``fake_kernel`` and ``fake_accounts`` make the drops of the app under test run on
the model, without root. What they start from are fixtures too, for the app to override:
``fake_kernel_start`` and ``fake_accounts_start``. A failed comparison of two `Credentials` says
which slots differ.

Nothing of abdicate is loaded before a test asks for a fixture.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from abdicate.testing import FakeKernel, StaticAccounts

__all__ = ["fake_accounts", "fake_accounts_start", "fake_kernel", "fake_kernel_start"]


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Explain a failed ``expected == observed`` of two `Credentials`, slot by slot."""
    if op != "==" or "abdicate.identity.credentials" not in sys.modules:
        return None
    from abdicate.identity.credentials import Credentials
    from abdicate.testing.assertions import credential_diff

    if not isinstance(left, Credentials) or not isinstance(right, Credentials):
        return None

    lines = credential_diff(left, right).splitlines()
    return ["the credentials differ (left is expected, right is observed):", *lines]


@pytest.fixture
def fake_kernel_start() -> FakeKernel:
    """The process that the app starts as: root, with every capability, and one thread."""
    from abdicate.testing import FakeKernel

    return FakeKernel.root()


@pytest.fixture
def fake_kernel(fake_kernel_start: FakeKernel) -> Iterator[FakeKernel]:
    """The kernel on which every drop is made while the test runs; the process stays as it is."""
    from abdicate.testing import standing_in

    with standing_in(kernel=fake_kernel_start):
        yield fake_kernel_start


@pytest.fixture
def fake_accounts_start() -> StaticAccounts:
    """The accounts that the app finds: root, nobody, and app, who is in the group logs."""
    from abdicate.identity.accounts import Account, Group, StaticAccounts
    from abdicate.identity.ids import Gid, Uid

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
    from abdicate.testing import standing_in

    with standing_in(accounts=fake_accounts_start):
        yield fake_accounts_start
