"""What only a call tells, held against what /proc says of the same thread."""

from __future__ import annotations

import os
import signal

import pytest

from abdicate.identity import native
from abdicate.identity.capabilities import CapabilitySets, Securebits
from harness.child import in_child, thread_statuses

pytestmark = pytest.mark.needs("linux")

# linux/prctl.h.
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_KEEPCAPS = 8
_PR_SET_NO_NEW_PRIVS = 38


def _status() -> dict[str, str]:
    return thread_statuses(os.getpid())[os.getpid()]


def _after(option: int, argument: int) -> tuple[object, ...]:
    """Return, from a child, what the readers say before and after a prctl(2)."""

    def ask() -> tuple[object, ...]:
        return (
            native.parent_death_signal(),
            native.dumpable(),
            native.keeps_capabilities(),
            native.no_new_privs(),
        )

    def child() -> tuple[object, ...]:
        before = ask()
        assert native.libc().prctl(option, argument, 0, 0, 0) == 0
        return tuple(
            (old, new) for old, new in zip(before, ask(), strict=True) if old != new
        )  # what has changed, and nothing else

    return in_child(child)


def test_the_five_sets_are_those_of_proc() -> None:
    """Without /proc they are asked by capget and prctl."""
    sets, status = native.capabilities(), _status()
    assert sets is not None
    keys = {
        "inheritable": "CapInh",
        "permitted": "CapPrm",
        "effective": "CapEff",
        "bounding": "CapBnd",
        "ambient": "CapAmb",
    }
    assert list(keys) == list(CapabilitySets.__fields__)
    for name, key in keys.items():
        assert getattr(sets, name).mask == int(status[key], 16)


def test_the_filesystem_ids_are_those_of_proc() -> None:
    """Asking changes nothing."""
    for _ in range(2):
        assert native.filesystem_uid() == int(_status()["Uid"].split()[3])
        assert native.filesystem_gid() == int(_status()["Gid"].split()[3])


def test_no_new_privs_is_that_of_proc() -> None:
    """Off here, as a test runner has it, or not."""
    assert native.no_new_privs() is (_status()["NoNewPrivs"] == "1")


def test_no_new_privs_is_seen_when_it_is_switched_on() -> None:
    """And nothing else has changed."""
    if native.no_new_privs():
        pytest.skip("it is on already")
    assert _after(_PR_SET_NO_NEW_PRIVS, 1) == ((False, True),)


def test_the_parent_death_signal_is_seen() -> None:
    """A child has none until it asks for one."""
    assert _after(_PR_SET_PDEATHSIG, signal.SIGTERM) == ((0, signal.SIGTERM),)


def test_dumpable_is_seen() -> None:
    """An ordinary process is, until it says otherwise."""
    if native.dumpable() != 1:
        pytest.skip("this process is not dumpable")
    assert _after(_PR_SET_DUMPABLE, 0) == ((1, 0),)


def test_keep_capabilities_is_seen_and_is_a_securebit() -> None:
    """P26: two names for one bit."""

    def child() -> tuple[bool | None, Securebits | None]:
        native.libc().prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
        return native.keeps_capabilities(), native.securebits()

    kept, bits = in_child(child)
    assert kept is True
    assert bits is not None
    assert bits & Securebits.KEEP_CAPS


def test_libc_is_loaded_once() -> None:
    """After a chroot it could not be loaded again."""
    assert native.libc() is native.libc()
