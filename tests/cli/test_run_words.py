"""Where our options end and the command begins."""

from __future__ import annotations

import pytest

from cli.program import BECOME, ROOT, abdicate, refusal, spelt, succeeded


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--", "echo", "--", "x"], b"-- x\n"),
        (["echo", "--", "x"], b"-- x\n"),
        (["echo", "--user", "x"], b"--user x\n"),
        (["echo", "--user=x", "--groups", "none"], b"--user=x --groups none\n"),
        (["--", "echo", "--user", "x"], b"--user x\n"),
        (["echo", "-h"], b"-h\n"),
        (["echo", "--unknown", "-x"], b"--unknown -x\n"),
        (["echo", "-5", ""], b"-5 \n"),
        (["--", "printf", "%s", "--help"], b"--help"),
    ],
    ids=spelt,
)
def test_the_words_after_the_command_are_its_own(words: list[str], expected: bytes) -> None:
    """The first word that is not ours ends our options; one "--" before it is taken away."""
    assert succeeded(abdicate("run", *BECOME, *words)) == expected


def test_only_the_first_double_dash_is_ours() -> None:
    """A second one is the name of a command, and there is none of that name."""
    refusal(abdicate("run", *BECOME, "--", "--", "echo"), "run", 127)


@pytest.mark.needs("root")
@pytest.mark.parametrize("words", [["--user=nobody"], ["--user", "nobody"], ["--user", "65534"]])
def test_a_value_may_follow_an_equals_sign(words: list[str]) -> None:
    """Both spellings of an option's value mean the same."""
    assert succeeded(abdicate("run", *words, "--", "id", "-u")) == b"65534\n"


@pytest.mark.parametrize(
    "words",
    [[], ["--"], [""], ["--", ""], ["--umask", "0022"]],
    ids=spelt,
)
def test_no_command_is_our_failure(words: list[str]) -> None:
    """125, and never a shell in its place: the statuses of `run` belong to the command."""
    assert "no command" in refusal(abdicate("run", *BECOME, *words), "run")


def test_nobody_named_is_our_failure() -> None:
    """P1: without a user, nothing runs as whoever we are."""
    assert "--user" in refusal(abdicate("run", "--", "echo", "ran"), "run")


@pytest.mark.parametrize(
    "words",
    [
        ["--us", "nobody"],
        ["--use=nobody"],
        ["--user"],
        ["--user", "--", "echo"],
        ["--unknown"],
        ["-u", "nobody"],
        ["--user", "nobody:nogroup", "--group", "nogroup"],
        ["--dumpable", "--no-dumpable"],
        ["--json"],
    ],
    ids=spelt,
)
def test_wrong_usage_is_125_here(words: list[str]) -> None:
    """2 would be taken for the command's own status; abbreviations are not guessed at."""
    refusal(abdicate("run", *words, "--", "echo", "ran"), "run")


@pytest.mark.skipif(not ROOT, reason="only root is asked twice")
@pytest.mark.parametrize(
    "words",
    [["--user", "root"], ["--user", "0"], ["--user", "0:0"], ["--user", "nobody:root"]],
    ids=spelt,
)
def test_root_is_given_only_where_it_is_asked_for_in_writing(words: list[str]) -> None:
    """P1, P7: zero is root, and never "nothing was named"."""
    assert "allow" in refusal(abdicate("run", *words, "--", "echo", "ran"), "run")


@pytest.mark.needs("root")
def test_root_that_is_meant_is_given() -> None:
    """`--allow-root` alone keeps the user, and still executes the command."""
    assert succeeded(abdicate("run", "--allow-root", "--", "id", "-u")) == b"0\n"
    words = ["--user", "nobody:root", "--allow-root-group", "--groups", "only"]
    assert succeeded(abdicate("run", *words, "--", "id", "-G")) == b"0\n"
