"""Help, version, and what they must mention."""

from __future__ import annotations

import pytest

import abdicate as package
from cli.program import abdicate, succeeded

_DROP = (
    *("--user", "--group", "--groups", "--home", "--allow-root", "--allow-root-group"),
    *("--no-new-privs", "--keep-capabilities", "--ambient", "--bounding", "--lock-securebits"),
    *("--new-session-keyring", "--dumpable", "--no-dumpable", "--parent-death-signal"),
    *("--chroot", "--chdir", "--umask", "--limit", "--nice", "--keep-env", "--reset-env"),
)

_OPTIONS = {
    "run": _DROP,
    "explain": [*_DROP, "--json"],
    "rehearse": [*_DROP, "--json"],
    "show": ["--json", "PID"],
    "check": ["FILE", "--ignore", "--json", "--sarif"],
    "audit": ["PID", "--all", "--config", "--profile", "--json", "--prometheus", "--output"],
    "export": [*_DROP, "--config", "--profile", "--format", "--strict"],
    "schema": ["--help"],
    "daemon": [*_DROP, "--pidfile", "--logfile", "--foreground", "--stop", "--status", "--timeout"],
}


@pytest.mark.parametrize("command", _OPTIONS)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_a_commands_help_mentions_every_option(command: str, flag: str) -> None:
    """On stdout, with status 0, beginning with how the command is written."""
    text = succeeded(abdicate(command, flag)).decode()
    assert text.startswith(f"usage: abdicate {command} ")
    words = text.replace(",", " ").split()
    assert [option for option in _OPTIONS[command] if option not in words] == []


@pytest.mark.parametrize("command", _OPTIONS)
def test_help_is_asked_for_wherever_it_stands(command: str) -> None:
    """Behind a half-written line as well, without a look-up of what it names."""
    takes_options = "--user" in _OPTIONS[command]
    words = ["--user", "no:body:x"] if takes_options else ["not-a-pid"]
    assert succeeded(abdicate(command, *words, "--help"))


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_lists_every_command(flag: str) -> None:
    """The first thing that one types."""
    text = succeeded(abdicate(flag)).decode()
    assert text.startswith("usage: abdicate ")
    assert all(f"  {command} " in text for command in _OPTIONS)


def test_the_version_is_the_packages() -> None:
    """One line, that scripts may read."""
    assert succeeded(abdicate("--version")).decode() == f"abdicate {package.__version__}\n"


def test_no_arguments_is_wrong_usage() -> None:
    """2, and what there is to type is on stderr: stdout is for answers."""
    ran = abdicate()
    assert (ran.returncode, ran.stdout) == (2, b"")
    assert b"abdicate COMMAND" in ran.stderr
