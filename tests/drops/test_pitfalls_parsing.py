"""P1 to P9: texts that made other programs stay root, on a process that is root."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from abdicate import (
    AbdicateError,
    PrivilegeDrop,
    SpecError,
    UnknownGroupError,
    UnknownUserError,
)
from drops import raw
from drops.cases import as_root_often_starts
from drops.commandline import abdicate_in
from drops.outside import dropped, refused

pytestmark = pytest.mark.needs("root")


def _refused(value: object) -> BaseException:
    """Return why a drop is refused that leaves root as it was; a SpecError comes as pydantic's."""
    error = refused(as_root_often_starts, lambda: PrivilegeDrop.model_validate(value).apply())
    assert isinstance(error, AbdicateError | ValidationError | SpecError), error
    return error


def _refused_by_the_command(user: str) -> str:
    ended = abdicate_in("run", "--user", user, "--", "echo", "it ran")
    assert ended.refused, ended
    return ended.err


@pytest.mark.parametrize("user", ["no-such-user", "no-such-user:adm", "no-such-user:", "Root"])
def test_p1_a_name_that_does_not_resolve_is_an_error_and_never_root(user: str) -> None:
    error = _refused(user)
    assert isinstance(error, UnknownUserError)
    assert isinstance(error, KeyError)
    assert "there is no such user" in _refused_by_the_command(user)


@pytest.mark.parametrize("user", ["www-data:no-such-group", "33:no-such-group"])
def test_p1_a_group_that_does_not_resolve_is_an_error_and_never_gid_0(user: str) -> None:
    assert isinstance(_refused(user), UnknownGroupError)
    assert "there is no such group" in _refused_by_the_command(user)


@pytest.mark.parametrize("user", ["0x0", "0x21", "0b0", "0o0", "0X21", "1_000", "0_0"])
def test_p2_what_other_programs_read_as_a_number_is_refused(user: str) -> None:
    assert "reads as a number" in str(_refused(user))
    assert "reads as a number" in _refused_by_the_command(user)


def _with_passwd(folder: Path, *entries: str) -> None:
    users = folder / "passwd"
    users.write_text("\n".join(("root:x:0:0::/root:/bin/sh", *entries, "")))
    raw.private_mounts()
    raw.bind(str(users), "/etc/passwd")
    as_root_often_starts()


@pytest.mark.needs("mount namespace")
@pytest.mark.parametrize("name", ["7zip", "1000abc", "0day", "1e3"])
def test_p2_a_name_that_begins_with_digits_is_that_name(name: str, tmp_path: Path) -> None:
    held = dropped(
        lambda: _with_passwd(tmp_path, f"{name}:x:5005:5006::/:/bin/sh"),
        lambda: PrivilegeDrop(user=name).apply(),
    )
    assert (held.uids, held.gids) == ((5005,) * 4, (5006,) * 4)


@pytest.mark.needs("mount namespace")
def test_p3_digits_are_an_id_though_a_user_is_called_so(tmp_path: Path) -> None:
    """User "4242" has uid 0 here: whoever guesses a name becomes root."""
    held = dropped(
        lambda: _with_passwd(tmp_path, "4242:x:0:0::/:/bin/sh", "one:x:4242:4243::/:/bin/sh"),
        lambda: PrivilegeDrop(user="4242").apply(),
    )
    assert (held.uids, held.gids) == ((4242,) * 4, (4243,) * 4)


@pytest.mark.parametrize(
    "value", [True, False, 1.0, 33.9, b"33", b"www-data", None, (33,), [33], object()]
)
def test_p4_what_is_neither_text_nor_whole_number_is_refused(value: object) -> None:
    _refused(value)
    if value is not None:
        _refused({"user": value})
        _refused({"user": "www-data", "group": value})
        _refused({"user": "www-data", "groups": {"exactly": [value]}})


@pytest.mark.parametrize("text", [" 33", "33 ", " 33 ", "+33", "３３", "033", "00", "3 3", "33\n"])
def test_p4_what_int_would_take_is_no_id(text: str) -> None:
    _refused(text)
    _refused({"user": "www-data", "group": text})
    _refused_by_the_command(text)


@pytest.mark.parametrize("number", [2**32, 2**32 + 33, 2**64, 2**64 + 33, 10**1000])
def test_p5_nothing_is_truncated_to_32_bits(number: int) -> None:
    _refused(number)
    _refused({"user": "www-data", "group": number})
    if number < 2**65:
        _refused(str(number))
        assert "4294967294" in _refused_by_the_command(str(number))


