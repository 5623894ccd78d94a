"""Celery, the real program, with our module in the place of its own `celery.platforms`.

Worker, beat and multi are started as their users start them, against a broker in the file
system, and looked at from outside: what they hold, what their starters say, when their pidfiles
come and go, and which signals they obey.

One thing is Celery's own: it is told ``--uid=nobody`` in one word. It takes the word ``--uid``
away when a worker that detaches executes itself anew, and leaves ``nobody`` behind.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from parity.celery_site import (
    NOBODY,
    NOBODYS,
    Ran,
    Site,
    children,
    copy_programs,
    holdings,
    open_files,
    process,
    title,
    wait_for,
)

pytestmark = pytest.mark.needs("root", "CAP_SETUID", "CAP_SETGID", "linux", "celery")

EX_CANTCREAT = 73
_PREFIX = "abdicate-celery-"
_POOL = 2  # processes of a worker's pool


@pytest.fixture(scope="module")
def library() -> Iterator[Path]:
    """Celery and our package, where everybody can read them."""
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as name:
        copy_programs(Path(name))
        yield Path(name)


@contextlib.contextmanager
def _place(library: Path) -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as name:
        site = Site(Path(name).resolve(), library)
        try:
            yield site
        finally:
            site.kill_all()


@pytest.fixture
def site(library: Path) -> Iterator[Site]:
    """A place of the test's own."""
    with _place(library) as place:
        yield place


class Daemon(NamedTuple):
    """A worker, or beat, that was ready, in a place of its own."""

    site: Site
    node: str
    pid: int


@pytest.fixture(scope="module")
def worker(library: Path) -> Iterator[Daemon]:
    """A detached worker, which the tests only look at."""
    with _place(library) as site:
        yield Daemon(site, "w", site.start_worker("w"))


@pytest.fixture(scope="module")
def beat(library: Path) -> Iterator[Daemon]:
    """A detached beat, which the tests only look at."""
    with _place(library) as site:
        yield Daemon(site, "b", _start_beat(site))


def _start_beat(site: Site) -> int:
    ran = site.celery("beat", "--detach", *site.options("b"))
    assert ran.returncode == 0, ran
    pid = site.pid("b")
    # It sets its handlers up after its pidfile, and sends what is due after them.
    wait_for("beat to send", site.sent)
    return pid


def _assert_detached(pid: int) -> None:
    daemon = process(pid)
    assert daemon is not None
    assert daemon.terminal == 0
    assert daemon.session not in (os.getsid(0), daemon.pid)
    null = os.stat(os.devnull)
    files = open_files(pid)
    assert [files[stream] for stream in (0, 1, 2)] == [(null.st_dev, null.st_ino)] * 3


def _assert_refused(daemon: Daemon, command: str, *words: str) -> None:
    site, node, pid = daemon
    pidfile = site.pidfile(node)
    before = pidfile.stat()
    ran = site.celery(command, "--detach", *words)
    assert ran.returncode == EX_CANTCREAT, ran
    assert str(pidfile) in ran.stderr
    assert f"pid: {pid}" in ran.stderr
    assert pidfile.stat() == before
    assert pidfile.read_text() == f"{pid}\n"
    assert process(pid) is not None


# --- A worker that detaches ----------------------------------------------------------------------


def test_a_detached_worker_s_pidfile_names_it(worker: Daemon) -> None:
    pidfile = worker.site.pidfile(worker.node)
    assert pidfile.read_text() == f"{worker.pid}\n"
    found = pidfile.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (
        NOBODY.pw_uid,
        NOBODY.pw_gid,
        0o644,
    )


@pytest.mark.needs("CAP_SYS_PTRACE")
def test_a_detached_worker_has_left_the_terminal(worker: Daemon) -> None:
    _assert_detached(worker.pid)


def test_a_detached_worker_and_its_pool_hold_what_nobody_holds(worker: Daemon) -> None:
    """P10, P22: four uids, four gids, the groups, and no capability, in every thread."""
    pool = children(worker.pid)
    assert len(pool) == _POOL
    for pid in (worker.pid, *pool):
        assert all(held == NOBODYS for held in holdings(pid)), holdings(pid)


def test_a_detached_worker_runs_tasks_with_our_module(worker: Daemon) -> None:
    told = worker.site.ask("detached")
    assert told.parent == worker.pid
    assert told.process in children(worker.pid)
    assert "celery" in told.platforms
    assert "celery.concurrency.prefork" in told.platforms
    assert set(told.platforms.values()) == {"abdicate.platforms"}


@pytest.mark.needs("setproctitle")
def test_a_detached_worker_and_its_pool_have_titles(worker: Daemon) -> None:
    name = f"[celeryd: {worker.node}@{worker.site.root.name}"
    assert title(worker.pid).startswith(f"{name}:MainProcess] -active-")
    numbers = range(1, _POOL + 1)
    assert sorted(map(title, children(worker.pid))) == [
        f"{name}:ForkPoolWorker-{number}]" for number in numbers
    ]


