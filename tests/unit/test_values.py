"""`Value`: frozen, compared by its fields, declared like a dataclass."""

from __future__ import annotations

import copy
import pickle
from typing import ClassVar

import pytest

from abdicate.values import Value


class Point(Value):
    """Two fields, one with a default."""

    unit: ClassVar[str] = "m"

    x: int
    y: int = 0


class Place(Point):
    """A further field, and another default for an inherited one."""

    y: int = 7
    name: str = "here"


class Even(Value):
    """A value that checks itself."""

    number: int

    def __post_init__(self) -> None:
        if self.number % 2:
            raise ValueError("odd")


class Twin(Value):
    """The fields of `Point`, and another type."""

    x: int
    y: int = 0


class Empty(Value):
    """No fields at all."""


def test_fields_are_taken_by_place_and_by_name() -> None:
    """In the order of the class body."""
    assert Point(1, 2) == Point(1, y=2) == Point(x=1, y=2)
    assert (Point(1, 2).x, Point(1, 2).y) == (1, 2)


def test_a_default_stands_where_nothing_is_given() -> None:
    """And zero or None is something."""
    assert Point(1).y == 0
    assert Place(1, 0).y == 0


def test_values_of_one_type_and_the_same_fields_are_equal() -> None:
    """And unequal in any field makes them unequal."""
    assert Point(1, 2) == Point(1, 2)
    assert Point(1, 2) != Point(1, 3)
    assert Point(1, 2) != Point(2, 2)


def test_values_of_different_types_are_not_equal() -> None:
    """Neither another class with the same fields, nor a subclass, nor a tuple."""
    assert Point(1, 2) != Twin(1, 2)
    assert Point(1, 7) != Place(1)
    assert Point(1, 2) != (1, 2)
    assert (Point(1, 2) == "Point") is False


def test_equal_values_have_one_hash() -> None:
    """So a set holds each once, and another type with the same fields besides."""
    assert hash(Point(1, 2)) == hash(Point(1, 2))
    assert len({Point(1, 2), Point(1, 2), Point(2, 1), Twin(1, 2)}) == 3


def test_the_repr_can_be_evaluated() -> None:
    """It names the type and every field."""
    value = Place(1, 2, "a b")
    assert repr(value) == "Place(x=1, y=2, name='a b')"
    assert eval(repr(value)) == value
    assert repr(Empty()) == "Empty()"


def test_a_field_can_neither_be_set_nor_deleted() -> None:
    """Nor can an attribute be added."""
    value = Point(1, 2)
    with pytest.raises(AttributeError, match="immutable: 'x' can't be set"):
        value.x = 5  # type: ignore[misc]  # what is refused
    with pytest.raises(AttributeError, match="immutable: 'x' can't be deleted"):
        del value.x
    with pytest.raises(AttributeError, match="immutable"):
        value.z = 5  # type: ignore[attr-defined]  # what is refused
    assert not hasattr(value, "__dict__")
    assert value == Point(1, 2)


def test_replace_gives_a_changed_copy() -> None:
    """The original stays."""
    value = Place(1, 2, "a")
    assert value.replace(y=5) == Place(1, 5, "a")
    assert value.replace() == value
    assert type(value.replace(x=0)) is Place
    assert value == Place(1, 2, "a")


def test_replace_refuses_what_is_no_field() -> None:
    """A class variable is none either."""
    with pytest.raises(TypeError, match="no field 'z'"):
        Point(1).replace(z=1)
    with pytest.raises(TypeError, match="no field 'unit'"):
        Point(1).replace(unit="km")


def test_a_check_holds_for_every_way_of_making_one() -> None:
    """`replace` and unpickling are no way round it."""
    with pytest.raises(ValueError, match="odd"):
        Even(3)
    with pytest.raises(ValueError, match="odd"):
        Even(2).replace(number=3)
    smuggled = pickle.dumps(Even(2)).replace(b"K\x02", b"K\x03")
    with pytest.raises(ValueError, match="odd"):
        pickle.loads(smuggled)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_it_survives_pickling(protocol: int) -> None:
    """In every protocol that Python still writes."""
    for value in (Place(1, 2, "a"), Empty()):
        again = pickle.loads(pickle.dumps(value, protocol))
        assert again == value
        assert type(again) is type(value)


def test_it_survives_copying() -> None:
    """Shallow and deep."""
    value = Place(1, 2, "a")
    assert copy.copy(value) == copy.deepcopy(value) == value


def test_it_takes_part_in_pattern_matching() -> None:
    """By place, in the order of the fields, and by name."""
    match Place(1, 2, "a"):
        case Place(x, 2, name=name):
            assert (x, name) == (1, "a")
        case _:
            pytest.fail("it did not match")
    assert Place.__match_args__ == ("x", "y", "name")


def test_inherited_fields_come_first() -> None:
    """And a default may be overridden."""
    assert Place(1) == Place(1, 7, "here")
    assert Place.__fields__ == {"x": "int", "y": "int", "name": "str"}


def test_class_variables_are_no_fields() -> None:
    """They belong to the class, and are inherited."""
    assert Point.unit == Place.unit == Point(1).unit == "m"
    assert "unit" not in Place.__fields__


def test_a_parent_is_not_changed_by_its_child() -> None:
    """Fields and defaults are each class's own."""
    assert Point.__fields__ == {"x": "int", "y": "int"}
    assert Point(1).y == 0


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((), {}, "Point needs a value for 'x'"),
        ((), {"y": 1}, "Point needs a value for 'x'"),
        ((1, 2, 3), {}, "Point takes 2 values, not 3"),
        ((1,), {"x": 1}, "Point got two values for 'x'"),
        ((1,), {"z": 1}, "Point has no field 'z'"),
        ((1,), {"unit": "km"}, "Point has no field 'unit'"),
    ],
)
def test_wrong_arguments_are_refused(
    args: tuple[int, ...], kwargs: dict[str, int], message: str
) -> None:
    """With what is missing, or too much."""
    with pytest.raises(TypeError, match=message):
        Point(*args, **kwargs)


def test_a_value_that_holds_a_list_has_no_hash() -> None:
    """It is as immutable as what it holds."""

    class Box(Value):
        content: list[int]

    assert Box([1]) == Box([1])
    with pytest.raises(TypeError, match="unhashable"):
        hash(Box([1]))
