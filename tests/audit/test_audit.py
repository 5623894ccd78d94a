"""Processes that kept something back are found by the name of the slot."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import abdicate as package
from cli.program import ABDICATE, Ran, abdicate
from drops import raw
from harness.child import held_child

_PROFILE = """
[profiles.web]
drop = { user = "12345:12345", groups = "only", no_new_privs = true, umask = "0027" }
pidfile = "/run/abdicate-audit-test.pid"
"""
_UID = 12345


@pytest.fixture
def config(tmp_path: Path) -> tuple[str, ...]:
    """The options that name the profile."""
    path = tmp_path / "abdicate.toml"
    path.write_text(_PROFILE, encoding="utf-8")
    return ("--config", str(path), "--profile", "web")


def _drop() -> None:
    os.umask(0o027)
    raw.set_no_new_privs()
    raw.become(_UID, _UID, _UID)


def _audited(become: Callable[[], None], *words: str) -> tuple[Ran, int]:
    with held_child(become) as held:
        return abdicate("audit", str(held.pid), *words), held.pid


needs_root = pytest.mark.needs("root", "CAP_SETUID")


@needs_root
def test_a_process_that_dropped_is_as_planned(config: tuple[str, ...]) -> None:
    """0, and what could not be compared is said."""
    ran, pid = _audited(_drop, *config)
    assert ran.returncode == 0, ran.stdout
    text = ran.stdout.decode()
    assert text.startswith(f"process {pid} (")
    assert "as planned, 1 thread" in text
    assert "not compared: " in text
    assert "securebits" in text.partition("not compared: ")[2]


def _keeps_the_saved_uid() -> None:
    os.umask(0o027)
    raw.set_no_new_privs()
    os.setgroups([_UID])
    os.setresgid(_UID, _UID, _UID)
    os.setresuid(_UID, _UID, 0)


def _keeps_the_real_uid() -> None:
    _keeps_the_saved_uid()
    os.setresuid(0, _UID, _UID)


def _keeps_groups() -> None:
    os.umask(0o027)
    raw.set_no_new_privs()
    os.setgroups([0, 4, _UID])
    os.setresgid(_UID, _UID, _UID)
    os.setresuid(_UID, _UID, _UID)


def _keeps_a_capability() -> None:
    os.umask(0o027)
    raw.set_no_new_privs()
    os.setgroups([_UID])
    os.setresgid(_UID, _UID, _UID)
    raw.set_keep_capabilities(True)
    os.setresuid(_UID, _UID, _UID)
    mask = raw.mask(["CAP_SETUID"])
    raw.capset(mask, mask)


def _forgets_no_new_privs() -> None:
    os.umask(0o027)
    raw.become(_UID, _UID, _UID)


def _forgets_the_umask() -> None:
    _drop()
    os.umask(0)


def _changes_one_thread() -> None:
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    raw.set_thread_groups(_UID)
    raw.set_thread_gids(_UID, _UID, _UID)
    raw.set_thread_uids(_UID, _UID, _UID)


def _named(value: object) -> str:
    return getattr(value, "__name__", "")


_FAULTS: list[tuple[Callable[[], None], str]] = [
    (_keeps_the_saved_uid, "saved uid: expected 12345, observed 0"),
    (_keeps_the_real_uid, "real uid: expected 12345, observed 0"),
    (_keeps_groups, "supplementary groups: expected 12345, observed 0 4 12345"),
    (_keeps_a_capability, "effective set: expected none, observed CAP_SETUID"),
    (_forgets_no_new_privs, "no_new_privs: expected on, observed off"),
    (_forgets_the_umask, "umask: expected 0027, observed 0000"),
    (_changes_one_thread, "effective uid: expected 12345, observed 0"),
]


@needs_root
@pytest.mark.parametrize(("become", "found"), _FAULTS, ids=_named)
def test_what_was_kept_is_named(
    become: Callable[[], None], found: str, config: tuple[str, ...]
) -> None:
    """Exit status 1, the thread, the slot, what is expected and what was observed."""
    ran, _ = _audited(become, *config)
    assert ran.returncode == 1
    assert re.search(rf"DIFFERS thread \d+: {re.escape(found)}", ran.stdout.decode())


_WAYS: list[tuple[Callable[[], None], str]] = [
    (_keeps_the_saved_uid, "AUD101"),
    (_keeps_a_capability, "AUD102 a capability leads back to root: CAP_SETUID"),
    (_keeps_groups, "AUD103"),
    (_changes_one_thread, "AUD105"),
    (lambda: None, "AUD100 it is root"),
]


@needs_root
@pytest.mark.parametrize(("become", "way"), _WAYS, ids=_named)
def test_without_a_profile_ways_back_to_root_are_told(become: Callable[[], None], way: str) -> None:
    """By stable codes."""
    ran, _ = _audited(become)
    assert ran.returncode == 1
    assert way in ran.stdout.decode()


@needs_root
def test_a_process_without_a_way_back_is_0() -> None:
    """As far as can be seen."""
    ran, _ = _audited(_drop)
    assert ran.returncode == 0
    assert b"no way back to root is seen" in ran.stdout


@needs_root
def test_an_ordinary_user_may_audit_roots_processes(
    config: tuple[str, ...], as_ordinary_user: Callable[..., Ran], tmp_path: Path
) -> None:
    """/proc/<pid>/status is everybody's to read."""
    with held_child(_keeps_the_saved_uid) as held:
        ran = as_ordinary_user("audit", str(held.pid))
    assert ran.returncode == 1, ran.stderr
    assert b"AUD101" in ran.stdout


