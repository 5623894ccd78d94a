"""The command line. One module a command; only the one that was asked for is loaded.

Exit status: 125 for our own failure, 126 for a command that can't be executed, 127 for one that
is not found, the command's own otherwise; 1 for "no" (a rehearsal that failed), 2 for wrong
usage (125 in ``run`` and ``daemon``, whose statuses belong to the command).
"""

from __future__ import annotations

import os
import signal
import sys

from abdicate.cli.console import Refusal, UsageError, complain, prepare, say
from abdicate.errors import AbdicateError, ConfigError, IncompleteDropError, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["EXIT_FAILURE", "EXIT_USAGE", "main"]

EXIT_FAILURE = 125
EXIT_USAGE = 2

_COMMANDS = {
    "run": "give up root, then execute a command",
    "explain": "show the plan: each step, and why it is there",
    "rehearse": "really carry the plan out, in a child, and report",
    "daemon": "start a command as a daemon, and tell whether it started",
    "show": "show what a process holds",
    "check": "judge a config file: errors and findings",
    "audit": "compare running processes with the profile that they should follow",
    "export": "write a profile for systemd, Kubernetes, OCI, Docker or setpriv",
    "schema": "print the JSON Schema of the config file",
}

_EXECUTING = ("run", "daemon")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and return its exit status.

    Args:
        arguments: the words after the program's name; None takes them from `sys.argv`.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    _die_of_signals_as_programs_do()
    prepare()
    if "_ARGCOMPLETE" in os.environ:
        from abdicate.cli.completion import complete

        complete(_COMMANDS)
    name = words[0] if words and words[0] in _COMMANDS else ""
    try:
        return _run(name, words[1:]) if name else _face(words)
    except UsageError as error:
        complain(name, str(error))
        # 2 would be taken for the command's own status.
        return EXIT_FAILURE if name in _EXECUTING else EXIT_USAGE
    except Refusal as refusal:
        complain(name, str(refusal))
        return refusal.status
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        complain(name, what or str(error))
        return EXIT_FAILURE
    except ConfigError as error:
        for problem in error.problems:
            complain(name, str(problem))
        return EXIT_FAILURE
    except (AbdicateError, IncompleteDropError) as error:
        complain(name, str(error))
        return EXIT_FAILURE


def _run(name: str, words: list[str]) -> int:
    from importlib import import_module

    command = import_module(f"abdicate.cli.{name}")
    status: int = command.main(words)
    return status


def _face(words: list[str]) -> int:
    """Answer what is not a command: help, version, or nothing that is known."""
    if not words:
        raise UsageError("no command is given: abdicate COMMAND [OPTION…]; see abdicate --help")
    if words[0] in ("-h", "--help"):
        say(_help())
    elif words[0] == "--version":
        from abdicate import __version__

        say(f"abdicate {__version__}")
    else:
        raise UsageError(f"there is no command {shown(words[0])}; see abdicate --help")
    return 0


def _die_of_signals_as_programs_do() -> None:
    # Python ignores SIGPIPE, which a command would inherit, and turns SIGINT into a traceback.
    # A SIGINT that the parent ignored (nohup, background jobs) stays ignored.
    for number in (getattr(signal, "SIGPIPE", None), getattr(signal, "SIGXFSZ", None)):
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _help() -> str:
    width = max(map(len, _COMMANDS))
    commands = "\n".join(f"  {name:{width}}  {what}" for name, what in _COMMANDS.items())
    return (
        "usage: abdicate COMMAND [OPTION…]\n\n"
        "Give up root, in the right order, and prove it.\n\n"
        f"commands:\n{commands}\n\n"
        "abdicate COMMAND --help tells more. abdicate --version tells the version."
    )
