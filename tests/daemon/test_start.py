"""A start: the starter's exit status is 0 once the daemon is ready, and else says why not."""

from __future__ import annotations

import os
import resource
import signal
import time

import pytest

from daemon.nursery import Nursery, descriptors_of, until

pytestmark = pytest.mark.needs("linux")


# --- It starts ----------------------------------------------------------------------------------


def test_a_daemon_is_ready_after_its_set_up(nursery: Nursery) -> None:
    """The starter leaves with 0 and says nothing, and the daemon runs."""
    started = nursery.start("Daemon().start(); live()")
    assert (started.status, started.output, started.errors) == (0, b"", b"")
    assert nursery.daemon() > 0


def test_start_returns_in_the_daemon_alone(nursery: Nursery) -> None:
    """What comes after it runs once, in another process than the one that was started."""
    begun = nursery.begin(
        """
        daemon = Daemon().start()
        with open(PLACE + "/after", "a") as file:
            file.write(f"{os.getpid()}\\n")
        live()
        """
    )
    assert nursery.finish(begun).status == 0
    daemon = nursery.daemon()
    assert daemon != begun.pid
    until((nursery.place / "after").exists, "the daemon writes")
    assert (nursery.place / "after").read_text() == f"{daemon}\n"


def test_a_daemon_says_by_hand_that_it_is_ready(nursery: Nursery) -> None:
    """The starter waits for as long as the daemon doesn't say so."""
    begun = nursery.begin(
        """
with Daemon(ready="by hand").start() as daemon:
    tell("not yet")
    while not os.path.exists(PLACE + "/go"):
        time.sleep(0.01)
    daemon.ready()
    live()
"""
    )
    assert nursery.wait_until_told() == "not yet"
    time.sleep(0.2)
    assert begun.poll() is None
    (nursery.place / "go").touch()
    assert nursery.finish(begun).status == 0
    assert nursery.daemon() > 0


def test_ready_may_be_said_twice(nursery: Nursery) -> None:
    """The second time nothing happens."""
    started = nursery.start(
        'd = Daemon(ready="by hand").start(); d.ready(); d.ready(); tell("lives"); live()'
    )
    assert started.status == 0
    assert nursery.wait_until_told() == "lives"


def test_what_was_printed_before_is_printed_once(nursery: Nursery) -> None:
    """A buffer that is full at the fork would be written by each of three processes."""
    started = nursery.start(
        'sys.stdout.write("out"); sys.stderr.write("err"); Daemon().start(); print("no")'
    )
    assert (started.output, started.errors) == (b"out", b"err")


def test_exit_handlers_are_the_daemons(nursery: Nursery) -> None:
    """The starter has them too, and leaves without."""
    source = """
def note():
    with open(PLACE + "/handlers", "a") as file:
        file.write(f"{os.getpid()}\\n")

atexit.register(note)
Daemon().start()
"""
    assert nursery.start(source).status == 0
    nursery.wait_until_empty()
    (line,) = (nursery.place / "handlers").read_text().splitlines()
    assert int(line) > 0


def test_a_daemon_leaves_no_process_behind_it(nursery: Nursery) -> None:
    """Neither the starter nor the one that watched."""
    assert nursery.start("Daemon().start(); live()").status == 0
    daemon = nursery.daemon()
    os.kill(daemon, signal.SIGTERM)
    assert nursery.ended(daemon) == -signal.SIGTERM
    assert nursery.orphans() == []


# --- It doesn't ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "status", "message"),
    [
        pytest.param('raise ValueError("no database")', 1, "ValueError: no database", id="error"),
        pytest.param('raise OSError(2, "gone", "/x")', 1, "[Errno 2] gone: '/x'", id="oserror"),
        pytest.param('sys.exit("no database")', 1, "no database", id="exit with text"),
        pytest.param("os._exit(3)", 3, "exited with status 3", id="exit at once"),
        pytest.param("os._exit(0)", 1, "exited with status 0", id="success too early"),
        pytest.param("pass", 1, "exited with status 0", id="never ready"),
        pytest.param("os.kill(os.getpid(), 9)", 1, "killed by signal 9", id="killed"),
        pytest.param("os.abort()", 1, "killed by signal 6", id="aborted"),
    ],
)
def test_d1_an_end_before_ready_is_told(
    nursery: Nursery, ending: str, status: int, message: str
) -> None:
    """D1: on the terminal, in one line, and with the daemon's status, which is never 0."""
    started = nursery.start(f'with Daemon(ready="by hand").start(): {ending}')
    assert started.status == status
    assert message in started.message
    assert started.output == b""
    nursery.wait_until_empty()


