"""Where a daemon stands: session, terminal, streams, directory, umask, signals, descriptors."""

from __future__ import annotations

import os
import pty
import signal
import stat
import time
from pathlib import Path

import pytest

from daemon.nursery import (
    Nursery,
    descriptors_of,
    signals_in,
    standing,
    status_of,
    until,
)
from harness.needs import unshare_command

pytestmark = pytest.mark.needs("linux")

_LIVES = "Daemon().start(); live()"


# --- Session and terminal -----------------------------------------------------------------------


def test_a_daemon_has_a_session_of_its_own(nursery: Nursery) -> None:
    """And doesn't lead it, so that no terminal that it opens becomes its own: credentials(7)."""
    begun = nursery.begin(_LIVES)
    assert nursery.finish(begun).status == 0
    daemon = nursery.daemon()
    found = standing(daemon)
    assert found.session not in (os.getsid(0), begun.pid, daemon)
    assert found.group == found.session
    assert found.parent == os.getpid(), "the subreaper's child, as without one it would be init's"
    assert found.terminal == 0


def test_a_daemon_has_no_terminal(nursery: Nursery) -> None:
    """Started in one: /dev/tty is none, and a terminal that it opens doesn't become one."""
    master, slave = pty.openpty()
    name = os.ttyname(slave)
    begun = nursery.begin(
        f"""
        tell("in a terminal") if os.isatty(os.open("/dev/tty", os.O_RDWR)) else None
        daemon = Daemon(ready="by hand").start()
        found = []
        for attempt in range(2):
            try:
                os.open("/dev/tty", os.O_RDWR)
            except OSError as error:
                found.append(error.errno)
            os.open({name!r}, os.O_RDWR)
        tell(found)
        daemon.ready()
        live()
        """,
        before=lambda: os.login_tty(slave),
    )
    os.close(slave)
    assert nursery.finish(begun).status == 0
    enxio = 6
    assert nursery.told() == [enxio, enxio]
    daemon = nursery.daemon()
    assert standing(daemon).terminal == 0
    # The terminal goes away: who has it as its own gets SIGHUP.
    os.close(master)
    time.sleep(0.1)
    assert nursery.orphans() == [daemon]


def test_ctrl_c_in_the_terminal_reaches_the_starter_alone(nursery: Nursery) -> None:
    """The key that stops what runs in the foreground; the daemon isn't there any more."""
    master, slave = pty.openpty()
    begun = nursery.begin(
        """
        daemon = Daemon(ready="by hand").start()
        tell("detached")
        live()
        """,
        before=lambda: os.login_tty(slave),
    )
    os.close(slave)
    assert nursery.wait_until_told() == "detached"
    os.write(master, b"\x03")
    assert nursery.finish(begun).status == 130
    shown = b""
    while b"worker: interrupted" not in shown:
        # EIO when everybody has closed the terminal, and all was read.
        shown += os.read(master, 4096)
    assert nursery.daemon() > 0
    os.close(master)


# --- What it finds around it --------------------------------------------------------------------


def test_the_streams_are_the_null_device(nursery: Nursery) -> None:
    """Without a log; for reading and writing, and for programs that it executes."""
    nursery.start(_LIVES)
    assert descriptors_of(nursery.living()) == dict.fromkeys((0, 1, 2), "/dev/null")


def test_the_streams_are_the_log(nursery: Nursery, place: Path) -> None:
    """Standard output and error in the order in which they were written; input stays null."""
    nursery.start(
        """
        Daemon(logfile=PLACE + "/log").start()
        print("out", flush=True)
        print("err", file=sys.stderr, flush=True)
        os.system("echo from a child")
        live()
        """
    )
    log = place / "log"
    until(lambda: log.read_text().count("\n") == 3, "all three are there")
    assert log.read_text() == "out\nerr\nfrom a child\n"
    assert descriptors_of(nursery.living()) == {0: "/dev/null", 1: str(log), 2: str(log)}


@pytest.mark.parametrize("asked", [None, 0o022, 0, 0o077, 0o777])
def test_d7_the_umask_is_explicit(nursery: Nursery, asked: int | None) -> None:
    """D7: 022 unless another was asked for, whatever the starter's is."""
    words = "" if asked is None else f"umask={asked}"
    nursery.start(f"Daemon({words}).start(); live()", before=lambda: (os.umask(0), None)[1])
    wanted = 0o022 if asked is None else asked
    assert int(status_of(nursery.daemon())["Umask"], 8) == wanted


def test_d7_files_are_the_owners_to_write(nursery: Nursery, place: Path) -> None:
    """D7: with a umask of 0 everybody could write to what a daemon makes."""
    nursery.start('Daemon().start(); open(PLACE + "/made", "w").close(); live()')
    until((place / "made").exists, "it makes a file")
    assert stat.S_IMODE((place / "made").stat().st_mode) == 0o644


