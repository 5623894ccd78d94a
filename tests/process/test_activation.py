"""Descriptors that a service manager passes: read, announced anew, or rejected."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abdicate.errors import SpecError
from abdicate.process.activation import (
    PassedDescriptor,
    announce_descriptors,
    passed_descriptors,
)
from abdicate.process.descriptors import close_open_fds

PID = 4711


def _announced(fds: str | None, names: str | None = None, pid: str = str(PID)) -> dict[str, str]:
    variables = {"LISTEN_PID": pid, "LISTEN_FDS": fds, "LISTEN_FDNAMES": names}
    return {name: value for name, value in variables.items() if value is not None}


def _run(program: str, count: int, **environ: str) -> str:
    """Run a program that was passed pipes on 3, 4, …, by a manager that knows its pid."""
    ends = [os.open(os.devnull, os.O_RDONLY) for _ in range(count)]

    def start() -> None:
        for index, end in enumerate(ends):
            # High first: an end may be another's number.
            os.dup2(end, 100 + index)
        for index in range(count):
            os.dup2(100 + index, 3 + index)
        close_open_fds(range(3 + count))
        os.environ.update(environ, LISTEN_PID=str(os.getpid()))
        os.execv(sys.executable, [sys.executable, "-c", textwrap.dedent(program)])

    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(writing, 1)
        start()
    os.close(writing)
    for end in ends:
        os.close(end)
    with open(reading) as pipe:
        output = pipe.read()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    return output


def _in_spare_child(function: Callable[[], None]) -> None:
    """Run it where 3 and above are free: in_child's own pipes may be there."""
    pid = os.fork()
    if pid == 0:
        try:
            function()
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_descriptors_are_read_with_their_names() -> None:
    """D6: which descriptors systemd passed."""
    program = """
        from abdicate.process.activation import passed_descriptors
        print([(passed.number, passed.name) for passed in passed_descriptors()])
    """
    output = _run(program, 2, LISTEN_FDS="2", LISTEN_FDNAMES="http:admin")
    assert output == "[(3, 'http'), (4, 'admin')]\n"
    assert _run(program, 1, LISTEN_FDS="1") == "[(3, 'unknown')]\n"


def test_after_a_fork_they_are_announced_anew_or_nobodys() -> None:
    """D6: LISTEN_PID is the parent's, so a daemon asks before it forks."""
    program = """
        import os
        from abdicate.process.activation import announce_descriptors, passed_descriptors
        passed = passed_descriptors()
        if os.fork() == 0:
            print(passed_descriptors())
            announce_descriptors(passed)
            print(passed_descriptors() == passed, os.environ["LISTEN_PID"] == str(os.getpid()))
            announce_descriptors(())
            print(passed_descriptors(), [name for name in os.environ if name[:7] == "LISTEN_"])
            os.sys.stdout.flush()
            os._exit(0)
        os.wait()
    """
    output = _run(program, 2, LISTEN_FDS="2", LISTEN_FDNAMES="a:b", LISTEN_PIDFDID="123")
    assert output == "()\nTrue True\n() []\n"


def test_the_pidfd_of_another_process_is_not_announced() -> None:
    """D6: LISTEN_PIDFDID names the process that systemd started, as LISTEN_PID does."""
    environ = _announced("1") | {"LISTEN_PIDFDID": "123", "HOME": "/"}
    announce_descriptors([PassedDescriptor(3, "http")], environ, 12)
    assert environ == {"HOME": "/", **_announced("1", "http", "12")}


@pytest.mark.parametrize("pid", ["", "1", "04711", " 4711", "4711x", "-4711"])
def test_what_is_addressed_to_another_process_is_not_ours(pid: str) -> None:
    """D6: an inherited environment announces the parent's."""
    assert passed_descriptors(_announced("1", pid=pid), PID) == ()


@pytest.mark.parametrize("environ", [{}, {"LISTEN_FDS": "1"}, _announced("0"), _announced(None)])
def test_without_an_announcement_there_are_none(environ: dict[str, str]) -> None:
    assert passed_descriptors(environ, PID) == ()


@pytest.mark.parametrize("fds", ["", "-1", "one", "1 ", "1_0", "１", "9" * 5000])
def test_a_malformed_count_is_an_error(fds: str) -> None:
    with pytest.raises(SpecError, match="LISTEN_FDS"):
        passed_descriptors(_announced(fds), PID)


@pytest.mark.parametrize("names", ["", "a:b:c", "a", "a\nb:c"])
def test_names_must_be_as_many_as_descriptors_and_printable(names: str) -> None:
    def child() -> None:
        for number in (3, 4):
            os.dup2(0, number)
        with pytest.raises(SpecError, match=r"LISTEN_FDNAMES|descriptor name"):
            passed_descriptors(_announced("2", names), PID)

    _in_spare_child(child)


def test_a_descriptor_that_is_announced_and_not_open_is_an_error() -> None:
    """D6: to keep its number would keep whatever lands there."""

    def child() -> None:
        for number in (3, 4):
            os.dup2(0, number)
        close_open_fds(range(5))
        with pytest.raises(SpecError, match="descriptor 5 must be open"):
            passed_descriptors(_announced("2000000000"), PID)

    _in_spare_child(child)


def test_a_gap_can_not_be_announced() -> None:
    environ = _announced("3")
    with pytest.raises(SpecError, match="without a gap"):
        announce_descriptors([PassedDescriptor(3), PassedDescriptor(5)], environ)
    assert environ == _announced("3")


@pytest.mark.parametrize("name", ["a:b", "a\nb", "\0"])
def test_a_name_that_would_read_as_two_is_refused(name: str) -> None:
    with pytest.raises(SpecError, match="without a colon"):
        PassedDescriptor(3, name)


@given(st.dictionaries(st.sampled_from(["LISTEN_FDS", "LISTEN_FDNAMES"]), st.text()))
def test_no_text_makes_a_descriptor_of_what_is_not_open(environ: dict[str, str]) -> None:
    try:
        passed = passed_descriptors(environ | {"LISTEN_PID": str(PID)}, PID)
    except SpecError:
        return
    assert all(os.get_inheritable(descriptor.number) in {True, False} for descriptor in passed)


def test_an_announcement_reads_as_it_was_written() -> None:
    def child() -> None:
        for number in (3, 4):
            os.dup2(0, number)
        passed = (PassedDescriptor(3, "http"), PassedDescriptor(4, ""))
        environ: dict[str, str] = {}
        announce_descriptors(passed, environ)
        assert passed_descriptors(environ) == passed

    _in_spare_child(child)