def test_a_status_is_passed_on_without_words(nursery: Nursery) -> None:
    """As Python itself does with SystemExit(7)."""
    started = nursery.start('with Daemon(ready="by hand").start(): sys.exit(7)')
    assert (started.status, started.errors) == (7, b"")


@pytest.mark.parametrize("code", ["0", "None", "255", "256", "-1", "10**30"])
def test_d1_no_exit_status_is_taken_for_success(nursery: Nursery, code: str) -> None:
    """D1: whatever SystemExit says before the daemon was ready."""
    started = nursery.start(f'with Daemon(ready="by hand").start(): sys.exit({code})')
    assert started.status != 0
    nursery.wait_until_empty()


def test_an_early_exit_with_success_is_explained(nursery: Nursery) -> None:
    """A status of 1 without a word would leave nothing to look for."""
    started = nursery.start('with Daemon(ready="by hand").start(): sys.exit(0)')
    assert started.status == 1
    assert "ready" in started.message


def test_an_error_after_ready_is_the_daemons_own(nursery: Nursery) -> None:
    """The terminal was told of a success, and isn't there any more."""
    started = nursery.start(
        f"""
with Daemon(logfile={str(nursery.place / "log")!r}).start():
    raise ValueError("later")
"""
    )
    assert (started.status, started.errors) == (0, b"")
    nursery.wait_until_empty()
    assert "ValueError: later" in (nursery.place / "log").read_text()


@pytest.mark.parametrize(
    ("raised", "shown"),
    [
        pytest.param(r'ValueError("one\ntwo")', "ValueError: one two", id="two lines"),
        pytest.param(r'ValueError("na\udcffme")', "na\\udcffme", id="a surrogate"),
        pytest.param(r'ValueError("日本語")', "日本語", id="not ASCII"),
    ],
)
def test_an_error_is_told_in_one_line(nursery: Nursery, raised: str, shown: str) -> None:
    """Whatever its text holds."""
    started = nursery.start(f'with Daemon(ready="by hand").start(): raise {raised}')
    assert shown in started.message


@pytest.mark.parametrize("text", [r"a\rb", r"\x1b[2Jb", r"a\x85b", r"a\u2028b"])
def test_an_error_does_not_move_the_cursor(nursery: Nursery, text: str) -> None:
    """What a daemon was sent may be in its error, and the terminal obeys what it is shown."""
    started = nursery.start(f'with Daemon(ready="by hand").start(): raise ValueError("{text}")')
    assert started.message.isprintable()


def test_a_long_error_is_cut(nursery: Nursery) -> None:
    """A pipe takes so much at once, and no more."""
    started = nursery.start('with Daemon(ready="by hand").start(): raise ValueError("x" * 10**6)')
    assert started.status == 1
    assert started.message.startswith("ValueError: xxx")
    assert len(started.errors) < 4096


def test_an_error_that_can_not_be_told_is_an_error_still(nursery: Nursery) -> None:
    """Its own str() fails: the pidfile is released all the same, and the status is not 0."""
    started = nursery.start(
        """
class Odd(Exception):
    def __str__(self):
        raise RuntimeError("no words")

with Daemon(pidfile=PidLock(PLACE + "/pid"), ready="by hand").start():
    raise Odd
"""
    )
    assert started.status != 0
    assert started.errors.count(b"\n") == 1
    nursery.wait_until_empty()
    assert not (nursery.place / "pid").exists()


# --- It neither says nor ends -------------------------------------------------------------------


def test_d1_a_daemon_that_closes_its_line_and_lives_has_not_started(nursery: Nursery) -> None:
    """D1: end of file is no word. After a grace the starter leaves, and says that it runs."""
    started = nursery.start(
        'Daemon(ready="by hand").start(); os.closerange(3, 100); live()',
    )
    assert started.status == 1
    assert f"process {nursery.daemon()}" in started.message
    assert "never said it was ready" in started.message


