"""P20 to P28: ids and capabilities that stayed behind, and who is taken for somebody already."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from abdicate import (
    IncompleteDropError,
    PreflightError,
    PrivilegeDrop,
)
from drops import raw
from drops.cases import as_root_often_starts
from drops.commandline import abdicate_in
from drops.outside import dropped, refused
from harness.child import error_in_child, held_child, in_child
from harness.seccomp import refuse

root = pytest.mark.needs("root")

Trace = Callable[[FrameType, str, Any], Any]  # sys.settrace's own type

# syscalls(2).
_SETRESUID = {"x86_64": 117, "aarch64": 147, "riscv64": 147}

WWW_DATA = ((33,) * 4, (33,) * 4, frozenset({33}))


def _drop(**fields: object) -> None:
    PrivilegeDrop.model_validate({"user": "www-data", **fields}).apply()


# P20, P21: the order, and answers that are looked at.


@root
def test_p20_the_gid_changes_while_it_still_can() -> None:
    """After the uid it is EPERM; here it is before."""

    def wrong_way_round() -> None:
        os.setresuid(33, 33, 33)
        os.setresgid(33, 33, 33)

    assert isinstance(error_in_child(wrong_way_round), PermissionError)
    assert dropped(as_root_often_starts, _drop).gids == (33,) * 4


@root
def test_p21_an_exec_that_rlimit_nproc_refuses_is_told_as_that() -> None:
    """setresuid(2) says yes, and execve(2) EAGAIN: there the reason is named."""
    words = ("run", "--user", "4242:4242", "--limit", "nproc=0", "--", "true")
    with held_child(lambda: raw.become(4242, 4242)) as another:
        assert another.value is None
        ended = abdicate_in(*words)
    assert (ended.exit_code, ended.out) == (126, "")
    assert len(ended.err.splitlines()) == 1
    assert "the new user has as many processes as RLIMIT_NPROC allows" in ended.err


@root
def test_p21_a_setresuid_that_fails_is_never_passed_over() -> None:
    """EAGAIN, as kernels before 3.1 said at RLIMIT_NPROC: the program's code does not run on."""

    def drop() -> tuple[str, tuple[int, int, int], tuple[int, int, int]]:
        as_root_often_starts()
        refuse(_SETRESUID[os.uname().machine], 11)
        try:
            _drop()
        except Exception as error:
            raise AssertionError(f"it could be swallowed: {error!r}") from error
        except IncompleteDropError as error:
            return str(error), os.getresgid(), raw.capget()
        raise AssertionError("it went through")

    message, gids, capabilities = in_child(drop)
    assert "step 3, uid: Set the real, effective and saved uid to 33. EAGAIN" in message
    assert gids == (33, 33, 33)
    assert capabilities == (0, 0, 0)


# P22 to P27: what setuid leaves behind.


def _no_way_back() -> None:
    """Be the dropped process, and try everything."""
    attempts: tuple[Callable[[], object], ...] = (
        lambda: os.setresuid(-1, 0, -1),
        lambda: os.seteuid(0),
        lambda: os.setuid(0),
        lambda: os.setreuid(0, 0),
        lambda: os.setegid(0),
        lambda: os.setgroups([0]),
        lambda: raw.capset(raw.mask(["CAP_SETUID"]), raw.mask(["CAP_SETUID"])),
        lambda: os.chroot("/"),
    )
    for attempt in attempts:
        try:
            attempt()
        except PermissionError:
            continue
        raise AssertionError("there is a way back")


@root
@pytest.mark.parametrize(
    "uids", [(0, 0, 0), (33, 33, 0), (33, 0, 33), (0, 33, 33), (33, 0, 0), (0, 33, 0), (0, 0, 33)]
)
def test_p22_the_saved_uid_goes_too(uids: tuple[int, int, int]) -> None:
    """Wherever uid 0 was: no slot has it, and no call brings it back."""

    def start() -> None:
        os.setgroups([33])
        os.setresgid(33, 33, 33)
        os.setresuid(*uids)

    def drop() -> None:
        _drop()
        _no_way_back()

    assert dropped(start, drop).uids == (33,) * 4


@root
def test_p23_without_the_fixup_the_capabilities_go_all_the_same() -> None:
    """SECBIT_NO_SETUID_FIXUP: setresuid alone would leave them, and setuid(0) would work."""

    def start() -> None:
        as_root_often_starts()
        raw.set_securebits(raw.Securebit.NO_SETUID_FIXUP)

    def drop() -> None:
        _drop()
        _no_way_back()

    seen = dropped(start, drop)
    assert (seen.permitted, seen.effective) == (0, 0)
    assert (seen.uids, seen.gids, seen.groups) == WWW_DATA


@root
def test_p23_a_caller_that_is_not_root_loses_its_capabilities() -> None:
    """From uid 5005 with CAP_SETUID nothing is cleared by the kernel."""

    def start() -> None:
        held = raw.mask(["CAP_SETGID", "CAP_SETUID", "CAP_KILL"])
        os.setgroups([])
        os.setresgid(5005, 5005, 5005)
        raw.set_keep_capabilities(True)
        os.setresuid(5005, 5005, 5005)
        raw.capset(held, held, held)
        raw.raise_ambient("CAP_KILL")

    def drop() -> None:
        _drop()
        _no_way_back()

    seen = dropped(start, drop)
    assert (seen.permitted, seen.effective, seen.inheritable, seen.ambient) == (0, 0, 0, 0)


