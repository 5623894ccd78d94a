"""D9, D15: what can't go well is said on the terminal, ahead of any fork, and leaves nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from daemon.nursery import Nursery

pytestmark = pytest.mark.needs("linux")

_NOTHING_CHANGED = """
note_forks()
os.umask(0o027)
signal.signal(signal.SIGUSR1, print)

def state():
    return [
        fds(), os.umask(0o027), os.getcwd(), str(signal.getsignal(signal.SIGUSR1)),
        dict(os.environ), os.getresuid(), os.getresgid(), os.getgroups(), os.getsid(0),
    ]
"""


def _refused(nursery: Nursery, daemon: str, prepare: str = "") -> tuple[str, str]:
    """Return the kind and the words of the error that `Daemon.start` raises.

    It came ahead of any fork, the process is as it was, and no file was left behind.
    """
    started = nursery.start(
        f"""
{_NOTHING_CHANGED}
{prepare}
before, files = state(), sorted(os.listdir(PLACE))
try:
    daemon = {daemon}
    daemon.start()
except Exception as error:
    changed = [(one, other) for one, other in zip(before, state()) if one != other]
    changed += [] if sorted(os.listdir(PLACE)) == files else [sorted(os.listdir(PLACE))]
    tell([type(error).__name__, str(error), changed])
"""
    )
    assert (started.status, started.errors) == (0, b"")
    told = nursery.told()
    assert isinstance(told, list)
    kind, words, changed = told
    assert changed == []
    assert not nursery.forked()
    assert nursery.orphans() == []
    return str(kind), str(words)


def test_a_python_without_ctypes(nursery: Nursery) -> None:
    """The processes of a start die with each other, prctl(2), and nothing else can ask for that."""
    kind, said = _refused(
        nursery,
        'Daemon(pidfile=PidLock(PLACE + "/pid"))',
        prepare="""
