"""What a process that fails tells its starter: one line, and an exit status."""

from __future__ import annotations

import os

from abdicate.errors import AbdicateError, IncompleteDropError
from abdicate.process.detach import Readiness
from abdicate.process.exits import EX_FAILURE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

__all__ = ["leave", "status_of", "told"]

_EX_OURS = 125


def status_of(error: BaseException) -> int:
    """Return the exit status that *error* stands for: 125 for ours, SystemExit's own, else 1."""
    if isinstance(error, SystemExit):
        if error.code is None:
            return 0
        return error.code & 0xFF if isinstance(error.code, int) else EX_FAILURE
    return _EX_OURS if isinstance(error, AbdicateError | IncompleteDropError) else EX_FAILURE


def told(error: BaseException) -> str:
    """Return what *error* says, in one line; nothing for a SystemExit that only has a number."""
    if isinstance(error, SystemExit):
        if not error.code:
            return "the daemon exited with status 0 before it was ready"
        return error.code if isinstance(error.code, str) else ""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - an error that can't be told is told by its type
        return type(error).__name__
    if not isinstance(error, AbdicateError | IncompleteDropError):
        text = f"{type(error).__name__}: {text}"
    return text.replace("\n", " ")


def leave(readiness: Readiness, error: BaseException) -> NoReturn:
    """Tell the starter of *error*, and end this process, whatever happens meanwhile."""
    status = EX_FAILURE
    try:
        status = status_of(error)
        readiness.failed(told(error), status)
    finally:
        os._exit(status)
