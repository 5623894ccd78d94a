"""The field types of the specs: what may be written, what it becomes, and its JSON Schema.

The readers are the strict ones of `abdicate.identity.ids` and `abdicate.plan.grammar`; what
they raise is a `ValueError`, so pydantic collects it. The annotated types say what may be
*written*; the values that they become are subtypes of those.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, TypeAlias

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from abdicate.errors import SpecError
from abdicate.identity.capabilities import Capability, CapabilitySet
from abdicate.identity.ids import ID_MAX, parse_group, parse_user
from abdicate.identity.situation import ResourceLimit
from abdicate.plan.grammar import parse_limit, parse_mode, parse_signal

__all__ = [
    "CapabilityNames",
    "GroupRef",
    "Limits",
    "Mode",
    "Signal",
    "UserRef",
]

_NAME_PATTERN = r"^[A-Za-z0-9_.][A-Za-z0-9_.\-]*\$?$"


def _id_or_name(what: str) -> dict[str, object]:
    return {
        "description": f"A {what}: an id, or a name. Digits are always an id.",
        "anyOf": [
            {"type": "integer", "minimum": 0, "maximum": ID_MAX},
            {"type": "string", "pattern": _NAME_PATTERN, "maxLength": 256},
        ],
    }


UserRef: TypeAlias = Annotated[
    int | str,
    PlainValidator(parse_user),
    PlainSerializer(lambda user: int(user) if isinstance(user, int) else str(user)),
    WithJsonSchema(_id_or_name("user")),
]
GroupRef: TypeAlias = Annotated[
    int | str,
    PlainValidator(parse_group),
    PlainSerializer(lambda group: int(group) if isinstance(group, int) else str(group)),
    WithJsonSchema(_id_or_name("group")),
]


Mode: TypeAlias = Annotated[
    int | str,
    PlainValidator(parse_mode),
    PlainSerializer(lambda mode: f"{mode:04o}"),
    WithJsonSchema(
        {
            "description": "Mode bits: octal text with a leading zero, or a number.",
            "anyOf": [
                {"type": "string", "pattern": "^0o?[0-7]{0,4}$"},
                {"type": "integer", "minimum": 0, "maximum": 0o777},
            ],
        }
    ),
]


def _read_capabilities(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple | set | frozenset):
        raise SpecError("capabilities", value, "a list of names of capabilities(7) is wanted")
    names: Iterable[object] = value
    return CapabilitySet.parse(names).names()


CapabilityNames: TypeAlias = Annotated[
    tuple[str | Capability, ...],
    PlainValidator(_read_capabilities),
    PlainSerializer(list),
    WithJsonSchema(
        {
            "description": "Capabilities by name, capabilities(7).",
            "type": "array",
            "items": {"enum": [str(capability) for capability in Capability]},
            "uniqueItems": True,
        }
    ),
]


Signal: TypeAlias = Annotated[
    int | str,
    PlainValidator(parse_signal),
    WithJsonSchema(
        {
            "description": "A signal by name, with or without SIG, or by number; 0 for none.",
            "anyOf": [
                {"type": "string", "pattern": "^(SIG)?[A-Z0-9+\\-]+$"},
                {"type": "integer", "minimum": 0, "maximum": 64},
            ],
        }
    ),
]


def _read_limits(value: object) -> tuple[ResourceLimit, ...]:
    if isinstance(value, Mapping):
        return tuple(parse_limit(resource, limit) for resource, limit in value.items())
    if isinstance(value, tuple) and all(isinstance(limit, ResourceLimit) for limit in value):
        return value
    raise SpecError("limits", value, "a table is wanted, as in {nofile: '1024:4096'}")


Limits: TypeAlias = Annotated[
    tuple[ResourceLimit, ...],
    PlainValidator(_read_limits),
    PlainSerializer(lambda limits: {limit.resource: str(limit) for limit in limits}),
    WithJsonSchema(
        {
            "description": "Resource limits by name, getrlimit(2): one number, or soft:hard.",
            "type": "object",
            "additionalProperties": {
                "anyOf": [
                    {"type": "integer", "minimum": 0},
                    {"type": "string", "pattern": "^([0-9]+|unlimited)(:([0-9]+|unlimited))?$"},
                ]
            },
        }
    ),
]
