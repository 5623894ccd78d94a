"""Threads: what reaches all of them is done, what would not is refused, what differs is found."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from abdicate import CredentialMismatchError, PreflightError, PrivilegeDrop
from abdicate.kernel.linux import LinuxKernel
from drops import raw
from drops.cases import BESIDES, SPELLINGS, as_root_often_starts
from drops.outside import held_by_threads, refused
from harness.child import ChildFailed, held_child, in_child

pytestmark = pytest.mark.needs("root")

DROP = PrivilegeDrop(user="www-data")


def _beside(change: Callable[[], object] = lambda: None) -> int:
    """Start a thread that does *change* and then stays; return its thread id."""
    done = threading.Event()

    def stay() -> None:
        change()
        done.set()
        threading.Event().wait()

    thread = threading.Thread(target=stay, daemon=True)
    thread.start()
    assert done.wait(30)
    assert thread.native_id is not None
    return thread.native_id


def _with_threads() -> None:
    as_root_often_starts()
    for _ in range(3):
        _beside()


def test_p31_every_thread_drops_with_the_calling_one() -> None:
    """The ids and the groups go through libc, which reaches every thread that it knows."""

    def drop() -> None:
        _with_threads()
        DROP.apply()

    with held_child(drop) as child:
        assert child.value is None
        seen = held_by_threads(child.pid)
    assert len(seen) == 4
    (held,) = set(seen.values())
    assert (held.uids, held.gids, held.groups) == ((33,) * 4, (33,) * 4, frozenset({33}))
    assert (held.permitted, held.effective) == (0, 0)


def test_p31_a_thread_other_than_the_first_may_drop() -> None:
    """The calling thread is read back as itself, not as the process's first one."""

    def drop() -> list[str]:
        as_root_often_starts()
        found: list[str] = []
        thread = threading.Thread(target=lambda: found.append(repr(DROP.apply())))
        thread.start()
        thread.join()
        return found

    with held_child(drop) as child:
        assert child.value == ["<Dropped: www-data (uid 33, gid 33, groups 33)>"]
        (held,) = set(held_by_threads(child.pid).values())
    assert held.uids == (33,) * 4


def test_p31_the_report_names_every_thread_that_was_read_back() -> None:
    def drop() -> tuple[set[int], set[int]]:
        as_root_often_starts()
        threads = {os.getpid(), _beside(), _beside()}
        checks = DROP.apply().report.checks
        return threads, {check.thread for check in checks if check.thread is not None}

    threads, checked = in_child(drop)
    assert checked == threads


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("no_new_privs", "no-new-privs"),
        ("keep capabilities", "keep-capabilities"),
        ("ambient", "ambient-set"),
        ("bounding", "bounding-set"),
        ("securebits", "securebits"),
        ("nice", "nice"),
        ("keyring", "session-keyring"),
        ("parent-death signal", "parent-death-signal"),
    ],
)
def test_p31_what_acts_on_one_thread_is_refused_beside_others(name: str, kind: str) -> None:
    """With the reason, and before anything has changed in any thread."""
    case = SPELLINGS["name"].besides(BESIDES[name])
    error = refused(_with_threads, PrivilegeDrop.model_validate(case.value).apply)
    assert isinstance(error, PreflightError)
    (reason,) = error.reasons
    assert reason.startswith("4 threads run, and ")
    assert kind in reason
    assert "drop before the others are started" in reason


def test_p31_a_thread_without_a_trace_in_python_counts_too() -> None:
    """Threads are counted by the kernel, not by the threading module."""

    def start() -> None:
        as_root_often_starts()
        _beside()
        # What the threading module has forgotten is there all the same.
        threading._active = {}  # type: ignore[attr-defined]  # not public, which is the point

    error = refused(start, PrivilegeDrop(user="www-data", no_new_privs=True).apply)
    assert "2 threads run" in str(error)


Change = Callable[[], None]


def _keep_capabilities() -> None:
    raw.set_keep_capabilities(True)


def _no_fixup() -> None:
    raw.set_securebits(raw.Securebit.NO_SETUID_FIXUP)


def _inheritable() -> None:
    permitted, effective, _ = raw.capget()
    raw.capset(permitted, effective, raw.mask(["CAP_KILL"]))


def _lower_bounding() -> None:
    raw.lower_bounding("CAP_KILL")


def _no_new_privs() -> None:
    raw.set_no_new_privs()


def _without_set_id() -> None:
    permitted, effective, inheritable = raw.capget()
    lost = raw.mask(["CAP_SETGID", "CAP_SETUID"])
    raw.capset(permitted & ~lost, effective & ~lost, inheritable)


def _somebody_else() -> None:
    raw.set_thread_uids(1, 1, 1)


def _other_groups() -> None:
    raw.set_thread_groups(4, 5)


def _other_gids() -> None:
    raw.set_thread_gids(5, 6, 7)


_VISIBLE = [
    (_inheritable, "inheritable set"),
    (_lower_bounding, "bounding set"),
    (_other_groups, "supplementary groups"),
    (_other_gids, "saved gid"),
    (_without_set_id, "permitted set"),
    (_somebody_else, "effective uid"),
]


