"""The field types of the specs: what may be written, what it becomes, and what their schema says.

The schema is held against jsonschema, and what it takes against what the field takes. It can't say
everything: which signals this platform has, or that one number is above another.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter, ValidationError

from abdicate.identity.ids import Gid, GroupName, Uid, UserName
from abdicate.identity.situation import ResourceLimit
from abdicate.specs.fields import CapabilityNames, GroupRef, Limits, Mode, Signal, UserRef
from unit.making import BAD_USERS, shown_input

# Any: what may be written, and what it becomes, is of every type.
_FIELDS: dict[str, TypeAdapter[Any]] = {
    "user": TypeAdapter(UserRef),
    "group": TypeAdapter(GroupRef),
    "mode": TypeAdapter(Mode),
    "capabilities": TypeAdapter(CapabilityNames),
    "signal": TypeAdapter(Signal),
    "limits": TypeAdapter(Limits),
}

#: What may be written, and what it becomes.
_TAKEN: tuple[tuple[str, object, object], ...] = (
    ("user", "nobody", UserName("nobody")),
    ("user", "machine$", UserName("machine$")),
    ("user", "0day", UserName("0day")),
    ("user", "_apt", UserName("_apt")),
    ("user", "a.b-c", UserName("a.b-c")),
    ("user", "...", UserName("...")),
    ("user", "0", Uid(0)),
    ("user", "1000", Uid(1000)),
    ("user", "4294967294", Uid(4294967294)),
    ("user", 0, Uid(0)),
    ("user", 4294967294, Uid(4294967294)),
    ("group", "adm", GroupName("adm")),
    ("group", "4", Gid(4)),
    ("group", 0, Gid(0)),
    ("mode", "0", 0),
    ("mode", "022", 0o022),
    ("mode", "0022", 0o022),
    ("mode", "0o022", 0o022),
    ("mode", "0777", 0o777),
    ("mode", 0, 0),
    ("mode", 18, 0o022),
    ("mode", 0o777, 0o777),
    ("capabilities", [], ()),
    ("capabilities", ["CAP_KILL"], ("CAP_KILL",)),
    ("capabilities", ["KILL"], ("CAP_KILL",)),
    ("capabilities", ["cap_kill"], ("CAP_KILL",)),
    ("capabilities", ["kill", "CAP_CHOWN"], ("CAP_CHOWN", "CAP_KILL")),
    ("signal", "TERM", 15),
    ("signal", "SIGTERM", 15),
    ("signal", "term", 15),
    ("signal", "15", 15),
    ("signal", 15, 15),
    ("signal", 0, 0),
    ("limits", {}, ()),
    ("limits", {"nofile": 1024}, (ResourceLimit("nofile", 1024, 1024),)),
    ("limits", {"nofile": 0}, (ResourceLimit("nofile", 0, 0),)),
    ("limits", {"NOFILE": "1024:4096"}, (ResourceLimit("nofile", 1024, 4096),)),
    ("limits", {"core": "unlimited"}, (ResourceLimit("core", None, None),)),
    ("limits", {"core": "0:unlimited"}, (ResourceLimit("core", 0, None),)),
    ("limits", {"core": [0, None]}, (ResourceLimit("core", 0, None),)),
    (
        "limits",
        {"core": 0, "nofile": "64"},
        (ResourceLimit("core", 0, 0), ResourceLimit("nofile", 64, 64)),
    ),
)

#: What may not be written.
_REFUSED: tuple[tuple[str, object], ...] = (
    *(
        (field, bad)
        for field in ("user", "group")
        for bad in (*BAD_USERS, "nobody:nogroup")
        if isinstance(bad, str | int | float | list | dict | None)
    ),
    *(("mode", text) for text in ("", "22", "18", "0o", "08", "0x12", "01000", "07777", " 022")),
    *(("mode", odd) for odd in (-1, 0o1000, True, False, 18.5, None, [18], {"a": 1})),
    *(("capabilities", odd) for odd in ("CAP_KILL", "", None, True, 5, {}, {"CAP_KILL": 1})),
    *(
        ("capabilities", [odd])
        for odd in ("", "CAP_", "SURPRISE", "CAP_CAP_KILL", "CAP_41", 5, True, None, ["CAP_KILL"])
    ),
    *(("signal", text) for text in ("", "SIG", "TERM ", "15 ", "１５", "ſigterm", "+9", "-9")),
    *(("signal", text) for text in ("SURPRISE", "999", "065")),
    *(("signal", odd) for odd in (-1, 65, True, 9.5, None, [9], {"a": 1})),
    *(("limits", odd) for odd in ("nofile=1", "", [], ["nofile"], None, 1024, True)),
    *(("limits", {name: 1}) for name in ("", "no file", "no-file", "nöfile", "7")),
    *(
        ("limits", {"nofile": odd})
        for odd in (
            -1, True, None, 1.5, "", ":", "1:", ":1", "1:2:3", "1,2", "1k", "-1", "１", [], {},
            [1, 2, 3], [True, True], {"soft": 1}, 2**63, "9" * 40, "2:1", "unlimited:1", [2, 1],
        )
    ),
)  # fmt: skip

#: What only the field refuses, since JSON Schema has no words for it: a name that reads as a
#: number, a text of ten digits that is too great for an id, an end of line before the end (to
#: Python's "$"), a signal that this platform has not, a number that is above another.
_BEYOND_SCHEMA: tuple[object, ...] = (
    *("0x1f", "0X1F", "0b1", "0o17", "1_000", "4294967295", "4294967296", "nobody\n"),
    *("SURPRISE", "999", "065"),
    *({"nofile": odd} for odd in ("2:1", "unlimited:1", [2, 1])),
)


def _can_be_said(value: object) -> bool:
    """Tell whether JSON Schema has words for what is wrong with *value*."""
    if isinstance(value, float):
        return value % 1 != 0 and value == value  # 3.0 is a whole number there, and NaN is no JSON
    if isinstance(value, int):
        return value.bit_length() < 10_000  # what jsonschema can show of it
    return value not in _BEYOND_SCHEMA


@cache
def _validator(field: str) -> Draft202012Validator:
    return Draft202012Validator(_FIELDS[field].json_schema())


@pytest.mark.parametrize("field", _FIELDS)
def test_the_schema_is_a_json_schema(field: str) -> None:
    """By the schema of schemas."""
    schema = _FIELDS[field].json_schema()
    Draft202012Validator.check_schema(schema)
    assert schema["description"]


@pytest.mark.parametrize(("field", "value", "becomes"), _TAKEN, ids=shown_input)
def test_what_is_taken(field: str, value: object, becomes: object) -> None:
    """P7: 0 and the empty list too; by field and by schema."""
    found = _FIELDS[field].validate_python(value)
    assert found == becomes
    assert type(found) is type(becomes)
    assert _validator(field).is_valid(value)


@pytest.mark.parametrize(("field", "value"), _REFUSED, ids=shown_input)
def test_what_is_refused(field: str, value: object) -> None:
    """P4, P9: pydantic alone would take True, 1.0, "1_000", " 12 " and "022" as 22."""
    with pytest.raises(ValidationError) as caught:
        _FIELDS[field].validate_python(value)
    assert caught.value.error_count() == 1
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("field", "value"), [case for case in _REFUSED if _can_be_said(case[1])], ids=shown_input
)
def test_what_is_refused_is_refused_by_the_schema(field: str, value: object) -> None:
    """An editor that knows the schema says so while it is typed."""
    assert not _validator(field).is_valid(value)


@pytest.mark.parametrize(("field", "value", "becomes"), _TAKEN, ids=shown_input)
def test_what_is_written_back_is_taken_again(field: str, value: object, becomes: object) -> None:
    """As JSON and as Python data; by field and by schema."""
    adapter = _FIELDS[field]
    found = adapter.validate_python(value)
    assert adapter.validate_json(adapter.dump_json(found)) == becomes
    data = adapter.dump_python(found)
    assert adapter.validate_python(data) == becomes
    assert _validator(field).is_valid(data)


@given(mode=st.integers(0, 0o777))
def test_a_mode_is_written_in_octal(mode: int) -> None:
    """P9: with the zero in front."""
    adapter = _FIELDS["mode"]
    assert adapter.dump_python(mode) == f"{mode:04o}"
    assert _validator("mode").is_valid(f"{mode:04o}")
    assert adapter.validate_python(f"{mode:04o}") == mode
