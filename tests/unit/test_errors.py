"""The exception tree: whose fault it is, and whether anything has changed."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abdicate import errors
from abdicate.errors import (
    AbdicateError,
    ConfigError,
    ConfigProblem,
    CredentialMismatchError,
    IncompleteDropError,
    LockFailed,
    PreflightError,
    PrivilegeRegainableError,
    SecurityError,
    SecurityWarning,
    SpecError,
    UnknownGroupError,
    UnknownUserError,
    UnsupportedPlatformError,
    printable,
    shown,
)
from abdicate.plan.report import DropReport
from unit.making import AS_ROOT, planned

_REPORT = DropReport(planned(), (), (), (), AS_ROOT, None, failure="it failed")

#: One of each, with its text.
_TEXTS: dict[BaseException, str] = {
    AbdicateError("no"): "no",
    SpecError("user", "", "empty text names nobody"): "user '': empty text names nobody",
    ConfigError(ConfigProblem("a.toml", 2, "profiles.web", "it is wrong")): (
        "a.toml:2: profiles.web: it is wrong"
    ),
    UnknownUserError("zoe"): "user 'zoe': there is no such user in the account database",
    UnknownUserError(1000, "name a group"): (
        "user 1000: there is no such user in the account database; name a group"
    ),
    UnknownGroupError("zoo"): "group 'zoo': there is no such group in the account database",
    PreflightError("a", "b"): "nothing was changed, because a; and b",
    UnsupportedPlatformError("not here"): "not here",
    LockFailed("held by 12"): "held by 12",
    SecurityError("root would remain"): "root would remain",
    SecurityWarning("a risk"): "a risk",
    IncompleteDropError("incomplete", _REPORT): "incomplete",
    CredentialMismatchError("mismatch", _REPORT): "mismatch",
    PrivilegeRegainableError("regained", _REPORT): "regained",
}
_ONE_OF_EACH = list(_TEXTS)


def _kind(error: BaseException) -> str:
    return type(error).__name__


def test_every_error_is_tried_here() -> None:
    """The list above is complete."""
    kinds = (getattr(errors, name) for name in errors.__all__)
    public = {
        kind.__name__
        for kind in kinds
        if isinstance(kind, type) and issubclass(kind, BaseException)
    }
    assert {_kind(error) for error in _ONE_OF_EACH} == public


@pytest.mark.parametrize("error", _ONE_OF_EACH, ids=_kind)
def test_each_error_says_what_is_the_matter(error: BaseException) -> None:
    """In one line: a KeyError would quote its text, and show a tuple of two arguments."""
    assert str(error) == _TEXTS[error]


@pytest.mark.parametrize("copied", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy])
@pytest.mark.parametrize("error", _ONE_OF_EACH, ids=_kind)
def test_each_error_survives_pickling_and_copying(error: BaseException, copied: object) -> None:
    """A worker sends it to its parent with everything that it holds."""
    assert callable(copied)
    again = copied(error)
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again.args == error.args
    assert vars(again) == vars(error)


@pytest.mark.parametrize(
    "kind", [IncompleteDropError, CredentialMismatchError, PrivilegeRegainableError]
)
def test_an_incomplete_drop_passes_through_except_exception(
    kind: type[IncompleteDropError],
) -> None:
    """P29: ``except Exception: log()`` can't carry on in a half-root process."""
    assert issubclass(kind, IncompleteDropError)
    assert not issubclass(kind, Exception)
    assert not issubclass(kind, AbdicateError)

    def handler() -> None:
        try:
            raise kind("half-root", _REPORT)
        except Exception:
            pytest.fail("it was swallowed")

    with pytest.raises(kind) as caught:
        handler()
    assert caught.value.report is _REPORT


@pytest.mark.parametrize(
    "kind",
    [
        SpecError,
        UnknownUserError,
        UnknownGroupError,
        PreflightError,
        UnsupportedPlatformError,
        LockFailed,
        SecurityError,
    ],
)
def test_what_has_changed_nothing_is_an_abdicate_error(kind: type[BaseException]) -> None:
    """One except clause covers everything that was refused beforehand."""
    assert issubclass(kind, AbdicateError)
    assert issubclass(kind, Exception)


def test_old_handlers_still_catch_what_they_caught() -> None:
    """Pwd and grp raise KeyError, int() raises ValueError."""
    assert issubclass(SpecError, ValueError)
    assert issubclass(UnknownUserError, KeyError)
    assert issubclass(UnknownGroupError, KeyError)
    assert not issubclass(UnknownUserError, UnknownGroupError)
    assert issubclass(SecurityWarning, UserWarning)


def test_a_spec_error_holds_field_value_and_rule() -> None:
    """For a program that reports it in its own words."""
    error = SpecError("umask", "22", "octal is wanted")
    assert (error.field, error.value, error.rule) == ("umask", "22", "octal is wanted")


def test_an_unknown_name_is_held() -> None:
    """For a program that reports it in its own words."""
    assert UnknownUserError("zoe", "hint").name == "zoe"
    assert UnknownUserError("zoe", "hint").hint == "hint"


def test_a_preflight_error_holds_every_reason() -> None:
    """Not only the first."""
    assert PreflightError("a", "b", "c").reasons == ("a", "b", "c")


@pytest.mark.parametrize(
    "value",
    [
        "a" * 1_000_000,
        "\0" * 1_000_000,
        "\U0010ffff" * 61,
        "\n" * 60,
        b"\xff" * 1_000_000,
        bytearray(b"\0") * 1_000_000,
        ["a" * 1_000_000],
        {"a": "b" * 1_000_000},
        10**4000,
        10**5000,
        -(10**5000),
        [10**5000],
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_of_any_size_is_shown_short(value: object) -> None:
    """A megabyte of somebody's input is not to fill a log."""
    text = shown(value)
    assert len(text) <= 90  # 60 characters of the repr, and what tells of the rest
    assert text.isprintable()


@given(value=st.text() | st.binary() | st.integers() | st.lists(st.text()))
def test_what_is_shown_is_one_printable_line(value: object) -> None:
    """Control characters would move a terminal's cursor, newlines forge a log entry."""
    text = shown(value)
    assert text.isprintable()
    assert len(text) <= 90
    assert text == repr(value) or len(repr(value)) > 18


def test_a_value_without_a_usable_repr_is_still_shown() -> None:
    """The refusal is what matters, and must not be lost to another error."""

    class Multiline:
        def __repr__(self) -> str:
            return "two\nlines\x1b[2J"

    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError("no repr")

    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (Multiline(), Broken(), deep):
        text = str(SpecError("user", value, "a name is text"))
        assert text.isprintable()
        assert text.endswith(": a name is text")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain – text", "plain – text"),
        ("two\nlines", "two lines"),
        ("\x1b[2J\r\x07", "\\x1b[2J\\r\\x07"),
        ("\u2028\u202e\ud800", "\\u2028\\u202e\\ud800"),
        ("", ""),
    ],
    ids=repr,
)
def test_what_a_terminal_would_obey_is_escaped(text: str, line: str) -> None:
    """A name in the account database, or in a file, is not ours."""
    assert printable(text) == line


@given(text=st.text())
def test_what_is_printable_is_one_line(text: str) -> None:
    """And stays as it is the second time."""
    line = printable(text)
    assert line.isprintable()
    assert printable(line) == line
