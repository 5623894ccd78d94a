"""Values to JSON data and back, by their annotations."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from abdicate.errors import SpecError
from abdicate.identity.capabilities import CapabilitySet, Securebits
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


class Bits(Value):
    """A word of bits, of either kind."""

    capabilities: CapabilitySet
    securebits: Securebits


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


@pytest.mark.parametrize("name", ["a" * 1000, "?" * 1000])
def test_a_path_from_outside_is_cut(name: str) -> None:
    """To 200 characters: a key may be of any length."""
    with pytest.raises(SpecError) as caught:
        decode("it", {name: 1}, Holder)
    assert caught.value.field == f"it.{name if name.isidentifier() else '?'}"[:200]


@pytest.mark.parametrize("bit", ["0", "9", "10", "41", "63"])
def test_a_bit_without_a_name_is_written_by_its_number(bit: str) -> None:
    """Of a capability, or a securebit, that is younger than this library."""
    data = encode(Bits(CapabilitySet(1 << int(bit)), Securebits(1 << int(bit))))
    assert decode("it", data, Bits) == Bits(CapabilitySet(1 << int(bit)), Securebits(1 << int(bit)))
    by_number = {"capabilities": [f"CAP_{bit}"], "securebits": [f"bit {bit}"]}
    assert encode(decode("it", by_number, Bits)) == data


@pytest.mark.parametrize(
    "number", ["64", "65", "99", "100", "063", "07", "", "-1", "+1", "\u0663", "9" * 5000]
)
def test_what_is_no_number_of_a_bit_is_refused(number: str) -> None:
    """There are 64, each with one spelling."""
    for data in (
        {"capabilities": [f"CAP_{number}"], "securebits": []},
        {"capabilities": [], "securebits": [f"bit {number}"]},
    ):
        with pytest.raises(SpecError):
            decode("it", data, Bits)


def test_a_number_without_what_it_counts_is_refused() -> None:
    with pytest.raises(SpecError):
        decode("it", {"capabilities": [], "securebits": ["7"]}, Bits)
