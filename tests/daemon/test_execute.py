"""A daemon that executes a program in its place: the starter hears whether it runs."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

import pytest

from abdicate.process.pidlock import PidLock
from abdicate.process.pidstatus import HeldBy, NotHeld
from daemon.nursery import Nursery, descriptors_of, signals_in, status_of

pytestmark = pytest.mark.needs("linux")


def _execute(path: str, *arguments: str) -> str:
    words = [path, *arguments]
    return f"""
        files = [open("/dev/null") for _ in range(5)]
        with Daemon(pidfile=PidLock(PLACE + "/pid"), ready="by hand").start() as daemon:
            daemon.execute({path!r}, {words!r})
        """


def test_the_program_runs_as_the_daemon(nursery: Nursery, place: Path) -> None:
    """The same process: it is in the pidfile, and holds it."""
    started = nursery.start(_execute("/bin/sleep", "60"))
    assert (started.status, started.output, started.errors) == (0, b"", b"")
    daemon = nursery.program()
    assert status_of(daemon)["Name"] == "sleep"
    assert PidLock(str(place / "pid")).status() == HeldBy(daemon)


def test_the_program_finds_signals_as_programs_expect_them(nursery: Nursery) -> None:
    """What Python ignores for itself isn't ignored for others: signal(7), SIGPIPE."""

    def disturb() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1})

    nursery.start(_execute("/bin/sleep", "60"), before=disturb)
    found = status_of(nursery.program())
    assert signals_in(found["SigIgn"]) == set()
    assert signals_in(found["SigCgt"]) == set()
    assert signals_in(found["SigBlk"]) == set()


def test_the_program_has_no_descriptor_but_the_lock(nursery: Nursery, place: Path) -> None:
    """Besides its streams."""
    nursery.start(_execute("/bin/sleep", "60"))
    assert sorted(descriptors_of(nursery.program()).values()) == [
        *["/dev/null"] * 3,
        str(place / "pid"),
    ]


def test_the_lock_ends_with_the_program(nursery: Nursery, place: Path) -> None:
    """The file stays, unlocked, and the next start takes it over."""
    nursery.start(_execute("/bin/sleep", "60"))
    first = nursery.program()
    os.kill(first, signal.SIGTERM)
    nursery.ended(first)
    assert PidLock(str(place / "pid")).status() == NotHeld(first)
    assert nursery.start(_execute("/bin/sleep", "60")).status == 0
    assert PidLock(str(place / "pid")).status() == HeldBy(nursery.program())


def test_a_program_that_is_not_there(nursery: Nursery, place: Path) -> None:
    """127, as a shell says it; nothing is left behind."""
    started = nursery.start(_execute("/no/such/program"))
    assert started.status == 127
    assert started.message == "can't execute /no/such/program: No such file or directory"
    nursery.wait_until_empty()
    assert os.listdir(place) == ["worker"]


@pytest.mark.parametrize("content", [b"\x7fELF and nothing more", b"no interpreter", b""])
def test_a_program_that_is_none(nursery: Nursery, place: Path, content: bytes) -> None:
    """126: it is there, and the kernel can't execute it."""
    (place / "program").write_bytes(content)
    (place / "program").chmod(0o755)
    started = nursery.start(_execute(str(place / "program")))
    assert started.status == 126
    assert os.strerror(errno.ENOEXEC) in started.message
    nursery.wait_until_empty()
    assert not (place / "pid").exists()


def test_a_program_that_may_not_be_executed(nursery: Nursery, place: Path) -> None:
    """126, with the kernel's reason."""
    (place / "program").write_text("#!/bin/sh\n")
    started = nursery.start(_execute(str(place / "program")))
    assert started.status == 126
    assert os.strerror(errno.EACCES) in started.message


def test_d1_a_program_that_the_kernel_kills_on_its_way_has_not_started(
    nursery: Nursery, place: Path
) -> None:
    """D1: past the point of no return execve(2) can't fail any more: it kills."""
    started = nursery.start(
        """
        import resource
        with Daemon(pidfile=PidLock(PLACE + "/pid"), ready="by hand").start() as daemon:
            resource.setrlimit(resource.RLIMIT_AS, (40960, 40960))
            daemon.execute("/bin/sleep", ["sleep", "60"])
        """
    )
    nursery.wait_until_empty()
    assert started.status != 0
    assert f"signal {signal.SIGSEGV.value}" in started.message


@pytest.mark.needs("strace")
def test_d1_a_daemon_that_is_killed_as_it_executes_has_not_started(nursery: Nursery) -> None:
    """D1: an end of file after "executing" is a success only where something was executed."""
    # The error too: the kernel may have begun to execute when the signal takes effect.
    kill = ["-e", "trace=execve", "-e", "inject=execve:error=ENOEXEC:signal=KILL"]
    started = nursery.start(
        _execute("/bin/sleep", "60"), through=["strace", "-f", "-o", "/dev/null", *kill]
    )
    assert started.status != 0


def test_a_program_that_fails_by_itself_has_started(nursery: Nursery) -> None:
    """It ran, and how it ends is its own affair."""
    started = nursery.start(_execute("/bin/false"))
    assert (started.status, started.errors) == (0, b"")


def test_without_detaching_it_takes_the_process(nursery: Nursery, place: Path) -> None:
    """As an exec does: same pid, and the exit status is its own."""
    begun = nursery.begin(
        """
        daemon = Daemon(detach=False, pidfile=PidLock(PLACE + "/pid"), ready="by hand").start()
        daemon.execute("/bin/sh", ["sh", "-c", "echo $$; exit 7"])
        """
    )
    started = nursery.finish(begun)
    assert (started.status, started.output) == (7, f"{begun.pid}\n".encode())
