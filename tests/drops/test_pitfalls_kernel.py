"""P32, P33: what the kernel undoes with a change of ids. P31 is in test_threads."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from signal import SIGKILL

import pytest

from abdicate import (
    IncompleteDropError,
    PrivilegeDrop,
)
from abdicate.kernel.linux import LinuxKernel
from drops import raw
from drops.cases import as_root_often_starts
from harness.child import held_child, in_child

pytestmark = pytest.mark.needs("root", "CAP_SETPCAP", "CAP_SYS_CHROOT")


def _drop(**fields: object) -> None:
    PrivilegeDrop.model_validate({"user": "www-data", **fields}).apply()


# P32: the parent-death signal.


@pytest.mark.parametrize("armed", [0, signal.SIGTERM, signal.SIGKILL])
def test_p32_an_armed_signal_is_armed_again(armed: int) -> None:
    """The change of the ids disarms it in silence."""

    def drop() -> int:
        as_root_often_starts()
        raw.set_parent_death_signal(armed)
        _drop()
        return raw.armed_signal()

    assert in_child(drop) == armed


@pytest.mark.parametrize("wanted", ["TERM", "SIGKILL", 0])
def test_p32_the_signal_that_is_asked_for_is_the_one_that_is_armed(wanted: str | int) -> None:
    def drop() -> int:
        as_root_often_starts()
        raw.set_parent_death_signal(signal.SIGHUP)
        _drop(parent_death_signal=wanted)
        return raw.armed_signal()

    assert in_child(drop) == {"TERM": 15, "SIGKILL": 9, 0: 0}[wanted]


@pytest.mark.parametrize(
    ("uids", "gids"), [((33, 33, 0), (33, 33, 33)), ((33, 33, 5), (33, 33, 33))]
)
def test_p32_a_change_that_the_kernel_does_not_disarm_for_is_disarmed_where_asked(
    uids: tuple[int, int, int], gids: tuple[int, int, int]
) -> None:
    """prctl(2): only the effective and filesystem ids count; a saved uid goes without a sound."""

    def drop(wanted: int | None) -> int:
        os.setgroups([33])
        os.setresgid(*gids)
        os.setresuid(*uids)
        raw.set_parent_death_signal(signal.SIGTERM)
        _drop(parent_death_signal=wanted)
        return raw.armed_signal()

    assert in_child(lambda: drop(0)) == 0
    assert in_child(lambda: drop(None)) == signal.SIGTERM


def _family(grandchild: Callable[[Callable[[str], object]], object]) -> tuple[int, int]:
    """Fork a child that forks a grandchild, which tells; return the child, and where to read."""
    told, telling = os.pipe()
    pid = os.fork()
    if pid:
        os.close(telling)
        return pid, told
    try:
        as_root_often_starts()
        if os.fork() == 0:
            grandchild(lambda text: os.write(telling, text.encode()))
        else:
            # The grandchild alone holds the writing end: end of file is its end.
            os.close(telling)
            signal.pause()
    finally:
        os._exit(0)


def test_p32_the_death_of_the_parent_really_arrives() -> None:
    """A grandchild drops; then its parent dies, and it dies with it."""

    def be_the_grandchild(tell: Callable[[str], object]) -> None:
        _drop(parent_death_signal="KILL")
        tell("dropped")
        signal.alarm(60)
        signal.pause()

    parent, told = _family(be_the_grandchild)
    assert os.read(told, 100) == b"dropped"
    began = time.monotonic()
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    assert os.read(told, 100) == b""
    assert time.monotonic() - began < 30
    os.close(told)


class _ParentDies(LinuxKernel):
    """The real kernel, and a parent that dies just before the signal is armed."""

    def __init__(self, parent: int) -> None:
        super().__init__()
        self._dying = parent

    def set_thread_parent_death_signal(self, signal: int) -> None:
        os.kill(self._dying, SIGKILL)
        while os.getppid() == self._dying:
            pass
        super().set_thread_parent_death_signal(signal)


def test_p32_a_parent_that_is_gone_already_is_noticed() -> None:
    """bubblewrap#700: nothing would ever be sent. The error says what happened."""

    def be_the_grandchild(tell: Callable[[str], object]) -> None:
        # As www-data it may kill its parent only because it keeps CAP_KILL.
        drop = PrivilegeDrop(
            user="www-data", parent_death_signal="TERM", capabilities=("CAP_KILL",)
        )
        try:
            drop.apply(kernel=_ParentDies(os.getppid()))
            tell("dropped")
        except Exception as error:
            tell(f"swallowed {error!r}")
        except IncompleteDropError as error:
            tell(f"{error} {os.getresuid()} {raw.capget()}")

    parent, told = _family(be_the_grandchild)
    os.waitpid(parent, 0)
    with os.fdopen(told) as text:
        message = text.read()
    assert "parent-death-signal" in message
    assert message.endswith("(33, 33, 33) (0, 0, 0)")
    assert f"the parent {parent} has died" in message


# P33: dumpable.


def test_p33_a_dropped_process_is_not_dumpable_unless_asked() -> None:
    """CVE-2016-8659: what root left in its memory is not for the new user to read."""

    def drop(**fields: object) -> int:
        as_root_often_starts()
        _drop(**fields)
        return raw.dumpable()

    with open("/proc/sys/fs/suid_dumpable") as file:
        usual = int(file.read())
    assert in_child(drop) == usual
    assert in_child(lambda: drop(dumpable=True)) == 1
    assert in_child(lambda: drop(dumpable=False)) == 0


@pytest.mark.parametrize(("dumpable", "owner"), [(False, 0), (True, 33)])
def test_p33_whose_proc_it_is_follows_from_that(dumpable: bool, owner: int) -> None:
    def drop() -> None:
        as_root_often_starts()
        _drop(dumpable=dumpable)

    with held_child(drop) as child:
        assert child.value is None
        assert os.stat(f"/proc/{child.pid}/environ").st_uid == owner


def test_p33_verification_does_not_need_a_readable_proc_of_its_own() -> None:
    """With /proc/self owned by root everything is read back all the same."""

    def drop() -> list[str]:
        as_root_often_starts()
        proof = PrivilegeDrop(user="www-data", dumpable=False).apply()
        return [str(check) for check in proof.report.unverified]

    assert in_child(drop) == []
