"""Profiles on the command line: ``--config FILE`` and ``--profile NAME``."""

from __future__ import annotations

from abdicate.cli.console import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from abdicate.identity.accounts import AccountDatabase
    from abdicate.service import Service

__all__ = ["add_profile_options", "service"]


def add_profile_options(parser: argparse.ArgumentParser) -> None:
    """Let the command line name one profile of a config file."""
    group = parser.add_argument_group("profile")
    group.add_argument("--config", metavar="FILE", help="TOML, JSON or YAML")
    group.add_argument("--profile", metavar="NAME", help="which of its profiles")


def service(options: argparse.Namespace, accounts: AccountDatabase | None = None) -> Service | None:
    """Return the service that ``--config`` and ``--profile`` name, None where neither is given.

    Raises:
        UsageError: one is given without the other.
        AbdicateError: the file, or the profile, is wrong.
    """
    if options.config is None and options.profile is None:
        return None
    if options.config is None or options.profile is None:
        raise UsageError("--config FILE and --profile NAME go together")
    from abdicate.specs.config import load_config

    return load_config(options.config).profiles[options.profile].service(accounts)
