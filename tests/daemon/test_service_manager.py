"""D6: what a service manager gives to a daemon, and wants to hear of it."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.program import ABDICATE, BECOME
from daemon.nursery import Nursery, descriptors_of, environment_of, until

pytestmark = pytest.mark.needs("linux")


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, place: Path) -> Iterator[tuple[str, socket.socket]]:
    """A service manager's socket, and NOTIFY_SOCKET for it: sd_notify(3)."""
    named = f"@abdicate-test-{os.getpid()}-{place.name}"
    address = named if request.param == "abstract" else str(place / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(address.replace("@", "\0", 1) if request.param == "abstract" else address)
        line.settimeout(10)
        yield address, line


def _heard(line: socket.socket) -> list[str]:
    return line.recv(4096).decode().splitlines()


def _is_silent(line: socket.socket) -> bool:
    line.setblocking(False)
    try:
        return not line.recv(4096)
    except BlockingIOError:
        return True
    finally:
        line.settimeout(10)


# --- NOTIFY_SOCKET ------------------------------------------------------------------------------


def test_d6_the_manager_hears_of_a_daemon_that_is_ready(
    nursery: Nursery, manager: tuple[str, socket.socket]
) -> None:
    """D6: READY=1 once, and which process is the main one: the daemon, not who started it."""
    address, line = manager
    started = nursery.start("Daemon().start(); live()", env={"NOTIFY_SOCKET": address})
    assert (started.status, started.errors) == (0, b"")
    daemon = nursery.daemon()
    assert _heard(line) == ["READY=1", f"MAINPID={daemon}"]
    assert _is_silent(line)
    until(lambda: set(descriptors_of(daemon)) == {0, 1, 2}, "the socket is closed again")


def test_d6_nothing_is_said_before_it_is_ready(
    nursery: Nursery, manager: tuple[str, socket.socket]
) -> None:
    """D6: by hand, once, though it is said twice."""
    address, line = manager
    begun = nursery.begin(
        """
        daemon = Daemon(ready="by hand").start()
        tell(os.getpid())
        while not os.path.exists(PLACE + "/go"):
            time.sleep(0.01)
        daemon.ready()
        daemon.ready()
        live()
        """,
        env={"NOTIFY_SOCKET": address},
    )
    daemon = nursery.wait_until_told()
    assert _is_silent(line)
    (nursery.place / "go").touch()
    assert _heard(line) == ["READY=1", f"MAINPID={daemon}"]
    assert nursery.finish(begun).status == 0
    assert _is_silent(line)


def test_d6_nothing_is_said_of_a_start_that_failed(
    nursery: Nursery, manager: tuple[str, socket.socket]
) -> None:
    """D6: the manager sees that by itself."""
    address, line = manager
    nursery.start(
        'with Daemon(ready="by hand").start(): raise ValueError', env={"NOTIFY_SOCKET": address}
    )
    nursery.wait_until_empty()
    assert _is_silent(line)


def test_d6_in_the_foreground_too(nursery: Nursery, manager: tuple[str, socket.socket]) -> None:
    """D6: with Type=notify nothing detaches."""
    address, line = manager
    begun = nursery.begin("Daemon(detach=False).start()", env={"NOTIFY_SOCKET": address})
    assert nursery.finish(begun).status == 0
    assert _heard(line) == ["READY=1", f"MAINPID={begun.pid}"]


@pytest.mark.needs("root", "CAP_SYS_CHROOT")
def test_d6_the_manager_is_told_from_within_a_new_root(
    nursery: Nursery, manager: tuple[str, socket.socket], place: Path
) -> None:
    """D6: the socket was connected before; its path is out of reach there."""
    address, line = manager
    (place / "root").mkdir()
    started = nursery.start(
        """
        policy = DropPolicy(chroot=PLACE + "/root")
        Daemon(drop=DropRequest(parse_owner("nobody"), policy=policy)).start()
        live()
        """,
        env={"NOTIFY_SOCKET": address},
    )
    assert (started.status, started.errors) == (0, b"")
    assert _heard(line) == ["READY=1", f"MAINPID={nursery.daemon()}"]


def test_d6_a_manager_that_has_gone_is_not_waited_for(nursery: Nursery, place: Path) -> None:
    """D6: whoever started the daemon is told all the same."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(str(place / "notify"))
        begun = nursery.begin(
            """
            daemon = Daemon(ready="by hand").start()
            tell("set up")
            while not os.path.exists(PLACE + "/go"):
                time.sleep(0.01)
            daemon.ready()
            live()
            """,
            env={"NOTIFY_SOCKET": str(place / "notify")},
        )
        nursery.wait_until_told()
    (place / "go").touch()
    assert nursery.finish(begun).status == 0


@pytest.mark.parametrize(
    "address", ["relative/path", "vsock:2:1234", "@", "/no/such/socket", "@no-such-name"]
)
def test_d6_an_address_that_does_not_work_is_named(nursery: Nursery, address: str) -> None:
    """D6: on the terminal, ahead of the fork; nobody would think of that variable."""
    started = nursery.start(
        """
        note_forks()
        try:
            Daemon().start()
        except Exception as error:
            sys.exit(f"worker: {error}")
        """,
        env={"NOTIFY_SOCKET": address},
    )
    assert started.status == 1
    assert not nursery.forked()
    assert "NOTIFY_SOCKET" in started.message
    assert address in started.message


def test_d6_a_command_speaks_for_itself(
    nursery: Nursery, manager: tuple[str, socket.socket]
) -> None:
    """D6: that it is executed doesn't mean that it is ready. It inherits the address."""
    address, line = manager
    started = nursery.start(
        [*ABDICATE, "daemon", *BECOME, "--", "sleep", "60"], env={"NOTIFY_SOCKET": address}
    )
    assert (started.status, started.errors) == (0, b"")
    daemon = nursery.program()
    assert environment_of(daemon)["NOTIFY_SOCKET"] == address
    assert set(descriptors_of(daemon)) == {0, 1, 2}
    assert _is_silent(line)


# --- LISTEN_FDS ---------------------------------------------------------------------------------

#: Becomes a command, as systemd does, with a descriptor as number 3, addressed to it.
_ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
for number in range(4, 64):
    try:
        os.close(number)
    except OSError:
        pass
os.environ.update(LISTEN_FDS="1", LISTEN_FDNAMES="http")
os.environ["LISTEN_PID"] = sys.argv[2] if sys.argv[2] != "own" else str(os.getpid())
os.execv(sys.argv[3], sys.argv[3:])
"""


def _activated(listener: socket.socket, pid: str = "own") -> list[str]:
    return [sys.executable, "-c", _ACTIVATE, str(listener.fileno()), pid]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket that listens, as systemd makes it for a service."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def _answer(listener: socket.socket) -> bytes:
    with socket.create_connection(listener.getsockname(), timeout=10) as line:
        return line.recv(100)


@pytest.mark.parametrize("detach", [True, False])
def test_d6_descriptors_that_were_passed_are_passed_on(
    nursery: Nursery, listener: socket.socket, detach: bool
) -> None:
    """D6: to the daemon, whose pid is another one than they were addressed to."""
    begun = nursery.begin(
        f"""
        from abdicate.process.activation import passed_descriptors
        import socket
        Daemon(detach={detach}).start()
        (passed,) = passed_descriptors()
        tell([passed.number, passed.name, os.environ["LISTEN_PID"] == str(os.getpid())])
        line, _ = socket.socket(fileno=passed.number).accept()
        line.send(b"hello")
        """,
        keep=[listener.fileno()],
        through=_activated(listener),
    )
    assert nursery.wait_until_told() == [3, "http", True]
    assert _answer(listener) == b"hello"
    assert nursery.finish(begun).status == 0


def test_d6_descriptors_of_another_process_are_rejected(
    nursery: Nursery, listener: socket.socket
) -> None:
    """D6: closed, and the announcement is taken away, or a child would believe it."""
    nursery.start(
        """
        Daemon(ready="after set-up").start()
        tell([name for name in os.environ if name.startswith("LISTEN_")])
        live()
        """,
        keep=[listener.fileno()],
        through=_activated(listener, "1"),
    )
    assert nursery.wait_until_told() == []
    assert set(descriptors_of(nursery.daemon())) == {0, 1, 2}


def test_d6_a_false_announcement_is_told(nursery: Nursery, listener: socket.socket) -> None:
    """D6: ahead of the fork, with the variable's name."""
    started = nursery.start(
        """
        note_forks()
        os.environ["LISTEN_FDS"] = "7"
        try:
            Daemon().start()
        except Exception as error:
            sys.exit(f"worker: {error}")
        """,
        keep=[listener.fileno()],
        through=_activated(listener),
    )
    assert started.status == 1
    assert "LISTEN_FDS" in started.message or "LISTEN_FDNAMES" in started.message
    assert not nursery.forked()


#: Says what it was passed, as a program does that uses sd_listen_fds(3), and answers.
_SERVICE = """
import json, os, socket, sys
with open(sys.argv[1], "w") as file:
    json.dump([os.getpid(), *map(os.environ.get, ("LISTEN_PID", "LISTEN_FDS"))], file)
line, _ = socket.socket(fileno=3).accept()
line.send(b"hello")
"""


@pytest.mark.parametrize("where", [[], ["--foreground"]], ids=["daemon", "foreground"])
@pytest.mark.parametrize("env", [[], ["--reset-env"]], ids=["account", "reset"])
def test_d6_a_command_is_passed_them(
    nursery: Nursery, listener: socket.socket, where: list[str], env: list[str], place: Path
) -> None:
    """D6: addressed to it, also where the environment is reset: open, they must be announced."""
    python = os.path.realpath(sys.executable)
    words = [*ABDICATE, "daemon", *BECOME, *where, *env, "--"]
    begun = nursery.begin(
        [*words, python, "-S", "-c", _SERVICE, str(place / "told")],
        keep=[listener.fileno()],
        through=_activated(listener),
    )
    told = nursery.wait_until_told()
    assert isinstance(told, list)
    assert told[1:] == [str(told[0]), "1"]
    assert _answer(listener) == b"hello"
    assert nursery.finish(begun).status == 0