@pytest.mark.needs("CAP_SYS_PTRACE")
def test_the_pool_of_a_worker_does_not_share_the_pidfile_s_lock(worker: Daemon) -> None:
    """F8: a child that inherits the lock holds it after its holder has died."""
    found = worker.site.pidfile(worker.node).stat()
    identity = (found.st_dev, found.st_ino)
    assert identity in open_files(worker.pid).values()
    for child in children(worker.pid):
        assert identity not in open_files(child).values()


def test_a_second_worker_with_the_same_pidfile_is_refused(worker: Daemon) -> None:
    """D1: the starter is told, by the daemon, and exits with its status."""
    _assert_refused(worker, "worker", *worker.site.worker_options(worker.node))


def test_a_second_worker_in_the_foreground_is_refused(worker: Daemon) -> None:
    site, node, pid = worker
    ran = site.celery("worker", *site.worker_options(node))
    assert ran.returncode == EX_CANTCREAT, ran
    assert f"pid: {pid}" in ran.stderr
    assert site.pid(node) == pid


def test_a_worker_that_is_killed_takes_its_pool_along_and_leaves_its_pidfile_to_the_next(
    site: Site,
) -> None:
    killed = site.start_worker("w")
    os.kill(killed, signal.SIGKILL)
    wait_for("the worker and its pool to end", lambda: not site.processes())
    assert site.pidfile("w").read_text() == f"{killed}\n"
    ran = site.celery("worker", "--detach", *site.worker_options("w"))
    assert ran.returncode == 0, ran
    wait_for("the pidfile to be taken over", lambda: site.pid("w") != killed)
    site.ready_worker("w", times=2)


# --- A worker in the foreground ------------------------------------------------------------------


def test_a_worker_in_the_foreground_runs_tasks_as_nobody(site: Site) -> None:
    with site.foreground("worker", *site.worker_options("w")) as running:
        assert site.ready_worker("w") == running.pid
        told = site.ask("foreground")
        assert told.parent == running.pid
        assert set(told.platforms.values()) == {"abdicate.platforms"}
        for pid in (running.pid, told.process):
            assert all(held == NOBODYS for held in holdings(pid)), holdings(pid)


# --- Signals to a worker -------------------------------------------------------------------------


class Signalled(NamedTuple):
    """Workers that were ready, and then were sent a signal."""

    detached: dict[signal.Signals, Daemon]
    foreground: dict[signal.Signals, tuple[Site, subprocess.Popen[bytes]]]


@pytest.fixture(scope="module")
def signalled(library: Path) -> Iterator[Signalled]:
    """All of them at once: a worker's end takes seconds, most of which it sleeps."""
    with contextlib.ExitStack() as stack:
        found = Signalled({}, {})
        for number in (signal.SIGTERM, signal.SIGINT):
            site = stack.enter_context(_place(library))
            running = site.foreground("worker", *site.worker_options("w"))
            found.foreground[number] = site, stack.enter_context(running)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            site = stack.enter_context(_place(library))
            found.detached[number] = Daemon(site, "w", site.start_worker("w"))
        for number, (site, _) in found.foreground.items():
            os.kill(site.ready_worker("w"), number)
        for number, daemon in found.detached.items():
            os.kill(daemon.pid, number)
        yield found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_detached_worker_its_pool_and_its_pidfile(
    signalled: Signalled, number: signal.Signals
) -> None:
    site, node, pid = signalled.detached[number]
    site.stopped(node, pid)
    wait_for("the pool to end", lambda: not site.processes())


# The statuses are Celery's own.
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 1)])
def test_a_signal_ends_a_worker_in_the_foreground_and_its_pidfile(
    signalled: Signalled, number: signal.Signals, status: int
) -> None:
    site, running = signalled.foreground[number]
    assert running.wait(timeout=60) == status
    site.stopped("w", running.pid)


def test_hup_restarts_a_detached_worker_in_its_pidfile(signalled: Signalled) -> None:
    """F5: executed anew, it finds a pidfile with its own pid, and nobody's lock on it."""
    site, node, pid = signalled.detached[signal.SIGHUP]
    assert site.ready_worker(node, times=2) == pid
    assert site.ask("after HUP").parent == pid
    assert all(held == NOBODYS for held in holdings(pid)), holdings(pid)


# --- Beat ----------------------------------------------------------------------------------------


def test_a_detached_beat_holds_what_nobody_holds(beat: Daemon) -> None:
    assert beat.site.pidfile(beat.node).read_text() == f"{beat.pid}\n"
    assert holdings(beat.pid) == [NOBODYS]


@pytest.mark.needs("CAP_SYS_PTRACE")
def test_a_detached_beat_has_left_the_terminal(beat: Daemon) -> None:
    _assert_detached(beat.pid)