@needs_root
def test_json_is_one_line_a_process(config: tuple[str, ...]) -> None:
    """With a version, and every slot."""
    ran, pid = _audited(_keeps_groups, "--json", *config)
    (line,) = ran.stdout.decode().splitlines()
    data = json.loads(line)
    assert (data["version"], data["pid"], data["ok"], data["profile"]) == (1, pid, False, "web")
    (deviation,) = data["deviations"]
    assert deviation["slot"] == "supplementary groups"
    assert data["credentials"]["groups"] == [0, 4, 12345]


_SAMPLE = re.compile(r'[a-z_]+\{([a-z]+="(?:[^"\\\n]|\\[\\n"])*",?)+\} \d+')


def test_metrics_are_well_formed(tmp_path: Path) -> None:
    """Each sample of a metric that HELP and TYPE have named; written whole to a file."""
    target = tmp_path / "abdicate.prom"
    ran = abdicate("audit", "--all", "--prometheus", "--output", str(target))
    assert ran.returncode in (0, 1), ran.stderr
    lines = target.read_text(encoding="utf-8").splitlines()
    named = {line.split()[2] for line in lines if line.startswith("# TYPE ")}
    samples = [line for line in lines if not line.startswith("#")]
    assert samples
    for line in samples:
        assert _SAMPLE.fullmatch(line), line
        assert line.partition("{")[0] in named
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_that_can_t_be_written_leaves_nothing(tmp_path: Path) -> None:
    """The old one stays, and no temporary file."""
    ran = abdicate("audit", str(os.getpid()), "--output", str(tmp_path / "no" / "file"))
    assert ran.returncode == 125
    assert list(tmp_path.iterdir()) == []


def test_a_fifo_or_a_link_is_not_replaced(tmp_path: Path) -> None:
    """Nor a device: the output is a file of its own."""
    fifo, link = tmp_path / "fifo", tmp_path / "link"
    os.mkfifo(fifo)
    link.symlink_to(fifo)
    for path in (fifo, link):
        ran = abdicate("audit", str(os.getpid()), "--output", str(path))
        assert (ran.returncode, ran.stdout) == (125, b"")
        assert b"not a regular file" in ran.stderr
    assert sorted(tmp_path.iterdir()) == [fifo, link]
    assert fifo.is_fifo()


@pytest.mark.needs("strace")
def test_one_process_that_can_t_be_read_does_not_hide_the_others(tmp_path: Path) -> None:
    """With --all: counted, and the rest is told."""
    inject = "inject=openat:error=EIO:when=1+1"
    only = f"--trace-path=/proc/{os.getpid()}/status"
    traced = ["strace", "-o", "/dev/null", "-e", "trace=openat", "-e", inject, only]
    ran = subprocess.run([*traced, *ABDICATE, "audit", "--all"], capture_output=True, check=False)
    assert ran.returncode in (0, 1), ran.stderr
    assert b", 1 could not be read" in ran.stdout


