"""``abdicate daemon``: a command becomes a daemon, and the terminal hears whether it runs."""

from __future__ import annotations

import os
import signal
import stat
import time
from pathlib import Path

import pytest

from abdicate.process.pidlock import PidLock
from abdicate.process.pidstatus import HeldBy, NotHeld
from cli.program import ABDICATE, BECOME, ROOT
from daemon.nursery import (
    Nursery,
    Started,
    descriptors_of,
    environment_of,
    executes,
    signals_in,
    standing,
    status_of,
    until,
)

pytestmark = pytest.mark.needs("linux")

_SLEEP = ("--", "sleep", "60")


def _daemon(nursery: Nursery, *words: str, become: tuple[str, ...] = BECOME) -> Started:
    return nursery.start([*ABDICATE, "daemon", *become, *words])


def _refusal(started: Started, status: int) -> str:
    """Return the one line that says why nothing was started."""
    assert (started.status, started.output) == (status, b"")
    assert started.errors.startswith(b"abdicate daemon: ")
    assert started.message.isprintable()
    return started.message


def _status(pidfile: Path) -> object:
    return PidLock(str(pidfile)).status()


# --- It starts ----------------------------------------------------------------------------------


def test_the_command_is_the_daemon(nursery: Nursery, place: Path) -> None:
    """In a session of its own, without a terminal, in the root directory; nothing is printed."""
    started = _daemon(nursery, "--pidfile", str(place / "pid"), *_SLEEP)
    assert (started.status, started.output, started.errors) == (0, b"", b"")
    daemon = nursery.program()
    assert status_of(daemon)["Name"] == "sleep"
    found = standing(daemon)
    assert found.terminal == 0
    assert found.session not in (daemon, os.getsid(0))
    assert os.readlink(f"/proc/{daemon}/cwd") == "/"


def test_the_command_holds_the_pidfile(nursery: Nursery, place: Path) -> None:
    """By itself, and as long as it runs; the next start takes over what it left."""
    pidfile = place / "pid"
    assert _daemon(nursery, "--pidfile", str(pidfile), *_SLEEP).status == 0
    first = nursery.program()
    assert _status(pidfile) == HeldBy(first)
    assert stat.S_IMODE(pidfile.stat().st_mode) == 0o644
    os.kill(first, signal.SIGKILL)
    nursery.ended(first)
    assert _status(pidfile) == NotHeld(first)
    assert _daemon(nursery, "--pidfile", str(pidfile), *_SLEEP).status == 0
    assert _status(pidfile) == HeldBy(nursery.program())


def test_the_command_has_no_descriptor_but_the_lock(nursery: Nursery, place: Path) -> None:
    """And its streams: the null device and the log."""
    pidfile, log = str(place / "pid"), str(place / "log")
    leaked = os.open("/dev/zero", os.O_RDONLY)
    words = ["daemon", *BECOME, "--pidfile", pidfile, "--logfile", log, *_SLEEP]
    nursery.start([*ABDICATE, *words], keep=[leaked])
    os.close(leaked)
    found = descriptors_of(nursery.program())
    assert [found.pop(stream) for stream in (0, 1, 2)] == ["/dev/null", log, log]
    assert list(found.values()) == [pidfile]


def test_without_a_pidfile_it_has_none(nursery: Nursery) -> None:
    """Its streams only."""
    assert _daemon(nursery, *_SLEEP).status == 0
    assert descriptors_of(nursery.program()) == dict.fromkeys((0, 1, 2), "/dev/null")


def test_the_command_finds_signals_as_programs_expect_them(nursery: Nursery) -> None:
    """Whatever the shell that started it ignored or blocked."""

    def disturb() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1})

    nursery.start([*ABDICATE, "daemon", *BECOME, *_SLEEP], before=disturb)
    found = status_of(nursery.program())
    assert [signals_in(found[name]) for name in ("SigIgn", "SigCgt", "SigBlk")] == [set()] * 3