def test_what_a_detached_beat_schedules_is_run(beat: Daemon) -> None:
    site = beat.site
    # Of two messages, the first is complete.
    wait_for("beat to send two", lambda: len(site.sent()) > 1)
    site.deliver(site.sent()[0])
    with site.foreground("worker", *site.worker_options("w")):
        told = site.told("scheduled")
    assert set(told.platforms.values()) == {"abdicate.platforms"}


def test_a_second_beat_with_the_same_pidfile_is_refused(beat: Daemon) -> None:
    _assert_refused(beat, "beat", *beat.site.options(beat.node))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_a_signal_ends_a_detached_beat_and_its_pidfile(site: Site, number: signal.Signals) -> None:
    """D8: it does so although the starter had both signals blocked."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
    try:
        pid = _start_beat(site)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    os.kill(pid, number)
    site.stopped("b", pid)


# --- Multi ---------------------------------------------------------------------------------------


def _multi(site: Site, command: str, nodes: int) -> Ran:
    """Run multi. The umbrella command loses its status: what counts is what it says."""
    options = [*site.options(), f"--hostname={site.root.name}", "--concurrency=1", "--no-color"]
    return site.celery("multi", command, str(nodes), *options)


def test_multi_starts_nodes_and_stops_them(site: Site) -> None:
    ran = _multi(site, "start", 2)
    assert ran.stdout.count("OK") == 2, ran
    pids = {node: site.ready_worker(node) for node in ("celery1", "celery2")}
    for pid in pids.values():
        for one in (pid, *children(pid)):
            assert all(held == NOBODYS for held in holdings(one)), holdings(one)
    told = site.ask("multi")
    assert told.parent in pids.values()
    assert set(told.platforms.values()) == {"abdicate.platforms"}
    ran = _multi(site, "stop", 2)
    assert all(f"TERM -> {pid}" in ran.stdout for pid in pids.values()), ran
    for node, pid in pids.items():
        site.stopped(node, pid)


def test_multi_is_refused_a_node_that_runs_restarts_it_and_waits_for_its_end(site: Site) -> None:
    _multi(site, "start", 1)
    first = site.ready_worker("celery1")

    ran = _multi(site, "start", 1)
    assert "FAILED" in ran.stdout, ran
    assert f"exit code {EX_CANTCREAT}" in ran.stdout, ran
    assert f"pid: {first}" in ran.stderr, ran

    ran = _multi(site, "restart", 1)
    assert f"TERM -> {first}" in ran.stdout, ran
    assert "FAILED" not in ran.stdout, ran
    second = site.ready_worker("celery1", times=2)
    assert second != first

    ran = _multi(site, "stopwait", 1)
    assert f"TERM -> {second}" in ran.stdout, ran
    assert not site.pidfile("celery1").exists()
    # It waits for the end of the pidfile, which is the last but not all that a worker does.
    wait_for("both to end", lambda: not site.processes())


# --- Starts that fail ----------------------------------------------------------------------------


def _assert_nothing_is_left(site: Site) -> None:
    assert site.processes() == []
    assert list((site.root / "run").iterdir()) == []


@pytest.mark.parametrize("command", ["worker", "beat"])
def test_a_log_that_nobody_may_not_write_fails_at_the_terminal(site: Site, command: str) -> None:
    """D1: the usual daemonizers leave with status 0 before their daemon sees this."""
    site.log("d").write_text("root's")
    site.log("d").chmod(0o600)
    ran = site.celery(command, "--detach", *site.options("d"))
    assert ran.returncode not in (0, EX_CANTCREAT), ran
    assert str(site.log("d")) in ran.stderr
    assert "Permission denied" in ran.stderr
    assert site.log("d").read_text() == "root's"
    _assert_nothing_is_left(site)


def test_a_pidfile_that_nobody_may_not_make_fails_at_the_terminal(site: Site) -> None:
    (site.root / "run").chmod(0o500)
    os.chown(site.root / "run", 0, 0)
    ran = site.celery("worker", "--detach", *site.worker_options("w"))
    assert ran.returncode != 0, ran
    assert str(site.pidfile("w")) in ran.stderr
    _assert_nothing_is_left(site)


def test_an_unknown_user_fails_at_the_terminal(site: Site) -> None:
    options = [*site.worker_options("w"), "--uid=no-such-user"]
    ran = site.celery("worker", "--detach", *options)
    assert ran.returncode != 0, ran
    assert "no-such-user" in ran.stderr
    _assert_nothing_is_left(site)


def test_multi_is_told_of_a_node_that_does_not_start(site: Site) -> None:
    site.log("celery1").write_text("root's")
    site.log("celery1").chmod(0o600)
    ran = _multi(site, "start", 1)
    assert "FAILED" in ran.stdout, ran
    assert "exit code 1" in ran.stdout, ran
    assert "Permission denied" in ran.stderr, ran
    _assert_nothing_is_left(site)