@pytest.mark.parametrize("asked", [None, "/usr"])
def test_the_directory_is_the_one_asked_for(nursery: Nursery, asked: str | None) -> None:
    """The root directory by default: another could not be unmounted while the daemon runs."""
    words = "" if asked is None else f"workdir={asked!r}"
    nursery.start(f"Daemon({words}).start(); live()", through=["env", "-C", "/tmp"])
    assert os.readlink(f"/proc/{nursery.daemon()}/cwd") == (asked or "/")


# --- Signals ------------------------------------------------------------------------------------


def test_d8_no_signal_stays_blocked(nursery: Nursery) -> None:
    """D8: the mask survives fork and exec; with TERM in it nobody could stop the daemon."""

    def block() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())

    nursery.start(_LIVES, before=block)
    daemon = nursery.daemon()
    assert int(status_of(daemon)["SigBlk"], 16) == 0
    os.kill(daemon, signal.SIGTERM)
    assert nursery.ended(daemon) == -signal.SIGTERM


def test_d8_handlers_are_as_in_a_new_python(nursery: Nursery) -> None:
    """D8: nothing of what was handled, or inherited as ignored, is left."""

    def ignore() -> None:
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD, signal.SIGRTMIN):
            signal.signal(number, signal.SIG_IGN)

    nursery.start(
        """
        for number in (signal.SIGTERM, signal.SIGUSR2, signal.SIGRTMAX):
            signal.signal(number, print)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        Daemon().start()
        live()
        """,
        before=ignore,
    )
    found = status_of(nursery.daemon())
    assert signals_in(found["SigIgn"]) == {signal.SIGPIPE, signal.SIGXFSZ}
    assert signals_in(found["SigCgt"]) == {signal.SIGINT}


def test_d8_the_wakeup_descriptor_is_forgotten(nursery: Nursery) -> None:
    """D8: it is closed, and a signal's number would be written into whatever has its number."""
    nursery.start(
        """
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing)
        Daemon().start()
        tell(signal.set_wakeup_fd(-1))
        """
    )
    assert nursery.wait_until_told() == -1


# --- Descriptors --------------------------------------------------------------------------------


def test_no_descriptor_is_leaked(nursery: Nursery) -> None:
    """Of the starter's own, of those that it inherited, and of what the start itself needed."""
    inherited = [os.open("/dev/null", os.O_RDONLY) for _ in range(10)]
    nursery.start(
        """
        files = [open("/dev/null") for _ in range(10)] + list(os.pipe())
        daemon = Daemon(
            pidfile=PidLock(PLACE + "/pid"), logfile=PLACE + "/log", ready="by hand"
        ).start()
        tell(len(fds()))
        daemon.ready()
        live()
        """,
        keep=inherited,
    )
    for number in inherited:
        os.close(number)
    assert nursery.told() == 5, "the streams, the lock, and the line to the starter"
    log, lock = str(nursery.place / "log"), str(nursery.place / "pid")
    found = descriptors_of(nursery.living())
    assert sorted(found.values()) == sorted(["/dev/null", log, log, lock])


def test_what_was_asked_for_is_kept(nursery: Nursery) -> None:
    """By number, and no other; a number that isn't open is passed over."""
    nursery.start(
        """
        kept, lost = os.open("/dev/zero", os.O_RDONLY), os.open("/dev/full", os.O_RDONLY)
        Daemon(keep=(kept, 999)).start()
        live()
        """
    )
    found = descriptors_of(nursery.living())
    assert sorted(found.values()) == ["/dev/null"] * 3 + ["/dev/zero"]


def test_d4_streams_that_are_closed_at_the_start_are_occupied(
    nursery: Nursery, place: Path
) -> None:
    """D4: or the log, the lock or a database would be standard output."""
    closed = ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"]
    nursery.start(
        """
        daemon = Daemon(
            pidfile=PidLock(PLACE + "/pid"), logfile=PLACE + "/log", ready="by hand"
        ).start()
        tell(os.open("/dev/zero", os.O_RDONLY))
        daemon.ready()
        live()
        """,
        through=closed,
    )
    told = nursery.told()
    assert isinstance(told, int)
    assert told > 2
    found = descriptors_of(nursery.living())
    log = str(place / "log")
    assert (found[0], found[1], found[2]) == ("/dev/null", log, log)
    assert (place / "pid").read_text() == f"{nursery.living()}\n"


@pytest.mark.parametrize("detach", [True, False])
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_d4_each_stream_may_be_closed(nursery: Nursery, closed: str, detach: bool) -> None:
    """D4: with no log too; what is opened later lands above them."""
    nursery.start(
        f"""
        daemon = Daemon(detach={detach}).start()
        tell(os.open("/dev/zero", os.O_RDONLY))
        """,
        through=["/bin/sh", "-c", f'exec "$@" {closed}', "sh"],
    )
    told = nursery.wait_until_told()
    assert isinstance(told, int)
    assert told > 2


