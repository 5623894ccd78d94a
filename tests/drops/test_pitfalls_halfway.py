"""P29, P30: no way out of a drop half-way, and no way back from one that is done."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any

import pytest

from abdicate import (
    CapabilitySet,
    CapabilitySets,
    CredentialMismatchError,
    Credentials,
    Gid,
    IncompleteDropError,
    PrivilegeDrop,
    PrivilegeRegainableError,
    ResGid,
    ResUid,
    Uid,
    execute,
)
from abdicate.identity.accounts import Account, StaticAccounts
from abdicate.kernel.linux import LinuxKernel
from abdicate.testing import FakeKernel
from drops import raw
from drops.cases import as_root_often_starts
from harness.child import error_in_child, in_child

root = pytest.mark.needs("root")

Trace = Callable[[FrameType, str, Any], Any]  # sys.settrace's own type

# syscalls(2).
_SETRESUID = {"x86_64": 117, "aarch64": 147, "riscv64": 147}

WWW_DATA = ((33,) * 4, (33,) * 4, frozenset({33}))


# P29: half-done states.


@dataclass(frozen=True)
class _Left:
    """What a drop raised, and what the process was then."""

    outcome: str
    message: str
    uids: tuple[int, int, int]
    gids: tuple[int, int, int]
    groups: tuple[int, ...]
    capabilities: tuple[int, int, int]

    @property
    def half_root(self) -> bool:
        """Tell whether anything of root is left."""
        who = (self.uids, self.gids, self.groups, self.capabilities)
        return who != ((33, 33, 33), (33, 33, 33), (33,), (0, 0, 0))


def _left_after(kernel: LinuxKernel) -> _Left:
    outcome, message = "nothing", ""
    try:
        PrivilegeDrop(user="www-data").apply(kernel=kernel)
    except BaseException as error:
        outcome, message = type(error).__name__, str(error)
    who = (os.getresuid(), os.getresgid(), tuple(sorted(os.getgroups())))
    return _Left(outcome, message, *who, raw.capget())


class _Interrupted(LinuxKernel):
    """The real kernel, and a SIGINT whenever the gid has just changed, so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self._left = times

    def set_resgid(self, real: Gid | None, effective: Gid | None, saved: Gid | None) -> None:
        super().set_resgid(real, effective, saved)
        self._left -= 1
        if self._left >= 0:
            signal.raise_signal(signal.SIGINT)


@root
@pytest.mark.parametrize("times", [1, 2, 3])
def test_p29_an_interrupt_between_two_steps_is_no_way_out(times: int) -> None:
    """KeyboardInterrupt with gid 33 and uid 0: what is raised names the step; root is given up.

    Also where somebody leans on the key, and the next one arrives in the surrender. To hold the
    signal back until all is done would be as good.
    """

    def drop() -> _Left:
        as_root_often_starts()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return _left_after(_Interrupted(times))

    left = in_child(drop)
    assert not left.half_root, left
    if left.outcome == "IncompleteDropError":
        assert "step 2, gid:" in left.message
        assert "KeyboardInterrupt" in left.message
    else:
        assert left.outcome == "KeyboardInterrupt"


class _Alarm(Exception):
    """What a timeout's signal handler raises; programs catch it and go on."""


class _Stormy(LinuxKernel):
    """The real kernel, and a signal that arrives at every change of an id, before it is made."""

    def set_resgid(self, real: Gid | None, effective: Gid | None, saved: Gid | None) -> None:
        super().set_resgid(real, effective, saved)
        signal.raise_signal(signal.SIGALRM)

    def set_resuid(self, real: Uid | None, effective: Uid | None, saved: Uid | None) -> None:
        signal.raise_signal(signal.SIGALRM)
        super().set_resuid(real, effective, saved)


@root
def test_p29_a_handler_that_raises_again_and_again_is_no_way_out_either() -> None:
    """An interval timer goes on ticking through the surrender: no Exception leaves half-root."""

    def drop() -> _Left:
        as_root_often_starts()

        def handler(number: int, frame: object) -> None:
            raise _Alarm

        signal.signal(signal.SIGALRM, handler)
        return _left_after(_Stormy())

    left = in_child(drop)
    assert not left.half_root, left
    assert left.outcome in ("IncompleteDropError", "_Alarm")