@pytest.mark.parametrize("number", [-1, 2**32 - 1])
def test_p6_no_change_is_no_id(number: int) -> None:
    """The kernel would say "done" and leave the process root."""
    assert "no change" in str(_refused(number))
    _refused({"user": "www-data", "group": number})
    _refused({"user": "www-data", "groups": {"add": [number]}})
    _refused(str(number))
    # "--user -1" would be an option's name without a value, to argparse.
    ended = abdicate_in("run", f"--user={number}", "--", "echo", "it ran")
    assert ended.refused, ended


def test_p6_the_last_id_is_one() -> None:
    held = dropped(
        as_root_often_starts, lambda: PrivilegeDrop(user=2**32 - 2, group=2**32 - 2).apply()
    )
    assert held.uids == (2**32 - 2,) * 4


@pytest.mark.parametrize("user", [0, "0", "root", "0:0", "root:adm"])
def test_p7_uid_0_is_somebody_and_not_nobody_named(user: int | str) -> None:
    """It is refused as root, not passed over as absent."""
    assert "root (uid 0)" in str(_refused(user))


@pytest.mark.parametrize("group", [0, "0", "root"])
def test_p7_gid_0_is_a_group_and_not_no_group_named(group: int | str) -> None:
    """Where it is meant it is done, and is not replaced by the login group."""
    assert "root's group (gid 0)" in str(_refused({"user": "www-data", "group": group}))
    held = dropped(
        as_root_often_starts,
        lambda: PrivilegeDrop(
            user="www-data", group=group, groups="only", allow_root_group=True
        ).apply(),
    )
    assert (held.uids, held.gids, held.groups) == ((33,) * 4, (0,) * 4, frozenset({0}))


@pytest.mark.parametrize(
    "user", ["", ":", "0:", "33:", "a:b:c", "www-data:adm:sudo", "::", "33::4"]
)
def test_p8_half_a_target_is_refused(user: str) -> None:
    _refused(user)
    _refused_by_the_command(user)


@pytest.mark.parametrize(
    ("user", "uid", "gid"),
    [("www-data:", 33, 33), ("www-data:adm", 33, 4), (":adm", 0, 4), (":4", 0, 4)],
)
def test_p8_every_other_half_is_defined(user: str, uid: int, gid: int) -> None:
    held = dropped(
        as_root_often_starts,
        lambda: PrivilegeDrop.model_validate({"user": user, "allow_root": True}).apply(),
    )
    assert (held.uids, held.gids) == ((uid,) * 4, (gid,) * 4)


@pytest.mark.parametrize("umask", ["22", "77", "0o", "0999", "-022", "0o22 ", "u=rwx", -1, 0o1000])
def test_p9_a_umask_that_could_be_meant_two_ways_is_refused(umask: str | int) -> None:
    error = str(_refused({"user": "www-data", "umask": umask}))
    assert "octal text with a leading 0" in error
    if isinstance(umask, str):
        ended = abdicate_in("run", "--user", "www-data", f"--umask={umask}", "--", "echo")
        assert ended.refused, ended


@pytest.mark.parametrize("umask", ["0022", "022", "0o22", 0o22])
def test_p9_every_clear_spelling_of_a_umask_is_the_same(umask: str | int) -> None:
    held = dropped(
        lambda: os.umask(0),
        lambda: PrivilegeDrop.model_validate({"user": "www-data", "umask": umask}).apply(),
    )
    assert held.umask == 0o022


def test_p9_the_yaml_user_no_is_told_to_be_quoted() -> None:
    """``user: no`` is False to YAML."""
    assert "in YAML, quote the name" in str(_refused({"user": False}))


@pytest.mark.parametrize(
    "user", ["no\0body", "no\nbody", "../root", "root\0", "a" * 257, "-x", "x" * 2**20]
)
def test_a_name_outside_the_grammar_is_one_short_line(user: str) -> None:
    """NUL, newline, a megabyte: the error stays a line, and shows at most 60 characters."""
    error = str(_refused({"user": user}))
    assert len(error) < 1000
    if "\0" not in user and len(user) < 1000:
        _refused_by_the_command(user)


@pytest.mark.parametrize("home", ["a\0b", "/\ud800"])
def test_a_home_that_no_variable_can_hold_is_refused_before_anything_changes(home: str) -> None:
    """The environment is the last step: what it can't take must be known before the first."""
    _refused({"user": "www-data", "home": home})


@pytest.mark.parametrize("field", ["chroot", "working_directory"])
@pytest.mark.parametrize("path", ["", "relative", "/a\0b", "/\ud800"])
def test_a_path_that_is_none_is_refused(field: str, path: str) -> None:
    _refused({"user": "www-data", field: path})