@pytest.mark.parametrize("handler", ["logging.FileHandler", "logging.handlers.WatchedFileHandler"])
def test_d11_the_files_of_log_handlers_survive(nursery: Nursery, place: Path, handler: str) -> None:
    """D11: closed under their owner, their number would be another file's."""
    nursery.start(
        f"""
        import logging.handlers
        logging.getLogger().addHandler({handler}(PLACE + "/app.log"))
        logging.warning("before")
        Daemon().start()
        other = open(PLACE + "/other", "w")
        logging.warning("after")
        live()
        """
    )
    log = place / "app.log"
    until(lambda: log.read_text() == "before\nafter\n", "it logs")
    assert (place / "other").read_text() == ""


def test_d11_a_handler_on_standard_error_goes_to_the_log(nursery: Nursery, place: Path) -> None:
    """D11: its stream is the daemon's standard error, and that is the log file."""
    started = nursery.start(
        """
        import logging
        logging.basicConfig()
        logging.warning("before")
        Daemon(logfile=PLACE + "/log").start()
        logging.warning("after")
        live()
        """
    )
    assert started.errors == b"WARNING:root:before\n"
    until(lambda: (place / "log").read_text() == "WARNING:root:after\n", "it logs")


# --- Staying in the foreground ------------------------------------------------------------------


def test_d10_without_detaching_everything_else_is_the_same(nursery: Nursery, place: Path) -> None:
    """D10: the same process, session and terminal; pidfile, log, umask, directory, signals."""
    begun = nursery.begin(
        """
        leaked = open("/dev/zero")
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        os.umask(0)
        daemon = Daemon(
            detach=False, pidfile=PidLock(PLACE + "/pid"), logfile=PLACE + "/log"
        ).start()
        tell("ready")
        live()
        """
    )
    assert nursery.wait_until_told() == "ready"
    assert begun.poll() is None
    assert nursery.orphans() == [begun.pid], "it has no children"
    found = standing(begun.pid)
    assert (found.parent, found.session) == (os.getpid(), os.getsid(0))
    assert (place / "pid").read_text() == f"{begun.pid}\n"
    log = str(place / "log")
    descriptors = descriptors_of(begun.pid)
    (lock,) = set(descriptors) - {0, 1, 2}
    assert [descriptors[stream] for stream in (0, 1, 2)] == ["/dev/null", log, log]
    assert os.path.samefile(f"/proc/{begun.pid}/fd/{lock}", place / "pid")
    status = status_of(begun.pid)
    assert status["Umask"] == "0022"
    assert int(status["SigBlk"], 16) == 0
    assert signals_in(status["SigIgn"]) == {signal.SIGPIPE, signal.SIGXFSZ}
    assert os.readlink(f"/proc/{begun.pid}/cwd") == "/"
    begun.terminate()
    assert nursery.finish(begun).status == -signal.SIGTERM


def test_d10_without_detaching_the_terminal_stays(nursery: Nursery) -> None:
    """D10: where there is no log. Under systemd it is the journal."""
    started = nursery.start('Daemon(detach=False).start(); print("hello")')
    assert (started.status, started.output, started.errors) == (0, b"hello\n", b"")


def test_d10_without_detaching_an_error_is_raised(nursery: Nursery, place: Path) -> None:
    """D10: there is nobody else to tell. The pidfile is released."""
    started = nursery.start(
        """
        with Daemon(detach=False, pidfile=PidLock(PLACE + "/pid")).start():
            raise ValueError("no database")
        """
    )
    assert started.status == 1
    assert started.errors.endswith(b"ValueError: no database\n")
    assert not (place / "pid").exists()


@pytest.mark.needs("mount and pid namespaces")
def test_d10_nothing_is_inferred_from_the_parent(nursery: Nursery) -> None:
    """D10: a starter whose parent is init was not detached by anybody: it detaches."""
    script = '"$@"; echo "$?"; while ! [ -s "$PLACE/told" ]; do sleep 0.05; done'
    started = nursery.start(
        """
        parent = os.getppid()
        Daemon().start()
        tell([parent, os.getppid(), os.getpid() == os.getsid(0)])
        """,
        env={"PLACE": str(nursery.place)},
        through=[
            *unshare_command("--mount", "--pid", "--fork", "--mount-proc"),
            *("/bin/sh", "-c", script, "sh"),
        ],
    )
    assert started.output == b"0\n", started
    told = nursery.told()
    assert isinstance(told, list)
    assert told[0] == 1
    assert told[2] is False
