"""Named numbers: what `abdicate.numbers` has in place of ``enum`` does what ``enum`` does."""

from __future__ import annotations

import copy
import enum
import itertools
import pickle

import pytest
from pydantic import BaseModel, ValidationError

from abdicate.identity.capabilities import Capability, Securebits

# The same members, as the standard library makes them: the oracle.
_CAPABILITIES = enum.IntEnum(  # type: ignore[misc]  # made at run time, from ours
    "_CAPABILITIES", [(each.name, int(each)) for each in Capability]
)
_SECUREBITS = enum.IntFlag(  # type: ignore[misc]  # made at run time, from ours
    "_SECUREBITS", [(name, int(bit)) for name, bit in Securebits.__members__.items()]
)


def test_members_have_the_names_and_numbers_of_an_enumeration() -> None:
    """In the order of the class body."""
    assert [(each.name, each.value) for each in Capability] == [
        (each.name, each.value) for each in _CAPABILITIES
    ]
    assert list(Capability.__members__) == list(_CAPABILITIES.__members__)
    assert len(Capability) == len(_CAPABILITIES)


@pytest.mark.parametrize("capability", Capability)
def test_a_member_is_one_object(capability: Capability) -> None:
    """However it is come by: number, name, attribute, copy or pickle."""
    name = capability.name
    assert Capability(int(capability)) is Capability[name] is getattr(Capability, name)
    assert copy.deepcopy(capability) is pickle.loads(pickle.dumps(capability)) is capability
    assert isinstance(capability, int)
    assert isinstance(capability, Capability)
    assert repr(capability) == f"<Capability.{name}: {int(capability)}>"
    assert capability == int(capability)
    assert hash(capability) == hash(int(capability))


@pytest.mark.parametrize("number", [-1, 41, 64, 2**70])
def test_another_number_is_no_capability(number: int) -> None:
    """`ValueError`, as from an enumeration."""
    with pytest.raises(ValueError, match="is not a valid Capability"):
        Capability(number)


def test_another_name_is_no_capability() -> None:
    """`KeyError`, as from an enumeration; the name is the one in the class."""
    for name in ("CAP_KILL", "kill", "name"):
        with pytest.raises(KeyError):
            Capability[name]


def test_members_stay_what_they_are() -> None:
    """Nothing is given another number, and nothing is added."""
    for name in ("KILL", "MINE"):
        with pytest.raises(AttributeError):
            setattr(Capability, name, 3)


@pytest.mark.parametrize(
    ("left", "right"), [*itertools.product([0, 1, 2, 3, 0x10, 0xFF], [0, 1, 6, 0xF0, 0xFF])]
)
def test_bits_combine_as_in_an_enumeration(left: int, right: int) -> None:
    """Or, and, exclusive or, in, all of them named ones; the class stays."""
    ours, theirs = (Securebits(left), Securebits(right)), (_SECUREBITS(left), _SECUREBITS(right))
    for mine, other in (
        (ours[0] | ours[1], theirs[0] | theirs[1]),
        (ours[0] & ours[1], theirs[0] & theirs[1]),
        (ours[0] ^ ours[1], theirs[0] ^ theirs[1]),
        (left | ours[1], left | theirs[1]),
        (~ours[0], ~theirs[0]),
    ):
        assert isinstance(mine, Securebits)
        assert mine == int(other)
        assert mine.name == other.name
        assert [bit.name for bit in mine] == [bit.name for bit in other]
        assert len(mine) == len(other)
    assert (ours[0] in ours[1]) == (theirs[0] in theirs[1])
    assert bool(ours[0]) == bool(theirs[0])


@pytest.mark.parametrize("word", [0x100, 0xF00, 0xFFF, 1 << 31])
def test_bits_without_a_name_are_kept(word: int) -> None:
    """A newer kernel has more: PR_SET_SECUREBITS replaces the whole word."""
    bits = Securebits(word)
    assert int(bits) == word
    assert int(bits | Securebits.NOROOT) == word | 1
    assert pickle.loads(pickle.dumps(bits)) == bits
    assert type(copy.deepcopy(bits)) is Securebits


class _Settings(BaseModel):
    """An app's own model."""

    capability: Capability
    securebits: Securebits = Securebits.NOROOT


@pytest.mark.parametrize("given", [5, Capability.KILL])
def test_a_field_of_an_apps_model_is_a_member(given: Capability) -> None:
    """By number and by member, and the same after JSON, as with an enumeration."""
    made = _Settings(capability=given)
    assert made.capability is Capability.KILL
    assert made.model_dump_json() == '{"capability":5,"securebits":1}'
    again = _Settings.model_validate_json(made.model_dump_json())
    assert again == made
    assert type(again.securebits) is Securebits


@pytest.mark.parametrize("given", [-1, 64, "kill", "", None, 1.5, [5]])
def test_a_field_of_an_apps_model_is_no_other_number(given: object) -> None:
    """What is no member is an error that names the field."""
    with pytest.raises(ValidationError, match="capability"):
        _Settings.model_validate({"capability": given})


def test_a_field_of_an_apps_model_has_a_schema() -> None:
    """It is a whole number to whoever asks."""
    assert _Settings.model_json_schema()["properties"]["capability"]["type"] == "integer"
