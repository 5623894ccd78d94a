"""`DaemonContext`, as far as it shares what `Daemon` stands on."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from abdicate.process.context import DaemonContext
from daemon.nursery import Nursery, descriptors_of, status_of
from harness.child import in_child

pytestmark = pytest.mark.needs("linux")


def _state() -> dict[str, object]:
    return {
        "process": (os.getpid(), os.getppid(), os.getsid(0), os.getpgid(0)),
        "descriptors": descriptors_of(os.getpid()),
        "mask": signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        "handlers": [signal.getsignal(number) for number in sorted(signal.valid_signals())],
        "environment": dict(os.environ),
        "ids": (os.getresuid(), os.getresgid(), os.getgroups()),
    }


def test_a_fake_one_changes_the_directory_and_the_umask_only(tmp_path: Path) -> None:
    """For debugging: the program stays where it can be seen."""

    def open_it() -> tuple[dict[str, object], dict[str, object], str, int]:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        before = _state()
        with DaemonContext(workdir=str(tmp_path), umask=0o027, fake=True):
            return before, _state(), os.getcwd(), os.umask(0)

    before, after, directory, umask = in_child(open_it)
    assert after == before
    assert (directory, umask) == (str(tmp_path), 0o027)


def test_a_fake_one_without_a_umask_leaves_it() -> None:
    """None is "as it is"."""

    def open_it() -> int:
        os.umask(0o031)
        DaemonContext(fake=True).open()
        return os.umask(0)

    assert in_child(open_it) == 0o031


def test_a_fake_ones_error_is_raised() -> None:
    """There is nobody else to tell."""

    def fail() -> None:
        raise ValueError("no database")

    def open_it() -> str:
        with pytest.raises(ValueError, match="no database"):
            DaemonContext(fake=True, after_chdir=fail).open()
        return "went on"

    assert in_child(open_it) == "went on"


_OPENS = """
from abdicate.process.context import DaemonContext
"""


def test_d8_the_mask_is_emptied(nursery: Nursery) -> None:
    """D8: it survives fork and exec."""

    def block() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1})

    started = nursery.start(_OPENS + "DaemonContext().open()\nlive()", before=block)
    assert (started.status, started.errors) == (0, b"")
    assert int(status_of(nursery.daemon())["SigBlk"], 16) == 0


def test_d4_the_terminal_is_left_whatever_the_streams_are(nursery: Nursery) -> None:
    """D4: where the program's standard output is a file of its own, 0 to 2 are the terminal's."""
    source = 'sys.stdout = open(PLACE + "/out", "w")\nDaemonContext().open()\nlive()'
    assert nursery.start(_OPENS + source).status == 0
    assert set(descriptors_of(nursery.living()).values()) == {"/dev/null"}


@pytest.mark.parametrize(
    "fails",
    [
        pytest.param("raise Odd", id="an error without words"),
        pytest.param("sys.exit(10**30)", id="a status that is none"),
        pytest.param("os.closerange(3, 100); raise ValueError", id="without its line"),
    ],
)
def test_the_callers_code_goes_on_in_no_copy(nursery: Nursery, fails: str) -> None:
    """Whatever set-up raises: the starter has left or will, and the daemon is none."""
    source = f"""
class Odd(Exception):
    def __str__(self):
        raise RuntimeError("no words")

def fail():
    {fails}

try:
    DaemonContext(after_chdir=fail).open()
finally:
    open(PLACE + "/went-on", "w").close()
"""
    started = nursery.start(_OPENS + source)
    assert started.status != 0
    nursery.wait_until_empty()
    assert not (nursery.place / "went-on").exists()
