# PYTHON_ARGCOMPLETE_OK
"""Completion in the shell, where argcomplete is installed (the extra ``cli``).

In bash: ``eval "$(register-python-argcomplete abdicate)"``.
"""

from __future__ import annotations

import argparse
from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["complete", "whole_parser"]


def whole_parser(commands: Mapping[str, str]) -> argparse.ArgumentParser:
    """Return one parser of every command and its options; a start builds only the one it needs.

    Args:
        commands: each command's name, and what it does.
    """
    whole = argparse.ArgumentParser(prog="abdicate")
    whole.add_argument("--version", action="store_true")
    each = whole.add_subparsers(dest="name")
    for name, what in commands.items():
        parser = import_module(f"abdicate.cli.{name}").parser()
        each.add_parser(name, help=what, parents=[parser], conflict_handler="resolve")
    return whole


def complete(commands: Mapping[str, str]) -> None:
    """Answer the shell and exit; without argcomplete, say nothing."""
    try:
        import argcomplete
    except ImportError:
        raise SystemExit(0) from None
    argcomplete.autocomplete(whole_parser(commands))
