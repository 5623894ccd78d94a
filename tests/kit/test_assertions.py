"""What a test reads where the credentials are not what it expects."""

from __future__ import annotations

import pytest

from abdicate.errors import SpecError
from abdicate.identity.capabilities import Capability, CapabilitySet
from abdicate.identity.ids import Uid
from abdicate.testing import FakeKernel, assert_held, credential_diff

_BIND = CapabilitySet.of(Capability.NET_BIND_SERVICE)


def test_what_is_held_is_no_failure() -> None:
    """Whatever is asked, and in whatever order the groups are named."""
    kernel = FakeKernel.user(1000, groups=(4, 1000), capabilities=_BIND)
    assert_held(
        kernel, uid=1000, gid=1000, groups=(1000, 4), capabilities=_BIND, no_new_privs=False
    )


def test_what_is_not_asked_is_not_compared() -> None:
    """A test says what it is about, and no more."""
    assert_held(FakeKernel.root())


@pytest.mark.parametrize(
    ("asked", "slots"),
    [
        ({"uid": 1001}, ("real uid", "effective uid", "saved uid", "filesystem uid")),
        ({"gid": 4}, ("real gid", "effective gid", "saved gid", "filesystem gid")),
        ({"groups": (4,)}, ("supplementary groups",)),
        ({"groups": ()}, ("supplementary groups",)),
        ({"capabilities": _BIND}, ("permitted set", "effective set")),
        ({"bounding": _BIND}, ("bounding set",)),
        ({"no_new_privs": True}, ("no_new_privs",)),
    ],
    ids=str,
)
def test_each_slot_that_differs_is_named(asked: dict[str, object], slots: tuple[str, ...]) -> None:
    """With what was expected, and what was observed."""
    with pytest.raises(AssertionError) as caught:
        assert_held(FakeKernel.user(1000), **asked)  # type: ignore[arg-type]  # one of them each
    lines = str(caught.value).splitlines()[1:]
    assert tuple(line.partition("  ")[0] for line in lines) == slots
    assert all("expected" in line and "observed" in line for line in lines)


def test_a_thread_that_stayed_root_is_named() -> None:
    """The others are not."""
    root, user = FakeKernel.root(), FakeKernel.user(1000)
    kernel = FakeKernel(user.credentials(), threads=[root.credentials()])
    with pytest.raises(AssertionError, match="thread 4243 does not hold") as caught:
        assert_held(kernel, uid=1000)
    assert "thread 4242" not in str(caught.value)


def test_the_saved_uid_alone_is_enough() -> None:
    """From there everything can be had again, credentials(7)."""
    kernel = FakeKernel.root()
    kernel.set_resuid(Uid(1000), Uid(1000), None)
    with pytest.raises(AssertionError, match=r"saved uid +expected 1000, observed 0"):
        assert_held(kernel, uid=1000)


def test_no_id_is_not_an_id() -> None:
    """-1 means "leave it" to the kernel: a test that expects it is wrong."""
    with pytest.raises(SpecError):
        assert_held(FakeKernel.root(), uid=-1)


def test_the_same_credentials_have_no_difference() -> None:
    """And so there is nothing to read."""
    held = FakeKernel.root().credentials()
    assert credential_diff(held, held) == ""
