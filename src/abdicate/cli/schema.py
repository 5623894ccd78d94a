"""``abdicate schema``: the JSON Schema of the config file, for editors."""

from __future__ import annotations

import json

from abdicate.cli.console import say
from abdicate.cli.options import Parser
from abdicate.cli.profiles import WithoutPlugIns

__all__ = ["main", "parser"]


def parser() -> Parser:
    """Return what the command line of ``schema`` may say."""
    return Parser("schema", "Print the JSON Schema of the config file.", "")


def main(words: list[str]) -> int:
    """Print the schema. Return 0."""
    parser().parse_args(words)
    with WithoutPlugIns():
        from abdicate.specs.schema import config_schema

        schema = config_schema()

    say(json.dumps(schema, indent=2, ensure_ascii=False))
    return 0