# The same on the model, where every point can be tried.

_ACCOUNTS = StaticAccounts([Account("app", Uid(1000), Gid(1000))])


class _Interrupts:
    """Raises at the so-manieth line that abdicate's own code runs, and at a call after that.

    Python runs signal handlers where functions begin and end: that is where the second one comes.
    """

    def __init__(self, line: int, call: int | None) -> None:
        self._lines, self._calls = line, call
        self.struck = 0

    def trace(self, frame: FrameType, event: str, argument: object) -> Trace | None:
        return self._count_line if _is_ours(frame) else None

    def _count_line(self, frame: FrameType, event: str, argument: object) -> Trace:
        self._lines -= event == "line"
        if self._lines == 0:
            self.struck += 1
            if self._calls is not None:
                sys.setprofile(self._count_call)
            raise _Alarm
        return self._count_line

    def _count_call(self, frame: FrameType, event: str, argument: object) -> None:
        if self._calls is not None and _is_ours(frame):
            self._calls -= 1
            if self._calls == 0:
                self.struck += 1
                raise _Alarm


def _is_ours(frame: FrameType) -> bool:
    name = frame.f_globals.get("__name__", "")
    ours = name.startswith("abdicate.") and ".testing" not in name
    # What is raised in a generator that nobody wants any more is lost.
    return ours and frame.f_code.co_name != "<genexpr>"


def _half_root(interrupts: _Interrupts) -> str | None:
    """Drop on the model under interrupts, and return what was left if it is neither nor."""
    kernel = FakeKernel.root(groups=(0, 4, 27))
    plan = PrivilegeDrop(user="app").plan(_ACCOUNTS, kernel)
    outcome: BaseException | None = None
    sys.settrace(interrupts.trace)
    try:
        execute(plan, kernel)
    except BaseException as error:
        outcome = error
    finally:
        sys.settrace(None)
        sys.setprofile(None)
    held = kernel.credentials()
    uid, gid = ResUid.all(Uid(1000)), ResGid.all(Gid(1000))
    complete = (held.uid, held.gid, held.groups) == (uid, gid, (1000,))
    untouched = not kernel.calls and not isinstance(outcome, IncompleteDropError)
    return None if complete or untouched else f"{outcome!r}: {held.uid}, {held.gid}"


def test_p29_there_is_no_line_at_which_an_exception_leaves_a_half_root_process() -> None:
    """A signal handler may raise at any line: nothing has changed, or all of it, or it is over."""
    halves = {}
    for line in range(1, 100_000, 7):
        interrupts = _Interrupts(line, None)
        half = _half_root(interrupts)
        if half is not None:
            halves[line] = half
        if not interrupts.struck:
            assert line > 1000
            break
    assert halves == {}


# What is raised in a generator that is being closed is lost, and said to be.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_p29_a_second_exception_finds_no_such_place_either() -> None:
    """After the first, wherever that was: in the handler, in the surrender, in the report.

    Signals are held back in the surrender, and still another thread may take one, which Python
    then handles in this thread.
    """
    halves = {}
    for line in range(1, 3000, 249):
        for call in range(1, 1000, 7):
            interrupts = _Interrupts(line, call)
            half = _half_root(interrupts)
            if half is not None:
                halves[line, call] = half
            if interrupts.struck < 2:
                break
    assert halves == {}


_SURRENDER = (
    "set_thread_keep_capabilities",
    "set_groups",
    "set_resgid",
    "set_resuid",
    "set_thread_capabilities",
    "set_thread_no_new_privs",
)


@pytest.mark.parametrize("error", [_Alarm, KeyboardInterrupt])
@pytest.mark.parametrize("method", _SURRENDER)
def test_p29_a_second_interrupt_does_not_stop_the_surrender(
    method: str, error: type[BaseException]
) -> None:
    """One call of it may be lost; the ones behind it are made."""
    kernel = FakeKernel.root(groups=(0, 4, 27))
    plan = PrivilegeDrop(user="app").plan(_ACCOUNTS, kernel)
    kernel.fail("set_resuid", 1, call=1)
    kernel.fail(
        method, error(), call=2 if method in ("set_groups", "set_resgid", "set_resuid") else 1
    )
    with pytest.raises(IncompleteDropError) as caught:
        execute(plan, kernel)
    assert not isinstance(caught.value, Exception)
    assert "step 3, uid:" in str(caught.value)
    made = [name for name, _ in kernel.calls[3:]]
    assert set(made) >= set(_SURRENDER)
    held = kernel.credentials()
    if method != "set_resuid":
        assert held.uid == ResUid.all(Uid(1000))
    if method != "set_thread_capabilities":
        assert held.capabilities is not None
        assert not held.capabilities.permitted


