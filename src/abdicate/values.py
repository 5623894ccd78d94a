"""Frozen values, declared like dataclasses, without the price of dataclasses.

A drop runs in front of every process start, and a frozen slotted dataclass costs about
0.7 ms of import each (its methods are generated as text and compiled, and the module
brings ``inspect``). abdicate has some thirty values. `Value` gives them the same shape
with a metaclass and no code generation; type checkers see dataclasses, through
``dataclass_transform`` (PEP 681).

This module knows nothing about identities, plans or kernels.

Here too is how data from outside is looked at: ``isinstance(data, list)`` leaves it open to type
checkers what the list is of, and `is_list` says that nothing is known of it.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Self, TypeGuard, dataclass_transform
else:

    def dataclass_transform(**_options):
        """Stand in for `typing.dataclass_transform`, whose module costs 3 ms to import."""
        return lambda decorated: decorated


__all__ = ["Value", "is_list", "is_table", "is_tuple"]


@dataclass_transform(frozen_default=True, eq_default=True)
class _ValueType(type):
    """Turns annotations into slots, and class-level defaults into constructor defaults."""

    __fields__: dict[str, str]
    __defaults__: dict[str, object]
    __tail__: "tuple[object, ...]"
    __setters__: "tuple[Callable[[object, object], None], ...]"

    def __new__(
        mcs,
        name: str,
        bases: tuple[type, ...],
        namespace: "dict[str, Any]",  # Any: a class body
    ) -> "_ValueType":
        own: dict[str, str] = {
            field: annotation
            for field, annotation in namespace.get("__annotations__", {}).items()
            if not annotation.startswith("ClassVar")
        }
        fields: dict[str, str] = {}
        defaults: dict[str, object] = {}
        for base in reversed(bases):
            fields |= getattr(base, "__fields__", {})
            defaults |= getattr(base, "__defaults__", {})
        # A default may not stay in the class body: a slot of that name would collide with it.
        defaults |= {field: namespace.pop(field) for field in own if field in namespace}
        namespace["__slots__"] = tuple(field for field in own if field not in fields)
        namespace["__fields__"] = fields | own
        namespace["__defaults__"] = defaults
        namespace["__match_args__"] = tuple(fields | own)
        made = super().__new__(mcs, name, bases, namespace)
        # A slot's own setter: __setattr__ refuses.
        made.__tail__ = tuple(_tail(fields | own, defaults))
        made.__setters__ = tuple(getattr(made, field).__set__ for field in fields | own)
        return made


def _tail(fields: "dict[str, str]", defaults: "dict[str, object]") -> "list[object]":
    """Return the defaults of the last fields, from behind the last one that has none."""
    tail: list[object] = []
    for field in reversed(fields):
        if field not in defaults:
            break
        tail.insert(0, defaults[field])
    return tail


class Value(metaclass=_ValueType):
    """An immutable value: compared, hashed and printed by its fields.

    Subclasses declare fields as annotations, with optional defaults, in a module that has
    ``from __future__ import annotations`` (the annotations are read as text, and are what
    the plan's JSON decoder goes by). ``__post_init__`` may check the fields; it raises to
    refuse them.
    """

    if not TYPE_CHECKING:

        def __init__(self, *args, **kwargs):
            # Hundreds of values are made on the way of one drop: the checks are counts, and only
            # a call that is wrong is looked at again, to say how.
            cls = type(self)
            if kwargs or len(args) != len(cls.__fields__):
                args = cls._completed(args, kwargs)
            for put, value in zip(cls.__setters__, args, strict=True):
                put(self, value)
            self.__post_init__()

        @classmethod
        def _completed(cls, args, kwargs):
            """Return a value for each field, in order: given by place, by name, or the default."""
            fields = cls.__fields__
            lacking = len(fields) - len(args)
            if not kwargs and 0 < lacking <= len(cls.__tail__):
                return (*args, *cls.__tail__[-lacking:])
            given = dict(zip(fields, args, strict=False))
            values = {**cls.__defaults__, **given, **kwargs}
            twice = len(args) != len(given) or not given.keys().isdisjoint(kwargs)
            if twice or len(values) != len(fields) or not values.keys() >= fields.keys():
                raise TypeError(f"{cls.__name__} {_fault(fields, args, given, kwargs, values)}")
            return [values[name] for name in fields]

    def __post_init__(self) -> None:
        """Check the fields. The default accepts them."""

    if not TYPE_CHECKING:

        def __setattr__(self, name, value):
            raise AttributeError(f"{type(self).__name__} is immutable: {name!r} can't be set")

        def __delattr__(self, name):
            raise AttributeError(f"{type(self).__name__} is immutable: {name!r} can't be deleted")

    def _values(self) -> "tuple[object, ...]":
        return tuple([getattr(self, name) for name in type(self).__fields__])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Value) or type(self) is not type(other):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self), self._values()))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in type(self).__fields__)
        return f"{type(self).__name__}({fields})"

    # Slots and a refusing __setattr__ defeat the default copy and pickle protocols.
    def __reduce__(self) -> "tuple[Any, ...]":  # Any: pickle's own protocol
        return type(self), self._values()

    def replace(self, **changes: object) -> "Self":
        """Return a copy with some fields changed; it is checked like a new value.

        Raises:
            TypeError: if a name is not a field.
        """
        fields = type(self).__fields__
        values = dict(zip(fields, self._values(), strict=True)) | changes
        if len(values) != len(fields):
            return type(self)(**values)  # which says what is wrong
        return type(self)(*values.values())


def _fault(
    fields: "dict[str, str]",
    args: "tuple[object, ...]",
    given: "dict[str, object]",
    kwargs: "dict[str, object]",
    values: "dict[str, object]",
) -> str:
    """Say what is wrong with the values that were given by place and by name."""
    if len(args) > len(fields):
        return f"takes {len(fields)} values, not {len(args)}"
    for name in given.keys() & kwargs.keys():
        return f"got two values for {name!r}"
    for name in kwargs.keys() - fields.keys():
        return f"has no field {name!r}"
    missing = next(name for name in fields if name not in values)
    return f"needs a value for {missing!r}"


def is_list(data: object) -> "TypeGuard[list[object]]":
    """Tell whether *data* is a list, of whatever."""
    return isinstance(data, list)


def is_tuple(data: object) -> "TypeGuard[tuple[object, ...]]":
    """Tell whether *data* is a tuple, of whatever."""
    return isinstance(data, tuple)


def is_table(data: object) -> "TypeGuard[dict[str, object]]":
    """Tell whether *data* is a dict; of what is read from a file, every key is a text."""
    return isinstance(data, dict)
