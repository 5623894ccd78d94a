"""A start that is given up from outside: nobody wants the daemon any more, and it ends."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from daemon.nursery import Nursery, standing, until

pytestmark = pytest.mark.needs("linux")

#: A daemon that sets itself up until it is told to go on.
_SLOW = """
with Daemon(pidfile=PidLock(PLACE + "/pid"), ready="by hand").start() as daemon:
    tell([os.getpid(), os.getppid()])
    while not os.path.exists(PLACE + "/go"):
        time.sleep(0.01)
    {then}
"""
_READY = _SLOW.format(then="daemon.ready(); live()")
_EXECUTE = _SLOW.format(then="daemon.execute('/bin/sleep', ['sleep', '60'])")


def _pids(nursery: Nursery) -> tuple[int, int]:
    told = nursery.wait_until_told()
    assert isinstance(told, list)
    daemon, watcher = told
    return daemon, watcher


def _is_gone(nursery: Nursery, place: Path) -> None:
    nursery.wait_until_empty()
    assert not (place / "pid").exists()
    assert [name for name in os.listdir(place) if name.startswith(".")] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
@pytest.mark.parametrize("source", [_READY, _EXECUTE], ids=["ready", "execute"])
def test_the_starter_is_signalled(
    nursery: Nursery, place: Path, source: str, number: signal.Signals
) -> None:
    """It doesn't leave with 0, the daemon ends instead of being ready, its pidfile is gone."""
    begun = nursery.begin(source)
    _, watcher = _pids(nursery)
    begun.send_signal(number)
    until(lambda: begun.poll() is not None and watcher not in nursery.orphans(), "both have left")
    (place / "go").touch()
    assert nursery.finish(begun).status != 0
    _is_gone(nursery, place)


def test_a_key_interrupts_the_starter(nursery: Nursery, place: Path) -> None:
    """SIGINT of the terminal goes to its process group, and the daemon has left that."""
    begun = nursery.begin(_READY, group=0)
    daemon, watcher = _pids(nursery)
    assert standing(daemon).group != begun.pid
    assert standing(watcher).group != begun.pid
    os.killpg(begun.pid, signal.SIGINT)
    started = nursery.finish(begun)
    assert (started.status, started.errors) == (130, b"worker: interrupted\n")
    until(lambda: nursery.orphans() == [daemon], "nobody watches it any more")
    (place / "go").touch()
    assert nursery.ended(daemon) == 1
    _is_gone(nursery, place)


@pytest.mark.parametrize(
    "how",
    [
        pytest.param("signal.signal(signal.SIGTERM, signal.SIG_IGN)", id="ignored"),
        pytest.param("signal.signal(signal.SIGTERM, lambda *_: None)", id="handled"),
        pytest.param("signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})", id="blocked"),
    ],
)
def test_a_program_that_does_not_die_of_term_is_interrupted_too(
    nursery: Nursery, place: Path, how: str
) -> None:
    """What it does about signals is for its own work, not for the process that watches it."""
    begun = nursery.begin(f"{how}\n{_READY}")
    daemon, _ = _pids(nursery)
    begun.send_signal(signal.SIGINT)
    # Not yet: if somebody still waits for the daemon, it will be told that all went well.
    until(lambda: begun.poll() is not None or nursery.orphans() == [daemon], "it is noticed")
    (place / "go").touch()
    assert nursery.finish(begun).status == 130
    _is_gone(nursery, place)


def test_d1_a_handler_that_exits_is_no_success(nursery: Nursery, place: Path) -> None:
    """D1: SIGTERM's is ``sys.exit(0)`` in many programs. The daemon was never ready."""
    begun = nursery.begin(f"signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n{_READY}")
    _, watcher = _pids(nursery)
    begun.send_signal(signal.SIGTERM)
    until(lambda: begun.poll() is not None and watcher not in nursery.orphans(), "both have left")
    (place / "go").touch()
    assert nursery.finish(begun).status != 0
    _is_gone(nursery, place)


