"""``abdicate export``: the same service for systemd, Kubernetes, OCI, Docker, Podman, setpriv."""

from __future__ import annotations

from abdicate.cli.console import complain, say
from abdicate.cli.options import Parser, add_command, add_drop_options
from abdicate.cli.profiles import asked
from abdicate.export import FORMATS, export
from abdicate.identity.accounts import SystemAccounts
from abdicate.identity.credentials import Credentials

__all__ = ["main", "parser"]

_EXIT_WARNINGS = 1


def parser() -> Parser:
    """Return what the command line of ``export`` may say."""
    words = Parser(
        "export",
        "Write a service for another starter. What it can't express is a warning on standard "
        "error, by the field's name.",
        "--format FORMAT [OPTION…] [[--] COMMAND [ARGUMENT…]]",
    )
    words.add_argument("--format", choices=FORMATS, required=True, help=", ".join(FORMATS))
    words.add_argument(
        "--strict", action="store_true", help="write nothing where there is a warning; status 1"
    )
    add_drop_options(words)
    add_command(words)
    return words


def main(words: list[str]) -> int:
    """Print the export. Return 1 for a warning under ``--strict``, else 0."""
    from abdicate.service import Service

    known = parser()
    options = known.parse_args(words)
    drop, service = asked(known, options)
    given = options.command[1:] if options.command[:1] == ["--"] else options.command
    if service is None:
        service = Service(name="service", drop=drop)
    if given:
        service = service.replace(command=tuple(given))
    made = export(service, options.format, SystemAccounts(), Credentials.current())
    for warning in made.warnings:
        complain("export", f"warning: {warning}")
    if options.strict and made.warnings:
        return _EXIT_WARNINGS
    say(made.text)
    return 0
