"""Values to JSON data and back, by their annotations."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from abdicate.errors import SpecError
from abdicate.identity.credentials import Credentials
from abdicate.identity.resolve import Identity
from abdicate.plan.codec import decode, encode, reader
from abdicate.plan.policy import DropPolicy
from abdicate.plan.steps import SetUmask
from abdicate.values import Value
from unit.making import APP, NAMELESS, identities, linux_credentials, policies


class Pair(Value):
    """What no plan has: two kinds of tuple, and a field that may be None."""

    ends: tuple[int, str]
    many: tuple[tuple[str, bool], ...]
    note: str | None = None


class Holder(Value):
    """A value that holds one."""

    pairs: tuple[Pair, ...]


reader(Pair)


@given(credentials=linux_credentials(), identity=identities(), policy=policies())
def test_values_survive(credentials: Credentials, identity: Identity, policy: DropPolicy) -> None:
    """Through text."""
    for value in (credentials, identity, policy):
        data = json.loads(json.dumps(encode(value)))
        assert decode("it", data, type(value)) == value


def test_a_new_kind_of_value_may_be_read() -> None:
    """Once it is made known."""
    value = Holder((Pair((1, "a"), (("b", True),)), Pair((0, ""), (), "note")))
    assert decode("it", json.loads(json.dumps(encode(value))), Holder) == value


def test_a_step_is_written_with_its_kind() -> None:
    """A plain value is not."""
    assert encode(SetUmask(0)) == {"kind": "umask", "mask": 0}
    assert "kind" not in encode(APP)


def test_what_json_holds_is_plain() -> None:
    """No id or name of ours is left in it."""
    data = encode(APP)
    assert [type(value) for value in data.values()] == [str, int, int, list, str, str]
    assert encode(NAMELESS)["user"] is None


def test_what_has_no_json_form_is_refused() -> None:
    """A mistake in the program, and not in somebody's file."""

    class Odd(Value):
        number: float

    with pytest.raises(TypeError, match="no JSON form for"):
        encode(Odd(1.5))


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"pairs": [{"ends": [1], "many": [], "note": None}]}, "it.pairs[0].ends"),
        ({"pairs": [{"ends": [1, 2], "many": [], "note": None}]}, "it.pairs[0].ends[1]"),
        ({"pairs": [{"ends": [True, "a"], "many": [], "note": None}]}, "it.pairs[0].ends[0]"),
        (
            {"pairs": [{"ends": [1, "a"], "many": [["b", 1]], "note": None}]},
            "it.pairs[0].many[0][1]",
        ),
        ({"pairs": [{"ends": [1, "a"], "many": {}, "note": None}]}, "it.pairs[0].many"),
        ({"pairs": [{"ends": [1, "a"], "many": [], "note": 5}]}, "it.pairs[0].note"),
        ({"pairs": [{"ends": [1, "a"], "many": []}]}, "it.pairs[0].note"),
        ({"pairs": [None]}, "it.pairs[0]"),
        ({"pairs": None}, "it.pairs"),
        ({"pairs": "ab"}, "it.pairs"),
        ({}, "it.pairs"),
        ([], "it"),
        (None, "it"),
    ],
)
def test_an_error_names_the_path(data: object, field: str) -> None:
    """From the outermost value to the one that is wrong."""
    with pytest.raises(SpecError) as caught:
        decode("it", data, Holder)
    assert caught.value.field == field