@pytest.mark.parametrize(("change", "slot"), _VISIBLE)
def test_p31_a_thread_that_differs_is_told_before_anything_changes(
    change: Change, slot: str
) -> None:
    """Libc would make its calls there too, and end the process where one is refused."""

    def drop() -> tuple[tuple[str, ...], int]:
        as_root_often_starts()
        other = _beside(change)
        before = held_by_threads(os.getpid())
        try:
            DROP.apply()
        except PreflightError as error:
            assert held_by_threads(os.getpid()) == before
            return error.reasons, other
        raise AssertionError("it went through")

    reasons, other = in_child(drop)
    assert any(
        reason.startswith(f"thread {other} is not like this one: {slot}") for reason in reasons
    )


class _Late(LinuxKernel):
    """The real kernel; another thread makes a change of its own after the preflight."""

    def __init__(self, change: Change) -> None:
        super().__init__()
        self._due, self._done, self._change = threading.Event(), threading.Event(), change

    def start(self) -> None:
        """Start that thread."""
        threading.Thread(target=self._wait, daemon=True).start()

    def _wait(self) -> None:
        self._due.wait()
        self._change()
        self._done.set()
        threading.Event().wait()

    def parent(self) -> int:
        # The last question before the first step.
        self._due.set()
        assert self._done.wait(30)
        return super().parent()


@pytest.mark.parametrize(
    ("change", "slot"),
    [
        (_keep_capabilities, "permitted set"),
        (_inheritable, "inheritable set"),
        (_lower_bounding, "bounding set"),
        (_no_new_privs, "no_new_privs"),
    ],
)
def test_p31_a_thread_that_differs_later_is_found_by_reading_back(
    change: Change, slot: str
) -> None:
    """It fails, closed: the calling thread has nothing left, and the report names the other."""

    def drop() -> tuple[str, list[tuple[str, bool]], tuple[int, int, int]]:
        as_root_often_starts()
        kernel = _Late(change)
        kernel.start()
        try:
            DROP.apply(kernel=kernel)
        except CredentialMismatchError as error:
            found = [(each.slot, each.thread != os.getpid()) for each in error.report.mismatches]
            return str(error), found, raw.capget()
        raise AssertionError("it went through")

    message, mismatches, left = in_child(drop)
    assert (slot, True) in mismatches
    assert all(others for _, others in mismatches)
    assert slot in message
    assert left == (0, 0, 0)


@pytest.mark.parametrize("change", [_other_groups, _other_gids])
def test_p31_a_thread_that_differs_later_and_follows_is_no_failure(change: Change) -> None:
    """What counts is what every thread holds afterwards."""

    def drop() -> None:
        as_root_often_starts()
        kernel = _Late(change)
        kernel.start()
        DROP.apply(kernel=kernel)

    with held_child(drop) as child:
        assert child.value is None
        (held,) = set(held_by_threads(child.pid).values())
    assert (held.uids, held.gids, held.groups) == ((33,) * 4, (33,) * 4, frozenset({33}))


@pytest.mark.parametrize("change", [_without_set_id, _somebody_else, _no_fixup])
def test_p31_a_thread_that_may_not_follow_ends_the_process(change: Change) -> None:
    """Libc aborts rather than leave threads unlike each other, nptl(7); nothing survives it.

    With NO_SETUID_FIXUP the other thread is found while reading back, and may still do what the
    calling one may not: the surrender is where libc ends it.
    """

    def drop() -> str:
        faulthandler.disable()  # pytest's: the test expects it
        as_root_often_starts()
        kernel = _Late(change)
        kernel.start()
        try:
            DROP.apply(kernel=kernel)
        except Exception as error:
            return f"swallowed {error!r}"
        return "dropped"

    with pytest.raises(ChildFailed, match=rf"the child died: wait status 0x8?{signal.SIGABRT:x}"):
        in_child(drop)


def test_p31_a_thread_with_a_root_directory_of_its_own_does_not_stay_outside(
    root_directory: str,
) -> None:
    """After unshare(CLONE_FS) the root and working directory are a thread's own, unshare(2).

    It is told beforehand, or found afterwards: a thread that still sees the old root is no success.
    """

    def drop() -> str:
        as_root_often_starts()
        _beside(raw.unshare_directories)
        try:
            PrivilegeDrop(user="www-data", chroot=root_directory).apply()
        except (PreflightError, CredentialMismatchError) as error:
            return str(error)
        return "a success"

    assert "thread" in in_child(drop)


_UNKNOWN_TO_LIBC = r"""
#define _GNU_SOURCE
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

static char stack[65536] __attribute__((aligned(16)));

static int stay(void *unused) {
    for (;;) syscall(SYS_ppoll, 0, 0, 0, 0, 0);
}

int start(void) {
    return clone(stay, stack + sizeof stack,
                 CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM,
                 0);
}
"""


@pytest.mark.needs("gcc")
def test_p31_a_thread_that_libc_does_not_know_is_found(tmp_path: Path) -> None:
    """A thread from a raw clone(2) stays root: no set*id of libc's reaches it."""
    source, library = tmp_path / "threads.c", tmp_path / "threads.so"
    source.write_text(_UNKNOWN_TO_LIBC)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)

    def drop() -> tuple[str, list[bool], int]:
        as_root_often_starts()
        other = ctypes.CDLL(str(library)).start()
        assert other > 0
        try:
            DROP.apply()
        except CredentialMismatchError as error:
            return str(error), [each.thread == other for each in error.report.mismatches], other
        raise AssertionError("it went through")

    with held_child(drop) as child:
        message, theirs, other = child.value
        seen = held_by_threads(child.pid)
    assert "real uid" in message
    assert all(theirs)
    assert seen[other].uids == (0,) * 4
    assert seen[child.pid].uids == (33,) * 4
