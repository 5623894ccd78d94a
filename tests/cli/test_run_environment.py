"""The environment of the command: the account's variables, and every other one as it was."""

from __future__ import annotations

import os
import pwd
import sys

import pytest

from cli.program import (
    ABDICATE,
    BECOME,
    PLAIN,
    Word,
    abdicate,
    execute,
    refusal,
    succeeded,
    variables,
)

_GIVEN = {**PLAIN, "HOME": "/root", "USER": "root", "LOGNAME": "root", "SHELL": "/bin/bash"} | {
    "TERM": "vt100",
    "MAIL": "/var/mail/root",
    "EMPTY": "",
}
_NOBODY = {
    "HOME": "/nonexistent",
    "USER": "nobody",
    "LOGNAME": "nobody",
    "SHELL": "/usr/sbin/nologin",
}
_WITHOUT_ENTRY = 54321


def _environment(*options: Word, given: dict[str, str]) -> dict[str, str]:
    ran = abdicate("run", *options, "--", "env", "-0", env=given)
    return {os.fsdecode(n): os.fsdecode(v) for n, v in variables(succeeded(ran)).items()}


@pytest.mark.needs("root")
def test_the_accounts_variables_are_the_new_users() -> None:
    """P40: HOME, USER, LOGNAME and SHELL don't stay root's; all others stay."""
    assert _environment("--user", "nobody", given=_GIVEN) == _GIVEN | _NOBODY


@pytest.mark.needs("root")
def test_they_are_set_where_they_were_missing() -> None:
    """P40: also from cron or an init that sets none of them."""
    assert _environment("--user", "nobody", given={**PLAIN}) == {**PLAIN} | _NOBODY


def test_keep_env_touches_nothing() -> None:
    """What was given arrives, root's HOME too."""
    assert _environment(*BECOME, "--keep-env", given=_GIVEN) == _GIVEN


@pytest.mark.needs("root")
def test_reset_env_leaves_the_account_a_path_and_the_terminal() -> None:
    """Only what is named stays."""
    found = _environment("--user", "nobody", "--reset-env", given=_GIVEN)
    assert found.pop("PATH")
    assert found == {"TERM": "vt100"} | _NOBODY


@pytest.mark.needs("root")
def test_a_uid_without_an_entry_has_no_name_in_the_environment() -> None:
    """P40, P43: root's name must not stay where there is no other to put in its place."""
    with pytest.raises(KeyError):
        pwd.getpwuid(_WITHOUT_ENTRY)
    owner = f"{_WITHOUT_ENTRY}:{_WITHOUT_ENTRY}"
    found = _environment("--user", owner, given=_GIVEN)
    expected = _GIVEN | {"HOME": "/", "SHELL": "/bin/sh"}
    del expected["USER"], expected["LOGNAME"]
    assert found == expected


def test_keep_env_and_reset_env_contradict_each_other() -> None:
    """Two answers to one question are an error, and not "the last one wins"."""
    refusal(abdicate("run", *BECOME, "--keep-env", "--reset-env", "--", "env"), "run")


def test_an_empty_home_is_not_taken_for_no_home() -> None:
    """P7, P8: empty text is an unset variable somewhere, and never "as if it were not there"."""
    refusal(abdicate("run", *BECOME, "--home", "", "--", "env"), "run")


@pytest.mark.parametrize(
    "given",
    [
        {"LANG": "C"},
        {},
        {"LANG": "C", "LC_CTYPE": "C"},
        {"LANG": "C", "LC_CTYPE": ""},
        {"LANG": "C", "LC_CTYPE": "POSIX"},
        {"LC_CTYPE": "C.UTF-8"},
        {"LC_ALL": "C"},
        {"LANG": "C", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=str,
)
def test_the_locale_is_the_callers(given: dict[str, str]) -> None:
    """Python coerces the C locale for itself (PEP 538); the command has what the caller gave."""
    assert _environment(*BECOME, "--keep-env", given={**PLAIN} | given) == {**PLAIN} | given


def test_odd_bytes_pass_through() -> None:
    """Names and values are bytes, and need not be text."""
    plain = {os.fsencode(name): os.fsencode(value) for name, value in PLAIN.items()}
    odd = {b"ODD\xff\xfe": b"\xfe\x01\n==\x80", b"A B": b" ", b"1": b"\xc3\x28"}
    ran = abdicate("run", *BECOME, "--keep-env", "--", "env", "-0", env=plain | odd)
    assert variables(succeeded(ran)) == plain | odd


# Executes what follows with an environment that `os.execve` would refuse to make.
_RAW = """
import ctypes, os, sys
entries = [os.fsencode(word) for word in sys.argv[2:2 + int(sys.argv[1])]]
words = [os.fsencode(word) for word in sys.argv[2 + int(sys.argv[1]):]]
def array(items):
    return (ctypes.c_char_p * (len(items) + 1))(*items, None)
ctypes.CDLL(None).execve(words[0], array(words), array(entries))
"""


@pytest.mark.parametrize(
    "entry", [b"=nameless", b"=", b"valueless", b"", b"TWICE=2", b"\xff"], ids=repr
)
def test_a_malformed_entry_ends_in_no_traceback(entry: bytes) -> None:
    """An environment is whatever execve(2) was given; ours must not fail on it half-way."""
    entries: list[Word] = [*(f"{name}={value}" for name, value in PLAIN.items()), "TWICE=1", entry]
    launcher: list[Word] = [sys.executable, "-c", _RAW, str(len(entries)), *entries]
    ran = execute([*launcher, *ABDICATE, "run", *BECOME, "--", "printenv", "TWICE"])
    assert b"Traceback" not in ran.stderr
    assert (ran.returncode, ran.stdout) == (0, b"1\n")