def test_a_handler_that_raises_does_not_bring_the_program_back(
    nursery: Nursery, place: Path
) -> None:
    """The starter has become three processes; the caller's code goes on in the daemon alone."""
    begun = nursery.begin(
        f"""
class Alarm(Exception):
    pass

def ring(*_):
    raise Alarm

signal.signal(signal.SIGUSR1, ring)
atexit.register(lambda: open(PLACE + "/handlers", "w").close())
try:
{_READY.replace(chr(10), chr(10) + "    ")}
except Alarm:
    open(PLACE + "/again", "w").close()
"""
    )
    _pids(nursery)
    begun.send_signal(signal.SIGUSR1)
    until(lambda: begun.poll() is not None, "the starter leaves")
    assert nursery.finish(begun).status != 0
    assert not (place / "again").exists()
    assert not (place / "handlers").exists()
    (place / "go").touch()
    nursery.wait_until_empty()


@pytest.mark.parametrize("source", [_READY, _EXECUTE], ids=["ready", "execute"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_watcher_is_killed(
    nursery: Nursery, place: Path, source: str, number: signal.Signals
) -> None:
    """The starter says so and leaves with 1; the daemon finds nobody to be ready for."""
    begun = nursery.begin(source)
    daemon, watcher = _pids(nursery)
    os.kill(watcher, number)
    started = nursery.finish(begun)
    assert started.status == 1
    assert f"signal {number.value}" in started.message
    (place / "go").touch()
    assert nursery.ended(daemon) == 1
    _is_gone(nursery, place)


def test_the_daemon_is_killed(nursery: Nursery, place: Path) -> None:
    """By SIGKILL, so it releases nothing: the starter does."""
    begun = nursery.begin(_READY)
    daemon, _ = _pids(nursery)
    os.kill(daemon, signal.SIGKILL)
    started = nursery.finish(begun)
    assert started.status == 1
    assert "killed by signal 9" in started.message
    _is_gone(nursery, place)


def test_a_successor_keeps_its_pidfile(nursery: Nursery, place: Path) -> None:
    """A starter that cleans up after its daemon removes no file that somebody else has locked."""
    source = """
with Daemon(pidfile=PidLock(PLACE + "/pid"), ready="by hand").start() as daemon:
    daemon.release()
    tell("released")
    while not os.path.exists(PLACE + "/go"):
        time.sleep(0.01)
    os._exit(5)
"""
    begun = nursery.begin(source)
    nursery.wait_until_told()
    successor = nursery.start('Daemon(pidfile=PidLock(PLACE + "/pid")).start(); live()')
    assert successor.status == 0
    pid = int((place / "pid").read_text())
    (place / "go").touch()
    assert nursery.finish(begun).status == 5
    assert (place / "pid").read_text() == f"{pid}\n"


def test_a_stopped_starter_still_waits(nursery: Nursery, place: Path) -> None:
    """Ctrl-Z is no reason to give up: the daemon becomes ready meanwhile."""
    begun = nursery.begin(_READY)
    daemon, _ = _pids(nursery)
    begun.send_signal(signal.SIGSTOP)
    (place / "go").touch()
    time.sleep(0.2)
    begun.send_signal(signal.SIGCONT)
    assert nursery.finish(begun).status == 0
    assert nursery.orphans() == [daemon]


@pytest.mark.needs("strace")
def test_d1_an_interrupt_between_the_forks_brings_the_program_back_nowhere(
    nursery: Nursery, place: Path
) -> None:
    """D1: Ctrl-C reaches the watcher too, as long as it has not left the terminal's session."""
    source = """
        try:
            Daemon().start()
            open(PLACE + "/ran", "w").close()
        except KeyboardInterrupt:
            open(PLACE + "/again", "w").close()
        """
    trace = ["strace", "-f", "-o", "/dev/null", "-e", "trace=setsid"]
    trace += ["-e", "inject=setsid:signal=INT:when=1"]
    started = nursery.start(source, through=trace)
    assert not (place / "again").exists()
    assert started.status != 0 or (place / "ran").exists()