@root
def test_p24_the_inheritable_set_goes_and_the_bounding_set_where_asked() -> None:
    """CVE-2022-24769: an inheritable set comes back through a file's."""

    def start() -> None:
        as_root_often_starts()
        permitted, effective, _ = raw.capget()
        raw.capset(permitted, effective, permitted)

    assert dropped(start, _drop).inheritable == 0
    seen = dropped(start, lambda: _drop(bounding=[]))
    assert (seen.inheritable, seen.bounding) == (0, 0)


@root
def test_p25_the_ambient_set_is_raised_after_the_uid() -> None:
    """The kernel empties it with the uid, even with keep-capabilities: raised before it is lost."""

    def raised_before() -> bool:
        permitted, effective, _ = raw.capget()
        raw.capset(permitted, effective, raw.mask(["CAP_KILL"]))
        raw.raise_ambient("CAP_KILL")
        raw.set_keep_capabilities(True)
        os.setresuid(33, 33, 33)
        return raw.is_ambient("CAP_KILL")

    assert not in_child(raised_before)
    seen = dropped(as_root_often_starts, lambda: _drop(capabilities=["CAP_KILL"], ambient=True))
    assert seen.ambient == raw.mask(["CAP_KILL"])


@root
def test_p26_keep_capabilities_is_off_afterwards() -> None:
    def drop() -> int:
        as_root_often_starts()
        _drop(capabilities=["CAP_KILL"])
        return raw.securebits()

    assert not in_child(drop) & raw.Securebit.KEEP_CAPS


@root
def test_p26_keep_capabilities_is_off_after_a_failure_too() -> None:
    """libcap-ng 0.8.4 left it on."""

    def drop() -> tuple[int, tuple[int, int, int]]:
        as_root_often_starts()
        refuse(_SETRESUID[os.uname().machine])
        try:
            _drop(capabilities=["CAP_KILL"])
        except IncompleteDropError:
            return raw.securebits(), raw.capget()
        raise AssertionError("it went through")

    securebits, capabilities = in_child(drop)
    assert not securebits & raw.Securebit.KEEP_CAPS
    assert capabilities == (0, 0, 0)


@root
def test_p26_where_it_is_locked_what_needs_it_is_refused_and_the_rest_works() -> None:
    """A nested sandbox (minijail 89cbc32)."""

    def locked_off() -> None:
        as_root_often_starts()
        raw.set_securebits(raw.Securebit.KEEP_CAPS_LOCKED)

    error = refused(locked_off, lambda: _drop(capabilities=["CAP_KILL"]))
    assert isinstance(error, PreflightError)
    assert "keep-capabilities is locked" in str(error)
    seen = dropped(locked_off, _drop)
    assert (seen.uids, seen.permitted) == ((33,) * 4, 0)


@root
def test_p26_where_it_is_locked_on_nothing_is_kept_that_was_not_asked_for() -> None:
    def locked_on() -> None:
        as_root_often_starts()
        raw.set_securebits(raw.Securebit.KEEP_CAPS | raw.Securebit.KEEP_CAPS_LOCKED)

    def drop() -> None:
        _drop()
        _no_way_back()

    assert dropped(locked_on, drop).permitted == 0


@root
@pytest.mark.parametrize("lock", [False, True])
def test_p27_the_other_securebits_stay(lock: bool) -> None:
    """PR_SET_SECUREBITS replaces the word, and the word has bits of others."""
    others = raw.Securebit.NO_CAP_AMBIENT_RAISE

    def drop() -> int:
        as_root_often_starts()
        raw.set_securebits(others)
        _drop(lock_securebits=lock)
        return raw.securebits()

    found = in_child(drop)
    assert found == (0b11101111 if lock else others)


# P28: already that user.


def _set_fsuid(uid: int) -> None:
    ctypes.CDLL(None).setfsuid(uid)


_ALMOST = {
    "effective and saved uid 0": (33, 0, 0),
    "saved uid 0": (33, 33, 0),
    "real uid 0": (0, 33, 33),
    "effective uid 0": (33, 0, 33),
    "saved uid 5": (33, 33, 5),
}


@root
@pytest.mark.parametrize("name", _ALMOST)
def test_p28_already_that_user_is_judged_by_every_uid(name: str) -> None:
    """Supervisor says "already" at (65534, 0, 0): here one slot that differs is a plan."""

    def start() -> None:
        os.setgroups([33])
        os.setresgid(33, 33, 33)
        os.setresuid(*_ALMOST[name])

    def plan() -> list[str]:
        start()
        return [step.kind for step in PrivilegeDrop(user="www-data").plan().steps]

    assert "uid" in in_child(plan)
    seen = dropped(start, _drop)
    assert (seen.uids, seen.permitted, seen.effective) == ((33,) * 4, 0, 0)


@root
@pytest.mark.parametrize("gids", [(33, 33, 0), (0, 33, 33), (33, 0, 33), (33, 33, 5)])
def test_p28_and_by_every_gid(gids: tuple[int, int, int]) -> None:
    def start() -> None:
        os.setgroups([33])
        os.setresgid(*gids)
        os.setresuid(33, 33, 33)

    assert dropped(start, _drop).gids == (33,) * 4


@root
def test_p28_and_by_the_filesystem_uid() -> None:
    """The slot that decides about files is not among the three."""

    def start() -> None:
        os.setgroups([])
        _set_fsuid(33)

    def drop() -> None:
        PrivilegeDrop(user="root", allow_root=True, allow_root_group=True).apply()

    assert dropped(start, drop).uids == (0,) * 4


@root
def test_p28_root_behind_a_mask_is_told_how_to_go_on() -> None:
    """At (33, 33, 0) with root's groups nothing can be set; the error says what can be done."""

    def start() -> None:
        as_root_often_starts()
        os.setresuid(33, 33, 0)

    error = refused(start, _drop)
    assert isinstance(error, PreflightError)
    assert "seteuid(0)" in str(error)
