"""`json_text`: what the module ``json`` would write, without it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from abdicate.plan.text import json_text

_DATA = some.recursive(
    some.none() | some.booleans() | some.integers() | some.text(some.characters()),
    lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner),
)


@given(_DATA)
def test_it_writes_what_json_writes(data: object) -> None:
    """To the letter, indented by two; every escape, surrogates and astral characters too."""
    assert json_text(data) == json.dumps(data, indent=2)


@pytest.mark.parametrize(
    "char", [*map(chr, range(256)), "\ud800", chr(0xDCFF), "\uffff", "\U00010000", "\U0010ffff"]
)
def test_every_awkward_character_is_written_as_json_does(char: str) -> None:
    """Controls, quotes, what is above ASCII, and the bytes of a name that is not UTF-8."""
    assert json_text(f"a{char}b") == json.dumps(f"a{char}b")


@pytest.mark.parametrize("data", [1.0, b"a", {1, 2}, (1, 2), object(), [1, [2.5]], {"a": b""}])
def test_what_a_report_never_holds_is_refused(data: object) -> None:
    """A float has no one spelling, and bytes have none."""
    with pytest.raises(TypeError, match="JSON has no"):
        json_text(data)
