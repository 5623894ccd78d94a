"""``abdicate run``: the command takes our place, and finds everything as it was given to us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.program import (
    ABDICATE,
    BECOME,
    ROOT,
    abdicate,
    execute,
    refusal,
    spelt,
    status_lines,
    succeeded,
)


@pytest.mark.needs("root")
def test_id_says_nobody_and_nothing_else_is_printed() -> None:
    """The main job, whole: one line on stdout, and not a word on stderr."""
    ran = abdicate("run", "--user", "nobody", "--", "id")
    assert succeeded(ran) == b"uid=65534(nobody) gid=65534(nogroup) groups=65534(nogroup)\n"


def test_the_installed_script_is_the_same_program() -> None:
    """What `pip install` puts beside the interpreter runs the same main."""
    script = Path(sys.executable).parent / "abdicate"
    if not script.exists():
        pytest.skip("needs the installed script beside the interpreter")
    ran = execute([sys.executable, str(script), "run", *BECOME, "--", "id"])
    assert succeeded(ran) == succeeded(abdicate("run", *BECOME, "--", "id"))


def test_the_command_has_the_process_id_that_was_started() -> None:
    """No process is left in between: a supervisor's pid is the command's pid."""
    command = [*ABDICATE, "run", *BECOME, "--", "sh", "-c", "echo $$"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        output, _ = process.communicate(timeout=60)
    assert int(output) == process.pid


@pytest.mark.parametrize("name", ["TERM", "HUP", "INT", "USR1"])
def test_a_signal_reaches_the_commands_own_handler(name: str) -> None:
    """Signals go to the command itself, and its handler decides."""
    script = f'trap "echo caught; exit 7" {name}; echo ready; while :; do sleep 0.01; done'
    command = [*ABDICATE, "run", *BECOME, "--", "sh", "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.Signals[f"SIG{name}"])
        output, _ = process.communicate(timeout=60)
    assert (output, process.returncode) == (b"caught\n", 7)


@pytest.mark.parametrize("status", [0, 1, 2, 3, 125, 126, 127, 255])
def test_the_exit_status_is_the_commands_own(status: int) -> None:
    """Every status passes through, those that we use ourselves among them."""
    ran = abdicate("run", *BECOME, "--", "sh", "-c", f"exit {status}")
    assert (ran.returncode, ran.stdout, ran.stderr) == (status, b"", b"")


@pytest.mark.parametrize("name", ["KILL", "TERM", "PIPE", "INT", "XFSZ"])
def test_a_command_killed_by_a_signal_looks_killed_by_it(name: str) -> None:
    """The parent sees the signal, and not a status of ours; Python had ignored PIPE and XFSZ."""
    ran = abdicate("run", *BECOME, "--", "sh", "-c", f"ulimit -c 0; kill -{name} $$; exit 9")
    assert ran.returncode == -signal.Signals[f"SIG{name}"]


def test_the_streams_are_the_callers_own_and_binary() -> None:
    """stdin, stdout and stderr pass through untouched, every byte of them."""
    data = bytes(range(256)) * 1024
    assert succeeded(abdicate("run", *BECOME, "cat", stdin=data)) == data
    ran = abdicate("run", *BECOME, "--", "sh", "-c", "cat >&2", stdin=data)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", data)


def test_what_was_not_read_of_stdin_is_left_to_the_command() -> None:
    """Not one byte of stdin is consumed before the command has it."""
    ran = abdicate("run", *BECOME, "head", "-c", "5", stdin=b"first second")
    assert succeeded(ran) == b"first"


def test_no_descriptor_leaks_into_the_command() -> None:
    """The command has the same descriptors with and without us."""
    listing = ["ls", "/proc/self/fd"]
    assert succeeded(abdicate("run", *BECOME, "--", *listing)) == succeeded(execute(listing))


@pytest.mark.parametrize("redirection", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_stays_closed(redirection: str, place: Path) -> None:
    """Nothing of ours moves in where the caller had closed 0, 1 or 2."""
    place.chmod(0o777)
    look = f'for n in 0 1 2; do [ -e /proc/$$/fd/$n ] && a="$a $n"; done; echo "$a" > {place}/seen'
    seen = []
    for prefix in ([], [*ABDICATE, "run", *BECOME, "--"]):
        execute(["sh", "-c", f'"$@" {redirection}', "sh", *prefix, "sh", "-c", look])
        seen.append((place / "seen").read_bytes())
        (place / "seen").unlink()
    assert seen[0] == seen[1]


@pytest.fixture
def inherited() -> Iterator[tuple[int, int]]:
    """A pipe, as reading and writing descriptor."""
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)
    os.close(writing)


def test_an_inheritable_descriptor_of_the_caller_is_passed(inherited: tuple[int, int]) -> None:
    """What the caller hands down (a listening socket, a lock) arrives under its number."""
    reading, writing = inherited
    ran = abdicate(
        "run", *BECOME, "--", "bash", "-c", f"echo handed down >&{writing}", keep=[writing]
    )
    assert succeeded(ran) == b""
    assert os.read(reading, 100) == b"handed down\n"


def test_a_broken_pipe_kills_quietly_as_it_does_elsewhere() -> None:
    """Python ignores SIGPIPE; a command that inherited that would write error messages."""
    script = "yes | head -n 1; echo ${PIPESTATUS[0]}"
    ran = abdicate("run", *BECOME, "--", "bash", "-c", script)
    assert succeeded(ran) == b"y\n%d\n" % (128 + signal.SIGPIPE)


def _dispositions() -> None:
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGCHLD):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGUSR2, signal.SIGTERM, signal.SIGALRM})


def _plain_dispositions() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, set())


@pytest.mark.parametrize("before", [_plain_dispositions, _dispositions])
def test_ignored_and_blocked_signals_are_the_callers(before: object) -> None:
    """What the parent ignored (nohup's SIGHUP, a background job's SIGINT) stays ignored."""
    assert callable(before)
    reading = ["cat", "/proc/self/status"]
    ours = status_lines(succeeded(abdicate("run", *BECOME, "--", *reading, before=before)))
    plain = status_lines(succeeded(execute(reading, before=before)))
    for line in ("SigBlk", "SigIgn", "SigCgt", "ShdPnd", "SigPnd"):
        assert ours[line] == plain[line], line


def test_every_argument_arrives_byte_for_byte() -> None:
    """Arguments are bytes: no locale, no option of ours, no empty word changes them."""
    arguments: list[bytes] = [b"", b" ", b"\xff\xfe", b"a\nb", b"--", b"-h", "é".encode(), b"*"]
    ran = abdicate("run", *BECOME, "--", "cat", "/proc/self/cmdline", "-", *arguments)
    assert ran.stdout.startswith(b"\0".join([b"cat", b"/proc/self/cmdline", b"-", *arguments]))


@pytest.mark.parametrize(
    ("options", "script", "expected"),
    [
        (["--umask", "0027"], "umask", b"0027\n"),
        (["--limit", "nofile=64:128"], "ulimit -Sn; ulimit -Hn", b"64\n128\n"),
        (["--limit", "core=0", "--limit", "nofile=99"], "ulimit -c; ulimit -n", b"0\n99\n"),
        (["--nice", "7"], "nice", b"7\n"),
        (["--chdir", "/usr"], "pwd", b"/usr\n"),
        (["--no-new-privs"], "grep NoNewPrivs /proc/self/status", b"NoNewPrivs:\t1\n"),
        (["--home", "/srv"], "echo $HOME", b"/srv\n"),
        (["--dumpable"], "true", b""),
    ],
    ids=spelt,
)
def test_an_option_is_seen_by_the_command(options: list[str], script: str, expected: bytes) -> None:
    """What was asked for besides the user is there when the command starts."""
    assert succeeded(abdicate("run", *BECOME, *options, "--", "sh", "-c", script)) == expected


@pytest.mark.needs("root", "CAP_SETPCAP", "CAP_KILL", "CAP_NET_BIND_SERVICE")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--bounding", ""], {"CapBnd": 0}),
        (["--bounding", "kill,CAP_NET_BIND_SERVICE"], {"CapBnd": 1 << 5 | 1 << 10}),
        (
            ["--keep-capabilities", "net_bind_service", "--ambient"],
            dict.fromkeys(("CapInh", "CapPrm", "CapEff", "CapAmb"), 1 << 10),
        ),
        (["--keep-capabilities", ""], dict.fromkeys(("CapInh", "CapPrm", "CapEff", "CapAmb"), 0)),
        (["--lock-securebits"], dict.fromkeys(("CapInh", "CapPrm", "CapEff", "CapAmb"), 0)),
    ],
    ids=spelt,
)
def test_capabilities_are_what_was_asked(options: list[str], expected: dict[str, int]) -> None:
    """P24, P25: the bounding set is lowered, and what is ambient is there after the exec."""
    ran = abdicate("run", *BECOME, *options, "--", "cat", "/proc/self/status")
    found = status_lines(succeeded(ran))
    assert {name: int(found[name], 16) for name in expected} == expected


@pytest.mark.needs("root")
def test_the_parents_death_reaches_the_command() -> None:
    """P32: the signal that the change of ids disarms is armed for the command."""
    words = ["--parent-death-signal", "KILL", "--", "sh", "-c", "echo ready; exec sleep 60"]
    parent = ["sh", "-c", '"$@" & wait', "sh", *ABDICATE, "run", *BECOME, *words]
    with subprocess.Popen(parent, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.kill()
        # The end of file comes when the last holder of the pipe, the command, is gone.
        output, _ = process.communicate(timeout=10)
    assert output == b""


@pytest.mark.parametrize("limit", ["nofile=4", "nofile=5:5"])
def test_a_limit_that_leaves_nothing_to_verify_with_is_refused(limit: str) -> None:
    """Reading back needs descriptors: that is said in time, and not found out half-way."""
    said = refusal(abdicate("run", *BECOME, "--limit", limit, "--", "/bin/true"), "run")
    assert "nothing was changed" in said
    assert "to verify" in said
    assert succeeded(abdicate("run", *BECOME, "--limit", "nofile=16", "--", "/bin/true")) == b""


@pytest.mark.needs("root", "CAP_KILL")
def test_what_the_plan_promises_of_capabilities_outlives_the_exec() -> None:
    """Kept and not ambient, a capability is gone with the exec: promise it, or refuse to."""
    words = [*BECOME, "--keep-capabilities", "kill", "--"]
    ran = abdicate("run", *words, "cat", "/proc/self/status")
    if ran.returncode == 0:
        assert int(status_lines(ran.stdout)["CapPrm"], 16) == 1 << 5
    else:
        assert ran.returncode == 125


_DUMPABLE = "import ctypes; print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"


def test_an_option_that_an_exec_undoes_is_not_accepted_in_silence() -> None:
    """execve(2) makes a process dumpable again: ``run --no-dumpable`` can't be kept."""
    python = os.path.realpath(sys.executable)
    ran = abdicate("run", *BECOME, "--no-dumpable", "--", python, "-c", _DUMPABLE)
    assert ran.stdout != b"1\n" or ran.stderr != b"", "asked for, not done, and nothing said"


@pytest.mark.skipif(ROOT, reason="for an ordinary user")
def test_the_same_user_needs_no_privilege() -> None:
    """P42: who is already that user gets the command, and not EPERM."""
    assert succeeded(abdicate("run", *BECOME, "--", "id", "-u")) == b"%d\n" % os.geteuid()
