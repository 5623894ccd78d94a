"""What a process that fails tells its starter: one line, and an exit status."""

from __future__ import annotations

from abdicate.errors import AbdicateError, IncompleteDropError
from abdicate.process.exits import EX_FAILURE

__all__ = ["status_of", "told"]

_EX_OURS = 125


def status_of(error: BaseException) -> int:
    """Return the exit status that *error* stands for: 125 for ours, SystemExit's own, else 1."""
    if isinstance(error, SystemExit):
        if error.code is None:
            return 0
        return error.code if isinstance(error.code, int) else EX_FAILURE
    return _EX_OURS if isinstance(error, AbdicateError | IncompleteDropError) else EX_FAILURE


def told(error: BaseException) -> str:
    """Return what *error* says, in one line; nothing for a SystemExit that only has a number."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, str) else ""
    text = str(error)
    if not isinstance(error, AbdicateError | IncompleteDropError):
        text = f"{type(error).__name__}: {text}"
    return text.replace("\n", " ")