def test_a_word_is_said_to_nobody_else(nursery: Nursery) -> None:
    """A line that was closed under its owner has a number that is another file's by now."""
    nursery.start(
        """
daemon = Daemon(ready="by hand").start()
os.closerange(3, 100)
files = [os.open(PLACE + "/other", os.O_RDWR | os.O_CREAT) for _ in range(20)]
try:
    daemon.ready()
except OSError:
    pass
tell([os.path.getsize(PLACE + "/other"), len(set(files) - set(fds()))])
"""
    )
    assert nursery.wait_until_told() == [0, 0]


def test_d1_children_that_hold_the_line_do_not_keep_the_starter_waiting(nursery: Nursery) -> None:
    """D1: the daemon died without a word; its child has the pipe open, and lives."""
    began = time.monotonic()
    started = nursery.start(
        """
with Daemon(ready="by hand").start():
    if os.fork() == 0:
        live()
    os._exit(9)
"""
    )
    assert started.status == 9
    assert "exited with status 9" in started.message
    assert time.monotonic() - began < 10


def test_a_child_of_the_daemon_can_not_speak_for_it(nursery: Nursery) -> None:
    """Neither of success nor of failure: the daemon itself is waited for."""
    started = nursery.start(
        """
daemon = Daemon(pidfile=PidLock(PLACE + "/pid"), ready="by hand").start()
child = os.fork()
if child == 0:
    daemon.ready()
    try:
        with daemon:
            raise ValueError("the child's own")
    except ValueError:
        os._exit(0)
os.waitpid(child, 0)
with daemon:
    tell(os.path.exists(PLACE + "/pid"))
    raise ValueError("the daemon's")
"""
    )
    assert started.status == 1
    assert started.message == "ValueError: the daemon's"
    assert nursery.told() is True


# --- What a starter may be like -----------------------------------------------------------------


def test_a_starter_may_have_thousands_of_descriptors(nursery: Nursery) -> None:
    """select(2) takes numbers below 1024, and the line to the daemon may have a higher one."""

    def allow() -> None:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 1200:
        pytest.skip("needs RLIMIT_NOFILE above 1200")
    started = nursery.start(
        "files = [open('/dev/null') for _ in range(1100)]; Daemon().start(); live()", before=allow
    )
    assert (started.status, started.errors) == (0, b"")
    assert set(descriptors_of(nursery.living())) == {0, 1, 2}


@pytest.mark.parametrize("action", ["signal.SIG_IGN", "reap"])
@pytest.mark.parametrize(
    ("ending", "status"), [("daemon.ready(); live()", 0), ("os._exit(7)", 7)], ids=["ready", "dies"]
)
def test_a_starter_may_not_want_its_children(
    nursery: Nursery, action: str, ending: str, status: int
) -> None:
    """SIGCHLD that is ignored, or reaps whoever ends: the status is the daemon's in spite of it."""
    started = nursery.start(
        f"""
def reap(*_):
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass

signal.signal(signal.SIGCHLD, {action})
daemon = Daemon(ready="by hand").start()
{ending}
"""
    )
    assert started.status == status, started


@pytest.mark.parametrize("stream", ["stdin", "stdout", "stderr"])
def test_a_starter_may_have_closed_its_streams(nursery: Nursery, stream: str) -> None:
    """As programs do that want nothing of the terminal: there is nothing to flush then."""
    started = nursery.start(f"sys.{stream}.close(); Daemon().start(); live()")
    assert (started.status, started.errors) == (0, b"")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_stream_of_the_programs_own_stays_its_own(nursery: Nursery, stream: str) -> None:
    """Its descriptor closed, what is printed would land in the next file that is opened."""
    started = nursery.start(
        f"""
sys.{stream} = open(PLACE + "/printed", "w")
Daemon().start()
database = open(PLACE + "/database", "w")
try:
    print("hello", file=sys.{stream}, flush=True)
except (OSError, ValueError):
    pass
tell(os.path.getsize(PLACE + "/database"))
"""
    )
    assert started.status == 0
    assert nursery.wait_until_told() == 0
