"""The options that say whom to become and how, shared by ``run``, ``explain`` and ``rehearse``."""

from __future__ import annotations

import argparse
import os

from abdicate.cli.console import UsageError, say
from abdicate.errors import SpecError, shown
from abdicate.identity.capabilities import CapabilitySet
from abdicate.identity.ids import Owner, parse_group, parse_owner
from abdicate.identity.resolve import (
    AddGroups,
    ExactGroups,
    GroupPolicy,
    InitGroups,
    KeepGroups,
    OnlyGroup,
)
from abdicate.identity.situation import ResourceLimit
from abdicate.plan.grammar import parse_limit, parse_mode, parse_signal
from abdicate.plan.policy import DropPolicy
from abdicate.request import DropRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from abdicate.service import Service

__all__ = [
    "Parser",
    "add_command",
    "add_drop_options",
    "add_profile_options",
    "command_of",
    "refuse_beside_a_profile",
    "refuse_what_an_exec_undoes",
    "request",
]

_LONGEST_MESSAGE = 300


class Parser(argparse.ArgumentParser):
    """An argument parser that raises `UsageError`, knows no abbreviations, and adds no colours."""

    def __init__(self, command: str, description: str, usage: str) -> None:
        super().__init__(
            prog=f"abdicate {command}",
            description=description,
            usage=f"abdicate {command} {usage}",
            # --group must never be read as the beginning of --groups.
            allow_abbrev=False,
            formatter_class=_formatter,
        )

    def error(self, message: str) -> NoReturn:
        """Raise `UsageError` with *message*, and where to read more."""
        # It repeats the words, which may be of any length.
        brief = message if len(message) <= _LONGEST_MESSAGE else message[:_LONGEST_MESSAGE] + "…"
        raise UsageError(f"{brief}; see {self.prog} --help")

    def print_help(self, file: object = None) -> None:
        """Print the help to standard output.

        Raises:
            OSError: it is closed, or full.
        """
        say(self.format_help())


def _formatter(prog: str) -> argparse.HelpFormatter:
    # Left to itself it loads shutil, and with it every compression library, to ask the width of
    # a terminal; and argparse makes one for each option that is added.
    columns = os.environ.get("COLUMNS", "")
    plain = columns.isascii() and columns.isdigit()
    width = max(int(columns[:4]) - 2, 40) if plain else 98
    return argparse.HelpFormatter(prog, width=width)


def add_profile_options(parser: argparse.ArgumentParser, title: str) -> None:
    """Let the command line name one profile of a config file, under *title* in the help."""
    group = parser.add_argument_group(title)
    group.add_argument("--config", metavar="FILE", help="profiles: TOML, JSON or YAML")
    group.add_argument("--profile", metavar="NAME", help="which of them")


def add_drop_options(parser: Parser) -> None:
    """Add every option from which `request` makes a `DropRequest`."""
    add_profile_options(parser, "from a file, instead of the options below")

    who = parser.add_argument_group("who")
    who.add_argument(
        "--user",
        metavar="USER[:GROUP]",
        help="the user, by name or uid; USER: is with the login group, :GROUP leaves the user",
    )
    who.add_argument("--group", metavar="GROUP", help="the group, by name or gid")
    who.add_argument(
        "--groups",
        metavar="POLICY",
        help="supplementary groups: init (of the database), only (the group), keep, "
        "exactly:G,G… or add:G,G…; by default init for a user with an entry, else only",
    )
    who.add_argument("--home", metavar="DIR", help="a home directory in place of the account's")
    who.add_argument("--allow-root", action="store_true", help="uid 0 is meant")
    who.add_argument("--allow-root-group", action="store_true", help="gid 0 is meant")

    how = parser.add_argument_group("privileges")
    how.add_argument("--no-new-privs", action="store_true", help="no exec gives privileges again")
    how.add_argument(
        "--keep-capabilities", metavar="CAP,CAP…", help="capabilities to keep ('' for none)"
    )
    how.add_argument("--ambient", action="store_true", help="what is kept survives the exec")
    how.add_argument("--bounding", metavar="CAP,CAP…", help="bounding set to keep ('' for none)")
    how.add_argument(
        "--lock-securebits", action="store_true", help="uid 0 gives nothing in here any more"
    )
    how.add_argument(
        "--new-session-keyring", action="store_true", help="join a new session keyring"
    )
    dumpable = how.add_mutually_exclusive_group()
    dumpable.add_argument("--dumpable", action="store_const", const=True, help="allow core dumps")
    dumpable.add_argument(
        "--no-dumpable", action="store_const", const=False, dest="dumpable", help="forbid them"
    )
    how.add_argument(
        "--parent-death-signal", metavar="SIGNAL", help="sent when the parent dies; 0 for none"
    )

    around = parser.add_argument_group("surroundings")
    around.add_argument("--chroot", metavar="DIR", help="the new root directory")
    around.add_argument("--chdir", metavar="DIR", help="where to go, seen from the new root")
    around.add_argument("--umask", metavar="0NNN", help="octal, with a leading 0")
    around.add_argument(
        "--limit",
        metavar="NAME=SOFT[:HARD]",
        action="append",
        default=[],
        help="a resource limit, as nofile=1024:4096 or core=0; may be repeated",
    )
    around.add_argument("--nice", metavar="N", help="the nice value, from -20 to 19")
    environment = around.add_mutually_exclusive_group()
    environment.add_argument(
        "--keep-env",
        action="store_const",
        const="keep",
        dest="environment",
        default="account",
        help="leave HOME, USER, LOGNAME and SHELL as they are",
    )
    environment.add_argument(
        "--reset-env",
        action="store_const",
        const="reset",
        dest="environment",
        help="and clear everything else, except TERM",
    )