from abdicate.identity import native
native._libc = None
sys.modules["ctypes"] = None
""",
    )
    assert kind == "PreflightError"
    assert "without the C library" in said
    assert "ctypes" in said


# --- D9: threads, event loops -------------------------------------------------------------------


def test_d9_other_threads_are_in_the_way(nursery: Nursery) -> None:
    """D9: they would not go on in the daemon, and what they hold would stay held."""
    kind, words = _refused(
        nursery,
        "Daemon()",
        "import threading; threading.Thread(target=time.sleep, args=[60], daemon=True).start()",
    )
    assert kind == "PreflightError"
    assert "2 threads run" in words


def test_d9_a_running_event_loop_is_in_the_way(nursery: Nursery) -> None:
    """D9: its selector would be shared with the starter."""
    started = nursery.start(
        """
        import asyncio
        note_forks()

        async def main():
            Daemon().start()

        try:
            asyncio.run(main())
        except Exception as error:
            tell(str(error))
        """
    )
    assert started.status == 0
    assert "event loop" in str(nursery.told())
    assert not nursery.forked()


def test_d9_both_are_told_at_once(nursery: Nursery) -> None:
    """D9: and what else is known to be in the way."""
    nursery.start(
        """
        import asyncio, threading
        threading.Thread(target=time.sleep, args=[60], daemon=True).start()

        async def main():
            Daemon().start()

        try:
            asyncio.run(main())
        except Exception as error:
            tell(len(error.reasons))
            os._exit(0)
        """
    )
    assert nursery.told() == 2


def test_d9_a_loop_that_is_over_is_not_in_the_way(nursery: Nursery) -> None:
    """D9: nor is asyncio, where it was only imported."""
    started = nursery.start(
        """
        import asyncio
        asyncio.run(asyncio.sleep(0))
        Daemon().start()
        live()
        """
    )
    assert (started.status, started.errors) == (0, b"")


def test_d9_threads_that_were_joined_are_not_in_the_way(nursery: Nursery) -> None:
    """D9: join() returns some moments before the kernel has ended the thread."""
    started = nursery.start(
        """
        import threading
        from abdicate.process.detach import refuse_to_fork_unsafely
        for _ in range(200):
            thread = threading.Thread(target=int)
            thread.start()
            thread.join()
            refuse_to_fork_unsafely()
        """
    )
    assert (started.status, started.errors) == (0, b"")


def test_d9_threads_do_not_matter_in_the_foreground(nursery: Nursery) -> None:
    """D9: nothing is forked there."""
    started = nursery.start(
        """
        import threading
        threading.Thread(target=time.sleep, args=[60], daemon=True).start()
        Daemon(detach=False).start()
        print("runs")
        """
    )
    assert (started.status, started.output) == (0, b"runs\n")


def test_d13_off_the_main_thread_handlers_are_not_ignored_in_silence(nursery: Nursery) -> None:
    """D13: the daemon's can't be set there, and it says so; the pidfile is released."""
    nursery.start(
        """
        import threading

        def start():
            try:
                Daemon(detach=False, pidfile=PidLock(PLACE + "/pid")).start()
            except Exception as error:
                tell([type(error).__name__, os.path.exists(PLACE + "/pid")])

        thread = threading.Thread(target=start)
        thread.start()
        thread.join()
        """
    )
    assert nursery.told() == ["NotMainThreadError", False]


# --- D15: the terminal sees the error -----------------------------------------------------------

_ELSEWHERE = 'pidfile=PidLock(PLACE + "/pid"), logfile=PLACE + "/log"'


@pytest.mark.parametrize("detach", [True, False])
@pytest.mark.parametrize(
    ("daemon", "kind", "words"),
    [
        pytest.param(
            'drop=DropRequest(parse_owner("nosuchuser"))',
            "UnknownUserError",
            "'nosuchuser'",
            id="unknown user",
        ),
        pytest.param(
            'drop=DropRequest(parse_owner("nobody:nosuchgroup"))',
            "UnknownGroupError",
            "'nosuchgroup'",
            id="unknown group",
        ),
        pytest.param('workdir="/no/such"', "PreflightError", "/no/such", id="missing workdir"),
        pytest.param(
            'workdir="/etc/passwd"', "PreflightError", "not a directory", id="workdir is a file"
        ),
    ],
)
def test_d15_what_is_wrong_is_said_ahead_of_the_fork(
    nursery: Nursery, daemon: str, kind: str, words: str, detach: bool
) -> None:
    """D15: and ahead of the log and the pidfile."""
    raised, said = _refused(nursery, f"Daemon({_ELSEWHERE}, {daemon}, detach={detach})")
    assert raised == kind
    assert words in said


@pytest.mark.parametrize("detach", [True, False])
def test_d15_a_log_that_can_not_be_opened(nursery: Nursery, detach: bool) -> None:
    """D15: the file is named, and the pidfile isn't there."""
    _, said = _refused(
        nursery,
        f'Daemon(pidfile=PidLock(PLACE + "/pid"), logfile=PLACE + "/no/log", detach={detach})',
    )
    assert "/no/log" in said


@pytest.mark.parametrize("detach", [True, False])
def test_d15_a_pidfile_that_is_held(nursery: Nursery, detach: bool) -> None:
    """D15: no log is made for a daemon that isn't started, and no descriptor stays open."""
    kind, said = _refused(
        nursery,
        f"Daemon({_ELSEWHERE}, detach={detach})",
        prepare='held = PidLock(PLACE + "/pid").acquire()',
    )
    assert kind == "PidfileHeld"
    assert "held by this process" in said


def test_d15_a_pidfile_in_no_directory(nursery: Nursery) -> None:
    """D15: the directory is named."""
    kind, said = _refused(
        nursery, 'Daemon(pidfile=PidLock(PLACE + "/no/pid"), logfile=PLACE + "/log")'
    )
    assert kind == "LockFailed"
    assert "/no" in said


