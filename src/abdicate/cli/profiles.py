"""Profiles on the command line: ``--config FILE`` and ``--profile NAME``."""

from __future__ import annotations

import os

from abdicate.cli.console import UsageError
from abdicate.cli.options import Parser, refuse_beside_a_profile, request

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from abdicate.request import DropRequest
    from abdicate.service import Service

__all__ = ["WithoutPlugIns", "asked", "service"]


def service(options: argparse.Namespace, *, any_owner: bool = False) -> Service | None:
    """Return the service that ``--config`` and ``--profile`` name, None where neither is given.

    Args:
        options: what the words said.
        any_owner: read a file that others may write to: to judge it, not to obey it.

    Raises:
        UsageError: one is given without the other.
        AbdicateError: the file, or the profile, is wrong.
    """
    if options.config is None and options.profile is None:
        return None
    if options.config is None or options.profile is None:
        raise UsageError("--config FILE and --profile NAME go together")
    with WithoutPlugIns():
        from abdicate.specs.config import load_config

        config = load_config(options.config, any_owner=any_owner)
        return config.profile(options.profile).service()


_PLUG_INS = "PYDANTIC_DISABLE_PLUGINS"


class WithoutPlugIns:
    """Keep pydantic from executing the plug-ins that the environment registers, for a block.

    It looks for them at its first model; and root executes nothing here that it did not name.
    The variable is put back, since a daemon's and a command's environment are its own.
    """

    def __init__(self) -> None:
        self._before = os.environ.get(_PLUG_INS)

    def __enter__(self) -> None:
        os.environ[_PLUG_INS] = "__all__"

    def __exit__(self, *_: object) -> None:
        if self._before is None:
            del os.environ[_PLUG_INS]
        else:
            os.environ[_PLUG_INS] = self._before


def asked(parser: Parser, options: argparse.Namespace) -> tuple[DropRequest, Service | None]:
    """Return whom to become, from a profile or from the options; and the profile's service.

    Args:
        parser: what the words were parsed by.
        options: what they said.

    Raises:
        UsageError: a profile is named, and an option says the same.
        AbdicateError: a value, the file or the profile is wrong.
    """
    found = service(options)
    if found is None:
        return request(options), None
    refuse_beside_a_profile(parser, options)
    return found.drop, found