# What says which profile, what to do with it, and how to tell; never what it should be.
_BESIDE_A_PROFILE = frozenset(
    ["config", "profile", "command", "json", "format", "strict", "stop", "status", "timeout"]
)

_SPELT = {
    "dumpable": "--dumpable or --no-dumpable",
    "environment": "--keep-env or --reset-env",
}


def refuse_beside_a_profile(parser: Parser, options: argparse.Namespace) -> None:
    """Refuse an option that would say what the profile says: every option that is not known.

    Args:
        parser: what the words were parsed by.
        options: what they said.

    Raises:
        UsageError: one is given, with its name.
    """
    for name, value in vars(options).items():
        if name not in _BESIDE_A_PROFILE and value != parser.get_default(name):
            option = _SPELT.get(name, "--" + name.replace("_", "-"))
            raise UsageError(f"{option} is given, and a profile: write it into the profile")


def add_command(parser: Parser) -> None:
    """Add the command and its arguments: everything from the first word that is no option."""
    parser.add_argument("command", nargs=argparse.REMAINDER, help="what to execute")


def command_of(name: str, options: argparse.Namespace, service: Service | None = None) -> list[str]:
    """Return the command and its arguments, without the ``--`` in front of it.

    Args:
        name: which of our commands asks.
        options: what its command line said.
        service: whose command it is where the command line has none.

    Raises:
        UsageError: if there is none.
    """
    words: list[str] = options.command
    command = words[1:] if words[:1] == ["--"] else words
    if not words and service is not None and service.command:
        return list(service.command)
    if not command or not command[0]:
        raise UsageError(f"there is no command to execute; see abdicate {name} --help")
    if words[0] != "--" and words[0].startswith("-"):
        # Taken for a command by argparse, since it looks like a negative number.
        raise UsageError(f"there is no option {shown(words[0])}; see abdicate {name} --help")
    return command


def refuse_what_an_exec_undoes(policy: DropPolicy) -> None:
    """Refuse what the plan would keep, and execve(2) would not.

    Raises:
        UsageError: capabilities are kept and not ambient, or core dumps are forbidden.
    """
    if policy.capabilities and not policy.ambient:
        raise UsageError(
            "--keep-capabilities ends at the exec, capabilities(7): add --ambient, or leave it"
        )
    if policy.dumpable is False:
        raise UsageError(
            "--no-dumpable ends at the exec, which makes the process dumpable again, prctl(2); "
            "use --limit core=0"
        )


def request(options: argparse.Namespace) -> DropRequest:
    """Return what the options of `add_drop_options` ask for.

    Raises:
        SpecError: if a value does not follow its grammar.
        UsageError: if two options contradict each other.
    """
    if options.user is options.group is options.groups is None and not options.allow_root:
        raise UsageError("nobody is named to become: give --user, or --group")
    return DropRequest(
        owner=_owner(options),
        groups=_groups(options.groups),
        home=options.home,
        policy=DropPolicy(
            umask=None if options.umask is None else parse_mode(options.umask, field="--umask"),
            no_new_privs=options.no_new_privs,
            capabilities=_capabilities("--keep-capabilities", options.keep_capabilities),
            ambient=options.ambient,
            bounding=_capabilities("--bounding", options.bounding),
            lock_securebits=options.lock_securebits,
            limits=tuple(_limit(text) for text in options.limit),
            nice=_number("--nice", options.nice),
            chroot=options.chroot,
            working_directory=options.chdir,
            environment=options.environment,
            dumpable=options.dumpable,
            parent_death_signal=_signal(options.parent_death_signal),
            session_keyring=options.new_session_keyring,
            allow_root=options.allow_root,
            allow_root_group=options.allow_root_group,
        ),
    )


def _owner(options: argparse.Namespace) -> Owner:
    owner = Owner() if options.user is None else parse_owner(options.user, field="--user")
    if options.group is None:
        return owner
    if owner.group is not None:
        raise UsageError("the group is named twice: by --user USER:GROUP and by --group")
    return owner.replace(group=parse_group(options.group, field="--group"))


def _groups(text: str | None) -> GroupPolicy | None:
    if text is None:
        return None
    kind, colon, names = text.partition(":")
    plain: dict[str, GroupPolicy] = {
        "init": InitGroups(),
        "only": OnlyGroup(),
        "keep": KeepGroups(),
    }
    if not colon and kind in plain:
        return plain[kind]
    if colon and kind in ("exactly", "add"):
        groups = tuple(parse_group(name, field="--groups") for name in _words(names))
        return ExactGroups(groups) if kind == "exactly" else AddGroups(groups)
    raise SpecError("--groups", text, "init, only, keep, exactly:G,G… or add:G,G… is wanted")


def _words(text: str) -> list[str]:
    return text.split(",") if text else []


def _capabilities(option: str, text: str | None) -> CapabilitySet | None:
    return None if text is None else CapabilitySet.parse(_words(text), field=option)


def _number(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    digits = text.removeprefix("-")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 9:
        raise SpecError(option, text, "a whole number is wanted")
    return int(text)


def _limit(text: str) -> ResourceLimit:
    name, equals, value = text.partition("=")
    if not equals:
        raise SpecError("--limit", text, "NAME=SOFT or NAME=SOFT:HARD is wanted, as nofile=1024")
    return parse_limit(name, value, field="--limit")


def _signal(text: str | None) -> int | None:
    return None if text is None else parse_signal(text, field="--parent-death-signal")
