"""YAML as a config file may use it: the part that every version reads alike.

YAML 1.1 and 1.2 disagree on what many plain words mean: 022 is 18 or 22, ``no`` is false or a
text, 1:30 is 90 or a text. Such a word is refused, and a quoted one is always a text. Anchors,
tags and several documents are refused too: ``extends`` is for sharing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from abdicate.errors import ConfigError, ConfigProblem, shown

if TYPE_CHECKING:
    from yaml.events import Event

__all__ = ["read_yaml"]

_PLAIN = {"true": True, "false": False, "null": None, "~": None, "": None}
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,17})\.[0-9]{1,17}")
# What YAML 1.1 (yaml.org/type) reads as something else than a text.
_TRAP = re.compile(
    r"[-+]?[0-9][0-9_,.:]*([eE][-+]?[0-9]+)?|[-+]?0[xob][0-9A-Fa-f_]+|[-+]?\.[0-9][0-9_]*"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*"
    r"|yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF|y|Y|n|N|True|TRUE|False|FALSE|Null|NULL|<<|="
)


def read_yaml(path: str, text: str, deepest: int) -> tuple[object, dict[tuple[str, ...], int]]:
    """Return the data, and the line of each key.

    Args:
        path: the file's name, for errors.
        text: what it says.
        deepest: how many tables and lists may stand in each other.

    Raises:
        ConfigError: it is malformed, uses what is refused, or PyYAML is not installed.
    """
    try:
        import yaml
    except ImportError:
        raise ConfigError(
            ConfigProblem(path, None, "", "reading YAML needs PyYAML: install abdicate[yaml]")
        ) from None
    reader = _Reader(path, deepest)
    try:
        # The libyaml parser nests on its own stack, but these events come from Python's.
        return reader.read(yaml.parse(text, Loader=yaml.SafeLoader)), reader.lines
    except yaml.MarkedYAMLError as error:
        line = None if error.problem_mark is None else error.problem_mark.line + 1
        raise ConfigError(ConfigProblem(path, line, "", f"YAML: {error.problem}")) from None
    except yaml.YAMLError as error:
        first = str(error).partition("\n")[0]
        raise ConfigError(ConfigProblem(path, None, "", f"YAML: {first}")) from None


class _Reader:
    """Builds data from the events of one document."""

    def __init__(self, path: str, deepest: int) -> None:
        self._path = path
        self._deepest = deepest
        self.lines: dict[tuple[str, ...], int] = {}

    def read(self, events: Iterator[Event]) -> object:
        data: object = None
        documents = 0
        for event in events:
            kind = type(event).__name__
            if kind == "DocumentStartEvent":
                documents += 1
                if documents > 1:
                    raise self._wrong(event, (), "a second document begins: one is read")
                data = self._node(next(events), events, ())
        return data

    def _node(self, event: Event, events: Iterator[Event], key: tuple[str, ...]) -> object:
        kind = type(event).__name__
        if kind == "AliasEvent" or getattr(event, "anchor", None) is not None:
            raise self._wrong(event, key, "anchors and aliases are not read: use extends")
        tag, implicit = getattr(event, "tag", None), getattr(event, "implicit", True)
        if tag is not None and (tag != "!" or implicit is False):
            raise self._wrong(event, key, f"the tag {shown(tag)} is not read: write plain values")
        if len(key) > self._deepest:
            raise self._wrong(event, key[:4], "it is nested too deeply")
        if kind == "ScalarEvent":
            return self._scalar(event, key)
        if kind == "SequenceStartEvent":
            return list(self._items(events, key))
        return self._mapping(events, key)

    def _items(self, events: Iterator[Event], key: tuple[str, ...]) -> Iterator[object]:
        for number, event in enumerate(events):
            if type(event).__name__ == "SequenceEndEvent":
                return
            yield self._node(event, events, (*key, str(number)))

    def _mapping(self, events: Iterator[Event], key: tuple[str, ...]) -> dict[str, object]:
        table: dict[str, object] = {}
        for event in events:
            if type(event).__name__ == "MappingEndEvent":
                break
            name = self._node(event, events, key)
            # A number is what somebody's name of digits looks like.
            if isinstance(name, bool) or not isinstance(name, str | int):
                raise self._wrong(event, key, "a key has to be a text")
            name = str(name)
            below = (*key, name)
            if name in table:
                raise self._wrong(event, below, "the key stands twice")
            self.lines[below] = _line(event)
            table[name] = self._node(next(events), events, below)
        return table

    def _scalar(self, event: Event, key: tuple[str, ...]) -> object:
        value: str = getattr(event, "value", "")
        if getattr(event, "style", None) is not None:
            return value
        if value in _PLAIN:
            return _PLAIN[value]
        if _NUMBER.fullmatch(value):
            return int(value)
        if _DECIMAL.fullmatch(value):
            return float(value)
        if _TRAP.fullmatch(value):
            rule = f"YAML's versions read {shown(value)} in different ways: put it in quotes"
            raise self._wrong(event, key, rule)
        return value

    def _wrong(self, event: Event, key: tuple[str, ...], rule: str) -> ConfigError:
        line = _line(event)
        return ConfigError(ConfigProblem(self._path, line, ".".join(key), rule))


def _line(event: Event) -> int:
    # Events from text always have a mark; the types allow for those that a program makes.
    return 1 if event.start_mark is None else event.start_mark.line + 1