@pytest.mark.parametrize(
    ("words", "umask"), [((), "0022"), (("--umask", "0077"), "0077"), (("--umask", "0"), "0000")]
)
def test_d7_the_umask_is_explicit(nursery: Nursery, words: tuple[str, ...], umask: str) -> None:
    """D7: whatever the caller's is."""
    nursery.start(
        [*ABDICATE, "daemon", *BECOME, *words, *_SLEEP], before=lambda: (os.umask(0o027), None)[1]
    )
    assert status_of(nursery.program())["Umask"] == umask


def test_the_log_has_what_the_command_prints(nursery: Nursery, place: Path) -> None:
    """Both streams; a relative path counts from where the caller is."""
    command = ["sh", "-c", "echo out; echo err >&2"]
    nursery.start(
        [*ABDICATE, "daemon", *BECOME, "--logfile", "log", "--", *command],
        through=["env", "-C", str(place)],
    )
    until(lambda: (place / "log").read_text() == "out\nerr\n", "both are there")


def test_the_command_has_its_arguments_and_environment(nursery: Nursery) -> None:
    """Untouched but for the account's variables."""
    nursery.start([*ABDICATE, "daemon", *BECOME, *_SLEEP], env={"GIVEN": "a b"})
    daemon = nursery.program()
    with open(f"/proc/{daemon}/cmdline", "rb") as file:
        assert file.read() == b"sleep\x0060\0"
    found = environment_of(daemon)
    assert found["GIVEN"] == "a b"
    assert "LISTEN_PID" not in found


@pytest.mark.needs("root")
def test_the_command_is_the_user(nursery: Nursery, place: Path) -> None:
    """Log and pidfile stay root's, who opened them before."""
    pidfile, log = place / "pid", place / "log"
    _daemon(nursery, "--pidfile", str(pidfile), "--logfile", str(log), *_SLEEP)
    found = status_of(nursery.program())
    assert found["Uid"].split() == ["65534"] * 4
    assert found["Groups"].split() == ["65534"]
    assert (pidfile.stat().st_uid, log.stat().st_uid) == (0, 0)


# --- It doesn't ---------------------------------------------------------------------------------


def test_d15_a_second_start_is_refused(nursery: Nursery, place: Path) -> None:
    """D15: 125 and one line with the holder's pid; the first one runs on."""
    pidfile = place / "pid"
    _daemon(nursery, "--pidfile", str(pidfile), *_SLEEP)
    daemon = nursery.program()
    message = _refusal(_daemon(nursery, "--pidfile", str(pidfile), *_SLEEP), 125)
    assert f"held by process {daemon}" in message
    assert _status(pidfile) == HeldBy(daemon)


@pytest.mark.parametrize("where", [[], ["--foreground"]], ids=["daemon", "foreground"])
@pytest.mark.parametrize(
    ("content", "mode", "status"),
    [
        pytest.param(None, 0, 127, id="not found"),
        pytest.param(b"#!/bin/sh\n", 0o644, 126, id="not executable"),
        pytest.param(b"\x7fELF and no more", 0o755, 126, id="bad ELF"),
        pytest.param(b"#!/no/such/interpreter\n", 0o755, 126, id="no interpreter"),
    ],
)
def test_a_command_that_can_not_be_executed(
    nursery: Nursery,
    place: Path,
    content: bytes | None,
    mode: int,
    status: int,
    where: list[str],
) -> None:
    """The statuses that shells have for it, one line, and neither process nor pidfile."""
    (place / "run").mkdir(mode=0o755)
    command = place / "command"
    if content is not None:
        command.write_bytes(content)
        command.chmod(mode)
    pidfile = place / "run/pid"
    message = _refusal(
        _daemon(nursery, *where, "--pidfile", str(pidfile), "--", str(command)), status
    )
    assert str(command) in message
    nursery.wait_until_empty()
    # In the foreground the process that took it has given up root by then, and can but empty it.
    emptied = where and ROOT and pidfile.exists()
    assert not pidfile.exists() or (emptied and pidfile.read_bytes() == b"")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(("--user", "nosuchuser"), "'nosuchuser'", id="user"),
        pytest.param((*BECOME, "--umask", "22"), "umask", id="umask"),
        pytest.param((*BECOME, "--logfile", "/no/such/log"), "/no/such/log", id="log"),
        pytest.param((*BECOME, "--pidfile", "/no/such/pid"), "/no/such", id="pidfile"),
        pytest.param((*BECOME, "--chdir", "/no/such"), "/no/such", id="directory"),
        pytest.param((), "nobody is named", id="nobody"),
    ],
)
def test_d15_what_is_wrong_is_said_in_one_line(
    nursery: Nursery, words: tuple[str, ...], said: str
) -> None:
    """D15: and no process is left."""
    assert said in _refusal(_daemon(nursery, *_SLEEP, become=words), 125)
    assert nursery.orphans() == []