def test_d15_a_directory_that_may_not_be_entered(nursery: Nursery, place: Path) -> None:
    """D15: for an ordinary user, whom no drop is planned for."""
    (place / "closed").mkdir(mode=0)
    kind, said = _refused(
        nursery,
        'Daemon(workdir=PLACE + "/closed")',
        prepare="""
# Loaded first: as that user they may be out of reach.
import grp, pwd
from abdicate.kernel import system_kernel
system_kernel().situation(["nofile"])
if os.geteuid() == 0:
    os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
""",
    )
    assert kind == "PreflightError"
    assert "/closed" in said


@pytest.mark.needs("root")
def test_d15_a_directory_that_the_new_user_may_not_enter(nursery: Nursery, place: Path) -> None:
    """D15: root may, and the daemon won't be root."""
    (place / "closed").mkdir(mode=0o700)
    kind, said = _refused(
        nursery,
        f'Daemon({_ELSEWHERE}, workdir=PLACE + "/closed", drop=DropRequest(parse_owner("nobody")))',
    )
    assert kind == "PreflightError"
    assert "/closed" in said
    assert "nobody" in said


def test_d15_a_user_that_this_process_may_not_become(nursery: Nursery) -> None:
    """D15: every reason at once, ahead of any change."""
    kind, said = _refused(
        nursery,
        f'Daemon({_ELSEWHERE}, drop=DropRequest(parse_owner("54321:54321")))',
        prepare="""
# Loaded first: as that user they may be out of reach.
import grp, pwd
from abdicate.kernel import system_kernel
system_kernel().situation(["nofile"])
if os.geteuid() == 0:
    os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
""",
    )
    assert kind == "PreflightError"
    assert "CAP_SETUID" in said
    assert "CAP_SETGID" in said


@pytest.mark.needs("root")
def test_a_process_that_can_not_be_made(nursery: Nursery) -> None:
    """The first fork fails: an OSError, and everything as it was."""
    kind, _ = _refused(
        nursery,
        'Daemon(pidfile=PidLock(PLACE + "/pid"))',
        prepare="""
import resource
os.setgroups([]); os.setresgid(54321, 54321, 54321); os.setresuid(54321, 54321, 54321)
resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
os.register_at_fork(after_in_parent=lambda: os.unlink(PLACE + "/forked"))
""",
    )
    assert kind == "BlockingIOError"


@pytest.mark.needs("root")
def test_a_second_process_that_can_not_be_made(nursery: Nursery, place: Path) -> None:
    """The watcher's fork fails: the starter says so, and the pidfile is gone."""
    started = nursery.start(
        """
        import resource
        os.setgroups([]); os.setresgid(54322, 54322, 54322); os.setresuid(54322, 54322, 54322)
        resource.setrlimit(resource.RLIMIT_NPROC, (2, 2))
        Daemon(pidfile=PidLock(PLACE + "/pid")).start()
        """
    )
    assert started.status == 1
    assert "can't be made" in started.message
    assert os.listdir(place) == ["worker"]


def test_a_death_signal_is_not_armed_for_a_watcher(nursery: Nursery) -> None:
    """The daemon's parent leaves as soon as it is ready, and its death would be the daemon's."""
    started = nursery.start(
        """
        import signal
        drop = DropRequest(
            parse_owner(f"{os.geteuid()}:{os.getegid()}"), KeepGroups(),
            policy=DropPolicy(
                parent_death_signal=signal.SIGTERM, allow_root=True, allow_root_group=True
            ),
        )
        Daemon(drop=drop).start()
        time.sleep(0.5)
        tell("lives")
        live()
        """
    )
    assert started.status != 0 or nursery.wait_until_told() == "lives"


# --- The value itself ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("logfile", "log"),
        ("logfile", ""),
        ("logfile", "/var/log\0"),
        ("workdir", "here"),
        ("workdir", "/\0"),
        ("umask", -1),
        ("umask", 0o1000),
        ("umask", True),
        ("ready", "now"),
    ],
)
def test_a_field_out_of_its_range_is_refused(field: str, value: object) -> None:
    """By name, when the value is made."""
    from abdicate.errors import SpecError
    from abdicate.process.daemon import Daemon

    with pytest.raises(SpecError, match=field):
        Daemon(**{field: value})  # type: ignore[arg-type]  # the wrong types are the test