@pytest.fixture
def badly_named() -> Iterator[int]:
    """A process whose name would clear a terminal, break a line, and end a label."""
    program = (
        "import ctypes, sys, time\n"
        "ctypes.CDLL(None).prctl(15, b'\\x1b[2J\\n\"x\\\\\\xff', 0, 0, 0)\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    yield child.pid
    child.kill()
    child.communicate()


@pytest.mark.parametrize("shape", [[], ["--json"], ["--prometheus"]])
def test_a_name_can_not_break_the_output(shape: list[str], badly_named: int) -> None:
    """PR_SET_NAME takes any bytes."""
    ran = abdicate("audit", str(badly_named), *shape)
    assert ran.returncode in (0, 1), ran.stderr
    assert b"\x1b" not in ran.stdout
    text = ran.stdout.decode()
    if shape == ["--json"]:
        assert json.loads(text)["pid"] == badly_named
    if shape == ["--prometheus"]:
        samples = [line for line in text.splitlines() if not line.startswith("#")]
        assert all(_SAMPLE.fullmatch(line) for line in samples)


def test_a_zombie_holds_nothing() -> None:
    """Said on stderr, and no success."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    try:
        ran = abdicate("audit", str(pid))
    finally:
        os.waitpid(pid, 0)
    assert (ran.returncode, ran.stdout) == (125, b"")
    assert b"a zombie" in ran.stderr


@pytest.mark.parametrize("word", ["0", "-1", "x", "2147483648", ""])
def test_what_is_no_process_id_is_refused(word: str) -> None:
    """In words, with the value."""
    ran = abdicate("audit", "--", word)
    assert ran.returncode == 125
    assert len(ran.stderr.splitlines()) == 1


def test_a_process_that_is_not_there_is_said() -> None:
    """The highest pid there can be, and a good one beside it that is still audited."""
    ran = abdicate("audit", str(2**31 - 1), str(os.getpid()))
    assert ran.returncode == 125
    assert f"process {2**31 - 1}: there is no process".encode() in ran.stderr
    assert f"process {os.getpid()} ".encode() in ran.stdout


def test_all_leaves_threads_of_the_kernel_out() -> None:
    """They have no program, and are all root."""
    ran = abdicate("audit", "--all", "--json")
    seen = {json.loads(line)["pid"] for line in ran.stdout.splitlines()}
    assert os.getpid() in seen
    for pid in seen:
        # A process that ends gives its memory back a moment before it is a zombie, and gone.
        deadline = time.monotonic() + 20
        while not _has_a_program(pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert _has_a_program(pid), pid


def _has_a_program(pid: int) -> bool:
    """Tell whether there is memory of its own, or no such process any more."""
    try:
        with open(f"/proc/{pid}/status") as file:
            text = file.read()
    except OSError:
        return True
    return "VmSize" in text or "State:\tZ" in text


@needs_root
def test_the_holder_of_the_profiles_pidfile_is_audited(tmp_path: Path) -> None:
    """Without a PID."""
    path = tmp_path / "abdicate.toml"
    pidfile = tmp_path / "web.pid"
    path.write_text(_PROFILE.replace("/run/abdicate-audit-test.pid", str(pidfile)))
    named = ("--config", str(path), "--profile", "web")
    assert abdicate("audit", *named).returncode == 125
    child = subprocess.Popen([*ABDICATE, "run", *named, "--", "sleep", "60"])
    try:
        deadline = time.monotonic() + 20
        while (ran := abdicate("audit", *named)).returncode == 125:
            assert time.monotonic() < deadline, ran.stderr
            time.sleep(0.1)
        while ran.returncode == 1 and time.monotonic() < deadline:
            ran = abdicate("audit", *named)  # it holds the lock a moment before it drops
        assert (ran.returncode, f"process {child.pid} ".encode() in ran.stdout) == (0, True)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()


@needs_root
def test_the_library_says_the_same_as_the_command(config: tuple[str, ...]) -> None:
    """For a program that looks after others."""
    service = package.load_config(config[1]).profile("web").service()
    with held_child(_keeps_groups) as held:
        found = package.audit(held.pid, service)
    assert found is not None
    assert [deviation.slot for deviation in found.deviations or ()] == ["supplementary groups"]
    assert [way.code for way in found.regains] == ["AUD103", "AUD104"]


_HEADLESS = """
import ctypes, sys, threading, time

def say_when_alone():
    while True:
        with open("/proc/self/status") as status:
            if "State:\\tZ" in status.read():
                break
        time.sleep(0.01)
    print("headless", flush=True)
    time.sleep(60)

threading.Thread(target=say_when_alone).start()
ctypes.CDLL(None).pthread_exit(None)
"""


def test_a_process_whose_first_thread_has_ended_is_no_zombie() -> None:
    """Its other threads hold what they hold: it is read, not left out."""
    words = [sys.executable, "-c", _HEADLESS]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"headless\n"
            found = package.audit(process.pid)
            assert found is not None
            assert found.threads >= 1
        finally:
            process.kill()
