"""Values to JSON data and back, strictly, by their annotations.

A `Value`'s fields are annotated, and the annotations are kept as text; so the text says how a
field is read: ``"tuple[Gid, ...]"`` is a list of gids. A class that is written down with its
``kind`` (a step) is found by it.
"""

from __future__ import annotations

from abdicate.errors import SpecError
from abdicate.identity.capabilities import CapabilitySet, CapabilitySets, Securebits
from abdicate.identity.credentials import Credentials, ResGid, ResUid
from abdicate.identity.ids import Gid, Uid
from abdicate.identity.resolve import Identity
from abdicate.identity.situation import ResourceLimit
from abdicate.plan.policy import DropPolicy
from abdicate.plan.steps import STEPS, Step
from abdicate.values import Value, is_list, is_table, is_tuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    V = TypeVar("V", bound=Value)

__all__ = ["decode", "encode", "reader", "without_version"]


def encode(value: Value) -> dict[str, object]:
    """Return *value* as what JSON can hold: its fields, and the ``kind`` of a step."""
    data: dict[str, object] = {"kind": value.kind} if isinstance(value, Step) else {}
    return data | {name: _encode(getattr(value, name)) for name in type(value).__fields__}


def _encode(value: object) -> object:
    if is_tuple(value):
        return [_encode(item) for item in value]
    match value:
        case CapabilitySet() | Securebits():
            return list(value.names())
        case Value():
            return encode(value)
        case bool() | None:
            return value
        case int():
            return int(value)
        case str():
            return str(value)
        case _:
            raise TypeError(f"no JSON form for {value!r}")


def without_version(data: object, version: int, what: str) -> dict[str, object]:
    """Return the object without its ``version``, which must be the one that is read here.

    Raises:
        SpecError: if it is another, or there is none.
    """
    found = data.get("version") if is_table(data) else None
    # type(), since true and 1.0 are equal to 1.
    if not is_table(data) or type(found) is not int or found != version:
        raise SpecError(f"{what} version", found, f"version {version} is read here")
    return {key: value for key, value in data.items() if key != "version"}


def decode(path: str, data: object, kind: type[V]) -> V:
    """Return the *kind* that *data* describes; *path* names it in errors.

    Raises:
        SpecError: if a key is unknown or missing, or a value is of the wrong type.
    """
    if not is_table(data):
        raise SpecError(path, data, "an object is wanted")
    fields = kind.__fields__
    for key in data:
        if key not in fields:
            raise SpecError(_below(path, key), data[key], "there is no such key")
    for name in fields:
        if name not in data:
            raise SpecError(f"{path}.{name}", None, "the key is missing")
    values = {
        name: _field(f"{path}.{name}", data[name], annotation)
        for name, annotation in fields.items()
    }
    try:
        return kind(**values)
    except SpecError as error:
        raise SpecError(f"{path}.{error.field}", error.value, error.rule) from None


def _below(path: str, key: object) -> str:
    # From outside: anything of any length.
    return f"{path}.{key if isinstance(key, str) and key.isidentifier() else '?'}"[:200]


def _field(path: str, data: object, annotation: str) -> object:
    if annotation.endswith(" | None"):
        return None if data is None else _field(path, data, annotation.removesuffix(" | None"))
    if annotation.startswith("tuple["):
        if not is_list(data):
            raise SpecError(path, data, "a list is wanted")
        inner = annotation.removeprefix("tuple[").removesuffix("]")
        if inner.endswith(", ..."):
            item = inner.removesuffix(", ...")
            return tuple(_field(f"{path}[{n}]", entry, item) for n, entry in enumerate(data))
        items = inner.split(", ")
        if len(data) != len(items):
            raise SpecError(path, data, f"a list of {len(items)} is wanted")
        return tuple(
            _field(f"{path}[{n}]", entry, item)
            for n, (entry, item) in enumerate(zip(data, items, strict=True))
        )
    try:
        return _READERS[annotation](path, data)
    except SpecError as error:
        if error.field.startswith(path):
            raise
        raise SpecError(path, error.value, error.rule) from None


def _plain(kind: type) -> Callable[[str, object], object]:
    def read(path: str, data: object) -> object:
        # type(), not isinstance(): true is not 1 here.
        if type(data) is not kind:
            raise SpecError(path, data, f"{_PLAIN_NAMES[kind]} is wanted")
        return data

    return read


def _value(kind: type[Value]) -> Callable[[str, object], object]:
    return lambda path, data: decode(path, data, kind)


def _capability_set(path: str, data: object) -> CapabilitySet:
    mask = 0
    for name in _names(path, data):
        number = _numbered(name, "CAP_")
        if number is None:
            mask |= CapabilitySet.parse([name], field=path).mask
        else:
            mask |= 1 << number
    return CapabilitySet(mask)


def _securebits(path: str, data: object) -> Securebits:
    bits = Securebits(0)
    for name in _names(path, data):
        known = Securebits.__members__.get(name.upper().replace("-", "_"))
        number = _numbered(name, "bit ")
        if known is not None:
            bits |= known
        elif number is not None:
            bits |= Securebits(1 << number)
        else:
            raise SpecError(path, name, "a securebit is named as in capabilities(7)")
    return bits


def _names(path: str, data: object) -> list[str]:
    names = [name for name in data if isinstance(name, str)] if is_list(data) else []
    if not is_list(data) or len(names) != len(data):
        raise SpecError(path, data, "a list of names is wanted")
    return names


def _numbered(name: str, prefix: str) -> int | None:
    if not name.startswith(prefix):
        return None
    digits = name.removeprefix(prefix)
    return int(digits) if digits in _BITS else None


# As they are written: "07", or a number of a thousand digits, is none of them.
_BITS = frozenset(map(str, range(64)))


def _step(path: str, data: object) -> Step:
    if not is_table(data):
        raise SpecError(path, data, "an object is wanted")
    kind = data.get("kind")
    step = STEPS.get(kind) if isinstance(kind, str) else None
    if step is None:
        raise SpecError(f"{path}.kind", kind, f"one of {', '.join(STEPS)} is wanted")
    return decode(path, {key: item for key, item in data.items() if key != "kind"}, step)


_PLAIN_NAMES = {int: "a whole number", bool: "true or false", str: "a text"}

_READERS: dict[str, Callable[[str, object], object]] = {
    "int": _plain(int),
    "bool": _plain(bool),
    "str": _plain(str),
    # Literals: the class that has the field refuses any other text.
    "EnvironmentPolicy": _plain(str),
    "Result": _plain(str),
    "Verdict": _plain(str),
    "AttemptResult": _plain(str),
    "Uid": lambda _, data: Uid(data),  # type: ignore[arg-type]  # refuses what is not an int
    "Gid": lambda _, data: Gid(data),  # type: ignore[arg-type]  # refuses what is not an int
    "CapabilitySet": _capability_set,
    "Securebits": _securebits,
    "Step": _step,
    "ResUid": _value(ResUid),
    "ResGid": _value(ResGid),
    "CapabilitySets": _value(CapabilitySets),
    "Credentials": _value(Credentials),
    "ResourceLimit": _value(ResourceLimit),
    "Identity": _value(Identity),
    "DropPolicy": _value(DropPolicy),
}


def reader(kind: type[Value]) -> None:
    """Let fields that are annotated with the name of *kind* be read as that."""
    _READERS[kind.__name__] = _value(kind)
