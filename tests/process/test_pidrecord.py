"""What a pidfile says: the decimal pid and a newline."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abdicate.errors import SpecError
from abdicate.process.pidrecord import HIGHEST_PID, LONGEST, encode, named_pid, parse

pids = st.integers(1, HIGHEST_PID)
#: Bytes that look more like pidfiles than most bytes do.
likely = st.one_of(
    st.binary(max_size=LONGEST), st.text("0123456789 \n-+_x", max_size=12).map(str.encode)
)

MALFORMED = [
    b"",
    b"\n",
    b"12",
    b"12\n\n",
    b"12\n13\n",
    b"12\r\n",
    b" 12\n",
    b"12 \n",
    b"+12\n",
    b"-1\n",
    b"0\n",
    b"00\n",
    b"012\n",
    b"1_0\n",
    b"0x1f\n",
    b"1e3\n",
    b"2147483648\n",
    b"4294967296\n",
    b"9" * 31 + b"\n",
    b"abc\n",
    b"\0" * 32,
    b"12\0\n",
    "１２\n".encode(),
    b"\xff\xfe\n",
]


@given(pids)
def test_what_is_encoded_is_read_back(pid: int) -> None:
    """Writer and reader agree."""
    assert parse(encode(pid)) == pid


@given(pids)
def test_every_reader_of_pidfiles_reads_it(pid: int) -> None:
    """F17: ``int(f.read())`` and ``kill $(cat …)`` work: one line, and nothing else."""
    assert int(encode(pid).decode()) == pid
    assert encode(pid).split() == [str(pid).encode()]


@given(likely)
def test_only_what_encode_writes_is_a_record(content: bytes) -> None:
    """F10: whatever else is in the file, reading it is a refusal, never another error."""
    try:
        pid = parse(content)
    except SpecError:
        return
    assert encode(pid) == content


@pytest.mark.parametrize("content", MALFORMED)
def test_malformed_content_is_a_value_error(content: bytes) -> None:
    """F10: the contents that other programs took, or fell over."""
    with pytest.raises(ValueError, match="pidfile content"):
        parse(content)


@pytest.mark.parametrize("pid", [0, -1, HIGHEST_PID + 1])
def test_what_cannot_be_a_pid_is_not_written(pid: int) -> None:
    """To kill(2), 0 is our process group, and -1 is everybody."""
    with pytest.raises(SpecError, match="from 1 to"):
        encode(pid)


@given(pids, st.binary(max_size=8))
def test_a_pid_with_something_below_it_still_names_somebody(pid: int, more: bytes) -> None:
    """Whose file would be taken away is asked generously."""
    assert named_pid(encode(pid) + more) == pid


@given(likely)
def test_what_is_read_strictly_is_read_generously_too(content: bytes) -> None:
    """The generous reader never says less, and never fails."""
    named = named_pid(content)
    try:
        assert parse(content) == named
    except SpecError:
        assert named is None or 1 <= named <= HIGHEST_PID


@pytest.mark.parametrize(
    ("content", "pid"),
    [(b"12", 12), (b"  12  ", 12), (b"12\nworker\n", 12), (b"0\n", None), (b"-1\n", None)],
)
def test_the_generous_reader(content: bytes, pid: int | None) -> None:
    """No newline, padding, a second line; but no process group is ever named."""
    assert named_pid(content) == pid


def test_a_long_number_is_refused_at_once() -> None:
    """F10: int() of a million digits takes a second; nobody asks it."""
    began = time.monotonic()
    with pytest.raises(SpecError):
        parse(b"1" * 1_000_000 + b"\n")
    assert named_pid(b"1" * 1_000_000) is None
    assert time.monotonic() - began < 0.1
