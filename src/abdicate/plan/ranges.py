"""The ranges of values that the kernel takes, for policies and for steps alike."""

from __future__ import annotations

from abdicate.errors import SpecError

__all__ = ["check_mask", "check_nice", "check_path", "check_signal"]


def check_mask(field: str, mask: int) -> None:
    """Refuse what is no umask, from 0 to 0o777, umask(2).

    Raises:
        SpecError: with *field*.
    """
    _within(field, mask, 0, 0o777)


def check_nice(field: str, value: int) -> None:
    """Refuse what is no nice value, from -20 to 19, setpriority(2).

    Raises:
        SpecError: with *field*.
    """
    _within(field, value, -20, 19)


def check_signal(field: str, number: int) -> None:
    """Refuse what is no signal, 0 for none to 64, the last real-time one, signal(7).

    Raises:
        SpecError: with *field*.
    """
    _within(field, number, 0, 64)


def check_path(field: str, path: str) -> None:
    """Refuse what is no absolute path.

    Raises:
        SpecError: with *field*.
    """
    try:
        path.encode(errors="surrogateescape")
        absolute = path.startswith("/") and "\0" not in path
    except UnicodeEncodeError:
        absolute = False  # no file can have such a name
    if not absolute:
        raise SpecError(field, path, "an absolute path is wanted, without NUL")


def _within(field: str, value: int, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise SpecError(field, value, f"a whole number from {least} to {most} is wanted")
