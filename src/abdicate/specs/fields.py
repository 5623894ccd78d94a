"""The field types of the specs: what may be written, what it becomes, and its JSON Schema.

The readers are the strict ones of `abdicate.identity.ids` and `abdicate.plan.grammar`; what
they raise is a `ValueError`, so pydantic collects it. The annotated types say what may be
*written*; the values that they become are subtypes of those.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, TypeAlias, TypeGuard, cast

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from abdicate.errors import SpecError
from abdicate.identity.capabilities import Capability, CapabilitySet
from abdicate.identity.ids import ID_MAX, parse_group, parse_user
from abdicate.identity.situation import ResourceLimit
from abdicate.plan.grammar import parse_limit, parse_mode, parse_signal
from abdicate.values import is_tuple

__all__ = [
    "OWNER_SCHEMA",
    "AbsolutePath",
    "CapabilityNames",
    "GroupRef",
    "JsonSchema",
    "Limits",
    "Mode",
    "OwnerRef",
    "Signal",
    "UserRef",
    "id_or_name",
    "is_mapping",
]


def is_mapping(data: object) -> TypeGuard[Mapping[object, object]]:
    """Tell whether *data* is a mapping, of whatever to whatever."""
    return isinstance(data, Mapping)


JsonSchema: TypeAlias = dict[str, Any]  # Any: a JSON Schema is JSON

_ID = r"(0|[1-9][0-9]{0,9})"
# No number, in any notation; no "." and ".."; no "-" in front.
_NAME = (
    r"(?![0-9][0-9_]*($|:))(?!0[xXoObB][0-9A-Fa-f_]+($|:))(?!\.{1,2}($|:))"
    r"[A-Za-z0-9_.][A-Za-z0-9_.\-]{0,254}\$?"
)
_NUMBER: JsonSchema = {"type": "integer", "minimum": 0, "maximum": ID_MAX}


def _text(pattern: str) -> JsonSchema:
    return {"type": "string", "pattern": f"^({pattern})$"}


def id_or_name(what: str) -> JsonSchema:
    """Return the JSON Schema of a user's or a group's id or name."""
    return {
        "description": f"A {what}: an id, or a name. Digits are always an id.",
        "anyOf": [_NUMBER, _text(f"{_ID}|{_NAME}")],
    }


#: ``user``, ``user:group``, ``name:`` or ``:group``.
OWNER_SCHEMA: JsonSchema = {
    "description": "A user, and perhaps a group: user, user:group, name: (the login group) or "
    ":group (the user stays). Digits are always an id.",
    "anyOf": [
        _NUMBER,
        _text(f"({_ID}|{_NAME})(:({_ID}|{_NAME}))?|{_NAME}:|:({_ID}|{_NAME})"),
    ],
}


def _plain(reference: object) -> int | str:
    return int(reference) if isinstance(reference, int) else str(reference)


UserRef: TypeAlias = Annotated[
    int | str,
    PlainValidator(parse_user),
    PlainSerializer(_plain),
    WithJsonSchema(id_or_name("user")),
]
#: A user in a model that takes ``user:group`` apart before its fields are read.
OwnerRef: TypeAlias = Annotated[
    int | str,
    PlainValidator(parse_user),
    PlainSerializer(_plain),
    WithJsonSchema(OWNER_SCHEMA),
]
GroupRef: TypeAlias = Annotated[
    int | str,
    PlainValidator(parse_group),
    PlainSerializer(_plain),
    WithJsonSchema(id_or_name("group")),
]

#: A path whose rules the value behind the spec has; the schema tells editors of the first.
AbsolutePath: TypeAlias = Annotated[str, WithJsonSchema({"type": "string", "pattern": "^/"})]

Mode: TypeAlias = Annotated[
    int | str,
    PlainValidator(parse_mode),
    PlainSerializer(lambda mode: f"{mode:04o}"),
    WithJsonSchema(
        {
            "description": "Mode bits: octal text with a leading zero, or a number.",
            "anyOf": [
                _text("0|0o?0*[0-7]{1,3}"),
                {"type": "integer", "minimum": 0, "maximum": 0o777},
            ],
        }
    ),
]


def _read_capabilities(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple | set | frozenset):
        raise SpecError("capabilities", value, "a list of names of capabilities(7) is wanted")
    # isinstance() leaves open what they are of; each is looked at by parse().
    return CapabilitySet.parse(cast("Iterable[object]", value)).names()


CapabilityNames: TypeAlias = Annotated[
    tuple[str | Capability, ...],
    PlainValidator(_read_capabilities),
    PlainSerializer(list),
    WithJsonSchema(
        {
            "description": "Capabilities by name, capabilities(7).",
            "type": "array",
            "items": {
                "enum": [
                    spelling
                    for capability in Capability
                    for name in (str(capability), capability.name)
                    for spelling in (name, name.lower())
                ]
            },
        }
    ),
]


def _read_signal(value: object) -> int:
    return parse_signal(value, field="parent_death_signal")


Signal: TypeAlias = Annotated[
    int | str,
    PlainValidator(_read_signal),
    WithJsonSchema(
        {
            "description": "A signal by name, with or without SIG, or by number; 0 for none.",
            "anyOf": [
                _text(r"(?!([Ss][Ii][Gg])$)[A-Za-z][A-Za-z0-9]+([+\-][0-9]+)?|[1-5]?[0-9]|6[0-4]"),
                {"type": "integer", "minimum": 0, "maximum": 64},
            ],
        }
    ),
]


def _read_limits(value: object) -> tuple[ResourceLimit, ...]:
    if is_mapping(value):
        return tuple(parse_limit(resource, limit) for resource, limit in value.items())
    if is_tuple(value):
        limits = tuple(limit for limit in value if isinstance(limit, ResourceLimit))
        if len(limits) == len(value):
            return limits
    raise SpecError("limits", value, "a table is wanted, as in {nofile: '1024:4096'}")


_LIMIT = r"[0-9]{1,18}|unlimited"
_LIMIT_MAX = 2**63 - 1

Limits: TypeAlias = Annotated[
    tuple[ResourceLimit, ...],
    PlainValidator(_read_limits),
    PlainSerializer(lambda limits: {limit.resource: str(limit) for limit in limits}),
    WithJsonSchema(
        {
            "description": "Resource limits by name, getrlimit(2): one number, or soft:hard.",
            "type": "object",
            "propertyNames": {"pattern": "^[A-Za-z]{1,32}$"},
            "additionalProperties": {
                "anyOf": [
                    {"type": "integer", "minimum": 0, "maximum": _LIMIT_MAX},
                    _text(f"({_LIMIT})(:({_LIMIT}))?"),
                    {
                        "type": "array",
                        "items": {"type": ["integer", "null"], "minimum": 0, "maximum": _LIMIT_MAX},
                        "minItems": 1,
                        "maxItems": 2,
                    },
                ]
            },
        }
    ),
]