def test_a_command_is_wanted(nursery: Nursery) -> None:
    """A daemon that does nothing is a mistake."""
    assert "no command" in _refusal(_daemon(nursery, "--"), 125)


def test_d15_a_refused_start_leaves_no_log(nursery: Nursery, place: Path) -> None:
    """D15: the log is made for a daemon, and there is none."""
    _daemon(nursery, "--pidfile", str(place / "pid"), *_SLEEP)
    words = ("--pidfile", str(place / "pid"), "--logfile", str(place / "log"), *_SLEEP)
    _refusal(_daemon(nursery, *words), 125)
    assert not (place / "log").exists()


def test_d1_a_command_that_is_killed_by_its_limits_has_not_started(
    nursery: Nursery, place: Path
) -> None:
    """D1: the kernel kills it inside of execve(2), when nothing is left that could say so."""
    words = ("--limit", "as=40960", "--pidfile", str(place / "pid"), *_SLEEP)
    started = _daemon(nursery, *words)
    assert started.status not in (0, 126, 127)
    nursery.wait_until_empty()


def test_a_death_signal_does_not_end_what_was_said_to_run(nursery: Nursery) -> None:
    """Its parent, who watched the start, leaves at once. Refused, or without effect."""
    started = _daemon(nursery, "--parent-death-signal", "TERM", *_SLEEP)
    if started.status != 0:
        assert "parent" in _refusal(started, 125)
    else:
        time.sleep(0.3)
        assert nursery.program() > 0


# --- In the foreground --------------------------------------------------------------------------


def test_in_the_foreground_it_is_the_same_process(nursery: Nursery, place: Path) -> None:
    """D10: pidfile and umask as otherwise; the streams stay, and the status is the command's."""
    script = 'echo $$; umask; cat "$1"; pwd; exit 7'
    words = ["--foreground", "--pidfile", str(place / "pid"), "--", "sh", "-c", script, "sh"]
    begun = nursery.begin([*ABDICATE, "daemon", *BECOME, *words, str(place / "pid")])
    started = nursery.finish(begun)
    assert (started.status, started.errors) == (7, b"")
    assert started.output.decode().split() == [str(begun.pid), "0022", str(begun.pid), "/"]


def test_in_the_foreground_a_signal_is_the_commands(nursery: Nursery, place: Path) -> None:
    """D10: as systemd sends it; nothing stands in between."""
    pidfile = place / "pid"
    begun = nursery.begin(
        [*ABDICATE, "daemon", *BECOME, "--foreground", "--pidfile", str(pidfile), *_SLEEP]
    )
    until(lambda: executes(begun.pid), "it executes")
    assert _status(pidfile) == HeldBy(begun.pid)
    begun.send_signal(signal.SIGTERM)
    assert nursery.finish(begun).status == -signal.SIGTERM
    assert _status(pidfile) == NotHeld(begun.pid)
