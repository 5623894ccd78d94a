"""A config file as plain data, with the line of each key: TOML, JSON or YAML, by its suffix.

What can be told of a file before it means anything is told here: that it is one, and not too
large; that it is text; that no key stands twice. Nothing here knows what a profile is.
"""

from __future__ import annotations

import json
import os
import re
import stat
import sys
import tomllib
from collections.abc import Mapping

from abdicate.errors import ConfigError, ConfigProblem
from abdicate.values import is_table

__all__ = ["SUFFIXES", "ConfigText", "Lines", "read_config_file", "read_config_text"]

#: The suffixes that tell the format.
SUFFIXES = (".toml", ".json", ".yaml", ".yml")

_MOST = 16 * 2**20  # bytes; 10,000 profiles are about 2 MB
_DEEPEST = 64  # a profile's keys stand 5 deep

#: The line of each key, by its path.
Lines = Mapping[tuple[str, ...], int]
ConfigText = tuple[dict[str, object], Lines]

_ANOTHERS = "root does not take orders from it: chown it to root, and chmod go-w"


def _wrong(path: str, rule: str, *, line: int | None = None, key: str = "") -> ConfigError:
    return ConfigError(ConfigProblem(path, line, key, rule))


def read_config_file(path: str, *, any_owner: bool = False) -> ConfigText:
    """Return the data of a config file, and the lines of its keys.

    Args:
        path: the file; its suffix is its format.
        any_owner: read it as root though others may write to it: to judge it, not to obey it.

    Raises:
        ConfigError: it is no regular file, too large, not text, malformed, or, for root,
            another user's.
        OSError: it can't be opened or read.
    """
    if os.path.splitext(path)[1].lower() not in SUFFIXES:
        raise _wrong(path, f"the name has to end in one of {', '.join(SUFFIXES)}")
    # O_NONBLOCK: a FIFO without a writer would block here for ever.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    with open(path, "rb", opener=lambda name, _: os.open(name, flags)) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise _wrong(path, "it is not a regular file")
        if status.st_size > _MOST:
            raise _wrong(path, f"it has {status.st_size} bytes; at most {_MOST} are read")
        if not any_owner and sys.platform != "win32" and os.geteuid() == 0:
            _see_that_it_is_roots(path, status)
        content = file.read(_MOST + 1)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _wrong(path, "it is not UTF-8 text", line=line) from None
    return read_config_text(path, text)


def _see_that_it_is_roots(path: str, status: os.stat_result) -> None:
    if status.st_uid != 0:
        raise _wrong(path, f"it belongs to uid {status.st_uid}; {_ANOTHERS}")
    by_group = status.st_mode & stat.S_IWGRP and status.st_gid != 0
    if by_group or status.st_mode & stat.S_IWOTH:
        raise _wrong(path, f"others may write to it ({status.st_mode & 0o777:04o}); {_ANOTHERS}")


def read_config_text(path: str, text: str) -> ConfigText:
    """Return what *text* says, in the format of *path*'s suffix.

    Raises:
        ConfigError: it is malformed.
    """
    suffix = os.path.splitext(path)[1].lower()
    if text.startswith("\ufeff") or "\0" in text:
        raise _wrong(path, "it begins with a byte order mark, or holds a NUL: write plain UTF-8")
    try:
        if suffix == ".toml":
            return tomllib.loads(text), _toml_lines(text)
        if suffix == ".json":
            return _table(path, _json(path, text)), _json_lines(text)
        from abdicate.specs.yaml import read_yaml

        data, lines = read_yaml(path, text, _DEEPEST)
        return _table(path, data), lines
    except RecursionError:
        raise _wrong(path, "it is nested too deeply") from None
    except tomllib.TOMLDecodeError as error:
        raise _placed(path, str(error)) from None
    except json.JSONDecodeError as error:
        raise _wrong(path, f"JSON: {error.msg} (column {error.colno})", line=error.lineno) from None
    except ConfigError:
        raise
    except ValueError as error:
        # A number of thousands of digits: Python refuses to read it.
        raise _wrong(path, f"a value can't be read: {error}") from None


def _table(path: str, data: object) -> dict[str, object]:
    if not is_table(data):
        raise _wrong(path, "a table is wanted at the top, with the key profiles")
    return data


def _placed(path: str, said: str) -> ConfigError:
    place = re.search(r" \(at line (\d+), column (\d+)\)$", said)
    if place is None:
        return _wrong(path, f"TOML: {said}")
    message = f"TOML: {said[: place.start()]} (column {place[2]})"
    return _wrong(path, message, line=int(place[1]))


def _json(path: str, text: str) -> object:
    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        table: dict[str, object] = {}
        for key, value in pairs:
            if key in table:
                raise _wrong(path, "the key stands twice", key=key)
            table[key] = value
        return table

    def no_constant(name: str) -> object:
        raise _wrong(path, f"{name} is no number of JSON")

    found: object = json.loads(text, object_pairs_hook=once, parse_constant=no_constant)
    return found


_JSON_TOKEN = re.compile(r"(\"(?:\\.|[^\"\\])*\")(\s*:)?|[{}\[\]]")


def _json_lines(text: str) -> dict[tuple[str, ...], int]:
    """Return the line of each key, in a text that has been read as JSON already."""
    lines: dict[tuple[str, ...], int] = {}
    path: list[str] = []
    line, seen = 1, 0
    for token in _JSON_TOKEN.finditer(text):
        line += text.count("\n", seen, token.start())
        seen = token.start()
        if token[0] in "{[":
            path.append("")
        elif token[0] in "}]":
            path.pop()
        elif token[2] and path:
            path[-1] = json.loads(token[1])
            # What stands in a list has no key of its own.
            if "" not in path:
                lines.setdefault(tuple(path), line)
    return lines


_HEADER = re.compile(r"\s*\[([^\[\]]+)\]\s*(#.*)?$")
_KEY = re.compile(
    r"\s*((?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[\w-]+|\"[^\"]*\"))*)\s*="
)
_PART = re.compile(r"\"([^\"]*)\"|'([^']*)'|([A-Za-z0-9_-]+)")


def _toml_lines(text: str) -> dict[tuple[str, ...], int]:
    """Return the line of each header and key that stands at the beginning of a line."""
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    fence = ""
    for number, line in enumerate(text.splitlines(), 1):
        if fence:
            fence = "" if fence in line else fence
            continue
        if header := _HEADER.match(line):
            table = _parts(header[1])
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            lines.setdefault(table + _parts(key[1]), number)
        for mark in ('"""', "'''"):
            if line.count(mark) % 2:
                fence = mark
    return lines


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple("".join(found) for found in _PART.findall(dotted))
