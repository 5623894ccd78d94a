"""Bad words on the command line: one clear line, the right status, and nothing has run.

A text with a NUL can't be passed to a program at all, execve(2); the library's own tests have it.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from cli.program import ABDICATE, BECOME, Word, abdicate, refusal, spelt

_RUN = ("--", "echo", "ran")

# What is neither an id nor a name that exists; every parser of names has taken one of them.
_BAD_NAMES: dict[str, Word] = {
    "empty": "",
    "blank": " ",
    "blanks around": " 12 ",
    "newline behind": "nobody\n",
    "newline inside": "no\nbody",
    "carriage return": "nobody\r",
    "tab": "\tnobody",
    "escape sequence": "\x1b[31mnobody",
    "underscores": "1_000",
    "fullwidth digits": "１２",
    "arabic digits": "٣",
    "superscript digit": "²",
    "minus one": "-1",
    "no change": "4294967295",
    "truncated to root": "4294967296",
    "truncated to 65534": "4295032830",
    "2^64": str(2**64),
    "leading zero": "00",
    "octal": "0o0",
    "hexadecimal": "0x0",
    "plus": "+0",
    "a bool": "True",
    "a float": "3.9",
    "scientific": "1e3",
    "100 kB of letters": "x" * 100_000,
    "100 kB of digits": "1" * 100_000,
    "100 kB of zeros": "0" * 100_000,
    "unknown": "abdicate-no-such-name",
    "not UTF-8": b"\xff\xfe",
    "latin 1": b"n\xf6body",
    "slash": "no/body",
    "two dots": "..",
    "star": "*",
    "option": "--user",
}

# "user:group" and its misshapen relatives.
_BAD_OWNERS: dict[str, Word] = {
    "colon": ":",
    "two colons": "::",
    "three parts": "no:body:x",
    "uid and colon": "0:",
    "user, unknown group": "nobody:abdicate-no-such-name",
    "bad group": "nobody:1_000",
    "unknown user, good group": "abdicate-no-such-name:0",
    "empty, bad group": ":-1",
    "uid without an entry": "54321",
}


def _joined(option: str, value: Word, before: str = "") -> Word:
    """Return ``option=before+value``, so that a value that begins with "-" is a value."""
    if isinstance(value, bytes):
        return f"{option}={before}".encode() + value
    return f"{option}={before}{value}"


@pytest.mark.parametrize("name", [*_BAD_NAMES, *_BAD_OWNERS])
def test_a_bad_user_is_one_clear_line(name: str) -> None:
    """P1, P2, P4 to P8: never root, never a traceback, and the command does not run."""
    value = (_BAD_NAMES | _BAD_OWNERS)[name]
    assert refusal(abdicate("run", _joined("--user", value), *_RUN), "run")


@pytest.mark.parametrize("name", _BAD_NAMES)
def test_a_bad_group_is_one_clear_line(name: str) -> None:
    """The same grammar holds for groups, and "user:group" is no group."""
    words = ("--user", "nobody", _joined("--group", _BAD_NAMES[name]))
    assert refusal(abdicate("run", *words, *_RUN), "run")


@pytest.mark.parametrize("name", [name for name in _BAD_NAMES if name != "empty"])
def test_a_bad_supplementary_group_is_one_clear_line(name: str) -> None:
    """The same grammar holds inside of a list; the first bad one refuses the whole."""
    words = ("--user", "nobody", _joined("--groups", _BAD_NAMES[name], "exactly:4,"))
    assert refusal(abdicate("run", *words, *_RUN), "run")


@pytest.mark.parametrize(
    "policy",
    [
        *("", " ", "none", "Init", "init:", "init:4", "only:4", "keep:", "exactly", "add", "4,27"),
        *(
            "exactly:4,,27",
            "exactly:,",
            "exactly:4,",
            "exactly: 4",
            "add:4:27",
            "add:4,1_000",
            ":4",
        ),
    ],
)
def test_a_bad_policy_is_one_clear_line(policy: str) -> None:
    """P10, P13: there is no default to fall back on, and an empty entry is not "none"."""
    assert refusal(abdicate("run", "--user=nobody", f"--groups={policy}", *_RUN), "run")


@pytest.mark.parametrize("command", ["explain", "rehearse"])
@pytest.mark.parametrize(
    "value",
    ["", "0:", "no:body:x", "１２", "-1", "4294967296", "no\nbody", "abdicate-no-such-name"],
    ids=ascii,
)
def test_the_other_commands_refuse_it_likewise(command: str, value: str) -> None:
    """125 as well: it is a bad value, and not a wrong use of options."""
    assert refusal(abdicate(command, f"--user={value}"), command)


@pytest.mark.parametrize(
    "words",
    [
        ["--umask", ""],
        ["--umask", "0o"],
        ["--umask", "22"],
        ["--umask", "0888"],
        ["--umask", "01000"],
        ["--umask", "-1"],
        ["--umask", "0_022"],
        ["--umask", "0" * 100_000],
        ["--nice", ""],
        ["--nice", "-"],
        ["--nice", "--5"],
        ["--nice", "20"],
        ["--nice", "-21"],
        ["--nice", "²"],
        ["--nice", "1" * 100_000],
        ["--limit", ""],
        ["--limit", "nofile"],
        ["--limit", "nofile="],
        ["--limit", "=5"],
        ["--limit", "nofile=-1"],
        ["--limit", "nofile=5:"],
        ["--limit", "nofile=5:4"],
        ["--limit", "nofile=1:2:3"],
        ["--limit", "nofile=unlimited:5"],
        ["--limit", "nofile=1_0"],
        ["--limit", "nofile=²"],
        ["--limit", f"nofile={2**63}"],
        ["--limit", "nofile=" + "1" * 100_000],
        ["--limit", "no-such=5"],
        ["--limit", "nofile=5", "--limit", "nofile=6"],
        ["--keep-capabilities", "no_such"],
        ["--keep-capabilities", "kill,"],
        ["--keep-capabilities", "all"],
        ["--keep-capabilities", "5"],
        ["--ambient"],
        ["--keep-capabilities", "", "--ambient"],
        ["--bounding", "cap_"],
        ["--bounding", "kill kill"],
        ["--chroot", ""],
        ["--chroot", "relative"],
        ["--chdir", ""],
        ["--chdir", "relative"],
        ["--parent-death-signal", ""],
        ["--parent-death-signal", "65"],
        ["--parent-death-signal", "-9"],
        ["--parent-death-signal", "SIG"],
        ["--parent-death-signal", "SIGSIGTERM"],
        ["--parent-death-signal", "²"],
    ],
    ids=lambda words: " ".join(words)[:40],
)
def test_a_bad_value_of_any_option_is_one_clear_line(words: list[str]) -> None:
    """Nothing is taken for what it resembles, and nothing is passed over."""
    joined = []
    for word in words:
        if word.startswith("--") and word[2:3].isalpha():
            joined.append(word)
        else:
            joined[-1] += f"={word}"
    assert refusal(abdicate("run", *BECOME, *joined, *_RUN), "run")


@pytest.mark.parametrize(
    ("words", "command", "status"),
    [
        (["run", "--" + "x" * 100_000, "--", "true"], "run", 125),
        (["run", "--umask=" + "x" * 100_000, "--", "true"], "run", 125),
        (["run", "--no-new-privs=" + "x" * 100_000, "--", "true"], "run", 125),
        (["explain", "x" * 100_000], "explain", 2),
        (["show", "1", "x" * 100_000], "show", 2),
        (["show", "x" * 100_000], "show", 125),
        (["x" * 100_000], "", 2),
    ],
    ids=["option", "value", "flag's value", "positional", "second pid", "pid", "command"],
)
def test_a_huge_word_is_not_repeated_in_full(words: list[str], command: str, status: int) -> None:
    """A terminal is not flooded with what somebody else put into a variable."""
    refusal(abdicate(*words), command, status)


@pytest.mark.parametrize(
    ("words", "command", "status"),
    [
        (["run", "--x\x1b[2Jy", "--", "true"], "run", 125),
        (["run", "--x\ry", "--", "true"], "run", 125),
        (["explain", "--x\ny"], "explain", 2),
        (["explain", "--x\u2028y"], "explain", 2),
        (["explain", b"--x\xff"], "explain", 2),
        (["explain", "--user=nobody", "--json=\x1b[2J"], "explain", 2),
        (["no\nsuch"], "", 2),
        ([b"no\xffsuch"], "", 2),
        (["--x\x1b[2Jy"], "", 2),
    ],
    ids=lambda value: ascii(value)[:40] if isinstance(value, list) else "",
)
def test_control_characters_don_t_reach_the_terminal(
    words: list[Word], command: str, status: int
) -> None:
    """What a word holds is shown, and is not done."""
    refusal(abdicate(*words), command, status)


@pytest.mark.parametrize("command", ["explain", "rehearse"])
@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--json"],
        ["--user"],
        ["--unknown"],
        ["--user", "nobody", "word"],
        ["--user", "nobody:nogroup", "--group", "nogroup"],
        ["--keep-env", "--reset-env", "--user", "nobody"],
    ],
    ids=spelt,
)
def test_wrong_usage_is_2(command: str, words: list[str]) -> None:
    """As everywhere; only `run`, whose statuses are its command's, says 125."""
    refusal(abdicate(command, *words), command, 2)


def test_an_unknown_command_is_2() -> None:
    """It is named, and where to read more."""
    assert "--help" in refusal(abdicate("no-such-command"), "", 2)


def test_nothing_that_was_refused_shows_a_traceback_under_minus_x_dev() -> None:
    """Nor a ResourceWarning, or whatever else Python's development mode finds."""
    command = [sys.executable, "-X", "dev", *ABDICATE[1:]]
    for words in (["explain", "--user="], ["run", *BECOME, "--", "/no/such"], ["show", "0"]):
        ran = subprocess.run([*command, *words], capture_output=True, timeout=60, check=False)
        assert ran.returncode in (125, 127)
        assert ran.stderr.count(b"\n") == 1, ran.stderr
