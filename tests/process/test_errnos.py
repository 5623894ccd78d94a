"""Error numbers by name, and a block that ends in silence on the expected ones."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abdicate.errors import SpecError
from abdicate.process import exits
from abdicate.process.errnos import UnknownErrnoError, get_errno_name, ignore_errno


@pytest.mark.parametrize("name", sorted(errno.errorcode.values()))
def test_the_number_of_every_error_is_found_by_its_name(name: str) -> None:
    assert get_errno_name(name) == getattr(errno, name)


@given(st.integers())
def test_a_number_passes_through(number: int) -> None:
    assert get_errno_name(number) == number


@pytest.mark.parametrize("name", ["", "ENOSUCH", "enoent", "errorcode", "__name__", "2"])
def test_a_name_that_is_no_error_is_refused(name: str) -> None:
    with pytest.raises(UnknownErrnoError, match="not an error name"):
        get_errno_name(name)


def test_an_unknown_name_is_also_the_attribute_error_that_celery_raises() -> None:
    assert issubclass(UnknownErrnoError, AttributeError)
    assert issubclass(UnknownErrnoError, SpecError)


@pytest.mark.parametrize("expected", ["ENOENT", errno.ENOENT])
def test_an_expected_error_ends_the_block_in_silence(expected: str | int) -> None:
    with ignore_errno("EPERM", expected):
        open("/no/such/file")  # noqa: SIM115 - it raises
        pytest.fail("the block went on")


def test_another_error_passes() -> None:
    with pytest.raises(FileNotFoundError), ignore_errno("EPERM"):
        open("/no/such/file")  # noqa: SIM115 - it raises


def test_an_exception_without_errno_passes() -> None:
    with pytest.raises(ZeroDivisionError), ignore_errno("ENOENT"):
        _ = 1 / 0


def test_only_the_given_types_are_looked_at() -> None:
    with pytest.raises(FileNotFoundError), ignore_errno("ENOENT", types=(PermissionError,)):
        open("/no/such/file")  # noqa: SIM115 - it raises


def test_no_types_mean_every_exception() -> None:
    with ignore_errno("ENOENT", types=()):
        open("/no/such/file")  # noqa: SIM115 - it raises


def test_what_is_not_an_exception_passes() -> None:
    """An interrupt that happens to carry the number is not an error to ignore."""
    interrupt = KeyboardInterrupt()
    interrupt.errno = errno.ENOENT  # type: ignore[attr-defined]  # as an odd handler may set it
    with pytest.raises(KeyboardInterrupt), ignore_errno("ENOENT"):
        raise interrupt


def test_a_block_without_an_error_is_left_alone() -> None:
    done = []
    with ignore_errno("ENOENT"):
        done.append(True)
    assert done


def test_exit_statuses_are_those_of_sysexits() -> None:
    assert (exits.EX_OK, exits.EX_FAILURE) == (0, 1)
    assert (exits.EX_USAGE, exits.EX_UNAVAILABLE, exits.EX_CANTCREAT) == (64, 69, 73)
