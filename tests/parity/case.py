"""One row of the table: a function, what it is given, and how the two modules compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from parity.start import ANYBODY, Start

__all__ = ["PIDFILE", "Case", "Differs", "Module", "differs", "same"]

#: Where a `Pidfile` is made whose method is called.
PIDFILE = "app.pid"

# The point is to call whatever either module has under a name.
Module = Any

Given = Callable[[], object]
Doing = Callable[..., object]


@dataclass(frozen=True)
class Differs:
    """A listed deviation, with what either module does."""

    number: int
    celery: str
    ours: str


@dataclass(frozen=True)
class Case:
    """What is called, from where, and what is expected.

    Attributes:
        function: the name of the contract, dotted for a method.
        arguments, keywords: what it is given.
        start: who calls it.
        given: what whoever runs the tests prepares in the directory before.
        doing: what to do in place of one plain call: called with the module and the arguments.
        needs: what the machine must have, besides what the start needs.
        differs: the deviation, None where both modules must do the same.
    """

    function: str
    arguments: tuple[object, ...] = ()
    keywords: Mapping[str, object] = field(default_factory=dict)
    start: Start = ANYBODY
    given: Given | None = None
    doing: Doing | None = None
    needs: tuple[str, ...] = ()
    differs: Differs | None = None

    @property
    def all_needs(self) -> tuple[str, ...]:
        """What the machine must have."""
        return ("celery", "linux", *self.start.needs, *self.needs)

    def __str__(self) -> str:
        words = [_shown(value) for value in self.arguments]
        words += [f"{name}={_shown(value)}" for name, value in self.keywords.items()]
        text = f"{self.function}({', '.join(words)})"
        text += "" if self.doing is None else f", {_words(self.doing)}"
        text += "" if self.given is None else f", given {_words(self.given)}"
        return text + ("" if self.start is ANYBODY else f", as {self.start.name}")

    def call(self, module: Module) -> object:
        """Make the call on *module*."""
        if self.doing is not None:
            return self.doing(module, *self.arguments, **self.keywords)
        found = module
        for name in self.function.split("."):
            found = getattr(found(PIDFILE) if isinstance(found, type) else found, name)
        return found(*self.arguments, **self.keywords)


def _words(function: Callable[..., object]) -> str:
    return function.__name__.replace("_", " ").strip()


def _shown(value: object) -> str:
    text = getattr(value, "__name__", None) or ascii(value)
    if " object at 0x" in text and not isinstance(value, list):
        text = f"a {type(value).__name__}"
    return text if len(text) <= 40 else f"{text[:25]}… ({len(text)} long)"


def same(
    function: str,
    *arguments: object,
    start: Start = ANYBODY,
    given: Given | None = None,
    doing: Doing | None = None,
    needs: tuple[str, ...] = (),
    **keywords: object,
) -> Case:
    """Return the case in which both modules must do the same."""
    return Case(function, arguments, keywords, start, given, doing, needs)


def differs(
    number: int,
    function: str,
    *arguments: object,
    celery: str,
    ours: str,
    start: Start = ANYBODY,
    given: Given | None = None,
    doing: Doing | None = None,
    needs: tuple[str, ...] = (),
    **keywords: object,
) -> Case:
    """Return the case that shows the deviation *number*, and says what either module does."""
    relation = Differs(number, celery, ours)
    return Case(function, arguments, keywords, start, given, doing, needs, relation)