# P30: the attempts to regain.


class _Keeping(LinuxKernel):
    """A kernel that keeps root in the saved uid, and one that lies about it when asked."""

    def __init__(self, *, lying: bool) -> None:
        super().__init__()
        self._lying = lying

    def set_resuid(self, real: Uid | None, effective: Uid | None, saved: Uid | None) -> None:
        if saved is None:
            super().set_resuid(real, effective, saved)
        else:
            super().set_resuid(real, effective, Uid(0))

    def credentials(self) -> Credentials:
        return self._as_asked(super().credentials())

    def threads(self) -> dict[int, Credentials] | None:
        threads = super().threads() or {}
        return {thread: self._as_asked(held) for thread, held in threads.items()}

    def _as_asked(self, held: Credentials) -> Credentials:
        if not self._lying or held.uid.effective == 0:
            return held
        sets = CapabilitySets(bounding=CapabilitySet(raw.bounding()))
        return held.replace(uid=ResUid.all(held.uid.effective), capabilities=sets)


@root
def test_p30_a_saved_uid_that_stayed_is_seen_by_reading_back() -> None:
    def drop() -> None:
        as_root_often_starts()
        PrivilegeDrop(user="www-data").apply(kernel=_Keeping(lying=False))

    error = error_in_child(drop)
    assert isinstance(error, CredentialMismatchError)
    assert "saved uid: expected 33, observed 0" in str(error)


@root
def test_p30_an_attempt_that_succeeds_never_returns_as_root() -> None:
    """Where reading back was deceived the attempt is not; and root is given up once more."""

    def drop() -> tuple[str, list[str], tuple[int, int, int], tuple[int, int, int]]:
        as_root_often_starts()
        try:
            PrivilegeDrop(user="www-data").apply(kernel=_Keeping(lying=True))
        except PrivilegeRegainableError as error:
            regained = [str(attempt) for attempt in error.report.regained]
            return str(error), regained, os.getresuid(), raw.capget()
        raise AssertionError("it went through")

    message, regained, uids, capabilities = in_child(drop)
    assert regained == ["setresuid(-1, 0, -1): succeeded"]
    assert "setresuid(-1, 0, -1) took back what was given up" in message
    assert uids[:2] == (33, 33)
    assert capabilities == (0, 0, 0)


@pytest.mark.parametrize("hole", ["set_resuid", "set_reuid", "set_uid", "set_resgid", "set_gid"])
def test_p30_every_kind_of_attempt_can_find_a_hole(hole: str) -> None:
    """On the model: a kernel that lets one call pass is found by that call, and not used twice."""
    kernel = FakeKernel.root(groups=(0, 4, 27))
    plan = PrivilegeDrop(user="app").plan(_ACCOUNTS, kernel)
    kernel.grant(hole)
    with pytest.raises(PrivilegeRegainableError) as caught:
        execute(plan, kernel)
    (regained,) = caught.value.report.regained
    assert regained.call.startswith(hole.replace("_", ""))
    assert caught.value.report.attempts[-1] == regained
    left = kernel.credentials().capabilities
    assert left is not None
    assert not left.permitted


@root
def test_the_kernel_says_what_a_wrong_step_was() -> None:
    """An OSError keeps its number on the way into the report."""

    class Full(LinuxKernel):
        def set_umask(self, mask: int) -> None:
            raise OSError(errno.ENOSPC, "")

    def drop() -> str | None:
        as_root_often_starts()
        try:
            PrivilegeDrop(user="www-data", umask=0o77).apply(kernel=Full())
        except IncompleteDropError as error:
            failed = [each for each in error.report.outcomes if each.result == "failed"]
            return failed[0].error
        raise AssertionError("it went through")

    assert in_child(drop) == "ENOSPC, No space left on device"
