"""How umasks, resource limits and signals are written: one strict grammar for config and flags.

The sibling of `abdicate.identity.ids`, for what is not an identity. Pure.
"""

from __future__ import annotations

import signal

from abdicate.errors import SpecError
from abdicate.identity.situation import ResourceLimit
from abdicate.values import is_list, is_tuple

__all__ = ["parse_limit", "parse_mode", "parse_signal"]

_SIGNAL_MAX = 64  # SIGRTMAX, signal(7)
_NUMBERS = frozenset(map(str, range(_SIGNAL_MAX + 1)))  # each in its one spelling
_LONGEST_NAME = 32
_MOST_DIGITS = 19  # of 2**63 - 1; int() refuses thousands of them in words of its own


def parse_mode(value: object, *, field: str = "umask", most: int = 0o777) -> int:
    """Return mode bits from an `int`, or from an octal text with a leading zero (``"0022"``).

    A text without the zero is refused, since it could be meant either way: YAML reads an
    unquoted 022 as 18 or as 22, by version.

    Raises:
        SpecError: for anything else, or above *most*.
    """
    rule = f"octal text with a leading 0, as in '0022', or a number up to 0o{most:o}, is wanted"
    number = value
    if isinstance(value, str):
        digits = value.removeprefix("0o")
        if not value.startswith("0") or not digits or len(digits) > 8 or set(digits) - _OCTAL:
            raise SpecError(field, value, rule)
        number = int(digits, 8)
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= most:
        raise SpecError(field, value, f"{rule}; in YAML quote it, in TOML write 0o022")
    return number


_OCTAL = frozenset("01234567")


def parse_limit(resource: object, value: object, *, field: str = "limits") -> ResourceLimit:
    """Return the limit of *resource* from ``1024``, ``"1024:4096"``, ``"unlimited"`` or a pair.

    One number is the soft and the hard limit both. In a pair, None is "unlimited".

    Raises:
        SpecError: for anything else, and for a soft limit above the hard one.
    """
    if not isinstance(resource, str) or not _is_name(resource):
        raise SpecError(field, resource, "a resource's name is wanted, as in 'nofile'")
    where = f"{field}.{resource}"
    if isinstance(value, str):
        numbers = [_limit_number(where, part) for part in value.split(":")]
    elif is_list(value) or is_tuple(value):
        numbers = [part if part is None else _whole(where, part) for part in value]
    else:
        numbers = [_whole(where, value)]
    if len(numbers) not in (1, 2):
        raise SpecError(where, value, "one limit, or soft and hard, as in '1024:4096', is wanted")
    try:
        return ResourceLimit(resource.lower(), numbers[0], numbers[-1])
    except SpecError as error:
        raise SpecError(where, value, error.rule) from None


def _is_name(resource: str) -> bool:
    return resource.isascii() and resource.isalpha() and len(resource) <= _LONGEST_NAME


def _limit_number(where: str, text: str) -> int | None:
    if text == "unlimited":
        return None
    if not text.isascii() or not text.isdigit() or len(text) > _MOST_DIGITS:
        raise SpecError(where, text, "a whole number, or 'unlimited', is wanted")
    return int(text)


def _whole(where: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise SpecError(where, value, "a whole number, or 'unlimited', is wanted")
    return value


def parse_signal(value: object, *, field: str = "signal") -> int:
    """Return the number of a signal from its name, with or without ``SIG``, or from its number.

    0 is "no signal".

    Raises:
        SpecError: if this platform has no such signal.
    """
    rule = f"a signal's name, as in 'TERM', or its number from 0 to {_SIGNAL_MAX} is wanted"
    if isinstance(value, str):
        number = _signal_number(value)
        if number is None:
            raise SpecError(field, value, rule)
        return number
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _SIGNAL_MAX:
        raise SpecError(field, value, rule)
    return int(value)


def _signal_number(text: str) -> int | None:
    if not text.isascii():
        return None
    if text.isdigit():
        return int(text) if text in _NUMBERS else None
    name = text.upper().removeprefix("SIG")
    found = signal.Signals.__members__.get(f"SIG{name}")
    if found is not None:
        return int(found)
    # Real-time signals are written as distances from the first and the last, kill(1).
    for base, sign in (("RTMIN", "+"), ("RTMAX", "-")):
        end = signal.Signals.__members__.get(f"SIG{base}")
        start, distance = name[: len(base) + 1], name[len(base) + 1 :]
        if end is not None and start == f"{base}{sign}" and distance in _NUMBERS:
            number = int(end) + int(f"{sign}{distance}")
            first, last = signal.Signals["SIGRTMIN"], signal.Signals["SIGRTMAX"]
            return number if first <= number <= last else None
    return None
