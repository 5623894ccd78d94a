"""``abdicate show``: what a process holds, named and complete."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from cli.program import ROOT, Ran, Word, abdicate, refusal, status_lines, succeeded

_ABOVE_EVERY_PID = 4194305  # PID_MAX_LIMIT, proc_sys_kernel(5), and one


def test_without_a_pid_it_shows_what_it_was_given() -> None:
    """Whatever was passed down to this command, ids with their names."""
    text = succeeded(abdicate("show")).decode()
    assert text.startswith("process ")
    lines = {line[2:24].strip(): line[24:].strip() for line in text.splitlines()[1:]}
    assert lines["real uid"].split()[0] == str(os.getuid())
    assert lines["saved gid"].split()[0] == str(os.getresgid()[2])
    if ROOT:
        assert lines["real uid"] == "0 (root)"
    for slot in ("bounding set", "securebits", "no_new_privs", "umask", "dumpable"):
        assert lines[slot]


def test_json_is_what_proc_says() -> None:
    """Every slot of /proc/<pid>/status, under a version."""
    data = json.loads(succeeded(abdicate("show", str(os.getpid()), "--json")))
    with open("/proc/self/status", "rb") as file:
        held = status_lines(file.read())
    assert (data["version"], data["pid"]) == (1, os.getpid())
    found = data["credentials"]
    uid, gid = ([*found[key].values()] for key in ("uid", "gid"))
    assert [*uid, found["filesystem_uid"]] == list(map(int, held["Uid"].split()))
    assert [*gid, found["filesystem_gid"]] == list(map(int, held["Gid"].split()))
    assert found["groups"] == sorted(map(int, held["Groups"].split()))
    assert found["umask"] == int(held["Umask"], 8)
    assert data["threads"][str(os.getpid())] == found


def test_what_can_t_be_read_of_another_process_is_said() -> None:
    """Securebits and dumpable are told to the thread itself only: unknown, and never "none"."""
    assert b"not readable from here: securebits, dumpable" in succeeded(
        abdicate("show", str(os.getpid()))
    )


@pytest.mark.parametrize(
    "pid",
    [
        *("0", "-1", "abc", "", " 1", "1 ", "+1", "1_0", "１", "²", "1.0", "0x1", "1\n", "self"),
        *(str(2**31), str(2**63), "9" * 100_000, "1" + "0" * 99_999, "0" * 100_000, b"\xff"),
    ],
    ids=lambda pid: ascii(pid)[:20],
)
def test_what_is_no_process_id_is_refused(pid: Word) -> None:
    """A value, and a bad one: 125, in one line."""
    refusal(abdicate("show", "--", pid), "show")


def test_a_process_that_is_not_there_is_told() -> None:
    """There is none of that number, and could be none."""
    assert f"no process {_ABOVE_EVERY_PID}" in refusal(
        abdicate("show", str(_ABOVE_EVERY_PID)), "show"
    )


@contextmanager
def _python(script: str, **options: int | list[int]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Python script that prints a line when it is ready, and ends with its stdin."""
    command = [os.path.realpath(sys.executable), "-c", script]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd="/",
        **options,  # type: ignore[call-overload]  # user, group and extra_groups
    ) as process:
        try:
            yield process
        finally:
            process.stdin.close()


@pytest.mark.needs("root")
def test_another_users_process_is_shown() -> None:
    """/proc tells it to everybody."""
    with subprocess.Popen(
        ["/bin/cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        user=65534,
        group=65534,
        extra_groups=[4],
    ) as process:
        text = succeeded(abdicate("show", str(process.pid))).decode()
        assert process.stdin is not None
        process.stdin.close()
    assert f"process {process.pid}\n" in text
    assert "65534 (nobody)" in text
    assert "supplementary groups  4 (adm)" in text


def test_an_ordinary_user_may_look_at_roots_process(as_ordinary_user: Callable[..., Ran]) -> None:
    """P43: no privilege is needed, and no entry for whoever asks."""
    ran = as_ordinary_user("show", "1")
    if ran.returncode == 125 and b"no process 1" in ran.stderr:
        pytest.skip("needs a /proc without hidepid")
    assert succeeded(ran).startswith(b"process 1\n")


_ONE_THREAD_OF_ITS_OWN = """
import ctypes, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
def leave():
    {call}
    print(threading.get_native_id(), flush=True)
    sys.stdin.read()
threading.Thread(target=leave).start()
"""


def _show_with_a_thread(call: str) -> tuple[int, str, dict[str, dict[str, object]]]:
    """Return the thread that makes the raw *call*, and what is shown then, as text and JSON."""
    with _python(_ONE_THREAD_OF_ITS_OWN.format(call=call)) as process:
        assert process.stdout is not None
        thread = int(process.stdout.readline())
        text = succeeded(abdicate("show", str(process.pid))).decode()
        data = json.loads(succeeded(abdicate("show", "--json", str(process.pid))))
    assert set(data["threads"]) == {str(process.pid), str(thread)}
    return thread, text, data["threads"]


def test_a_thread_that_differs_is_shown() -> None:
    """P31: prctl(2) acts on one thread, and what the main one holds is not all of it."""
    thread, text, threads = _show_with_a_thread("assert libc.prctl(38, 1, 0, 0, 0) == 0")
    assert f"THREAD {thread} DIFFERS  no_new_privs: on\n" in text
    assert text.count("DIFFERS") == 1
    assert sorted(held["no_new_privs"] is True for held in threads.values()) == [False, True]


_SETRESUID = {"x86_64": 117, "aarch64": 147, "riscv64": 147}


@pytest.mark.needs("root", "CAP_SETUID")
def test_a_thread_with_another_uid_is_shown() -> None:
    """P31: the raw system call changes one thread; libc's function would change them all."""
    number = _SETRESUID.get(platform.machine())
    if number is None:
        pytest.skip("needs the number of setresuid on this architecture")
    call = f"assert libc.syscall({number}, 65534, 65534, 65534) == 0"
    thread, text, threads = _show_with_a_thread(call)
    for slot in ("real uid", "effective uid", "saved uid", "filesystem uid"):
        assert f"THREAD {thread} DIFFERS  {slot}: 65534" in text
    assert f"THREAD {thread} DIFFERS  effective set: none" in text
    assert threads[str(thread)]["uid"] == {"real": 65534, "effective": 65534, "saved": 65534}


def test_a_process_that_has_ended_and_is_not_reaped_is_shown() -> None:
    """A zombie still has credentials."""
    process = subprocess.Popen(["true"])
    try:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert f"process {process.pid}\n".encode() in succeeded(abdicate("show", str(process.pid)))
    finally:
        process.wait()


@pytest.mark.skipif(not ROOT, reason="root looks at itself")
def test_root_is_named() -> None:
    """Ids are shown with their names, as id(1) does."""
    assert b"(root)" in succeeded(abdicate("show", str(os.getpid())))
