"""Error numbers by name, and going on after the ones that were expected."""

from __future__ import annotations

import errno

from abdicate.errors import SpecError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")

__all__ = ["UnknownErrnoError", "get_errno_name", "ignore_errno"]


class UnknownErrnoError(SpecError, AttributeError):
    """No error of this platform has that name. Also an `AttributeError`, as `errno` raises."""


def get_errno_name(n: int | str) -> int:
    """Return the number of an error: of the name ``"ENOENT"``; a number is returned as it is.

    The name of this function is `celery.platforms`'s; what it returns is the number.

    Raises:
        UnknownErrnoError: no error of this platform has that name.
    """
    if not isinstance(n, str):
        return n
    number: object = getattr(errno, n, None)
    # The module has attributes that are no error numbers, such as errno.errorcode.
    if isinstance(number, int):
        return number
    raise UnknownErrnoError("errno", n, 'not an error name of this platform, such as "ENOENT"')


class _IgnoreErrno:
    __slots__ = ("_numbers", "_types")

    def __init__(
        self, numbers: frozenset[int], types: type[BaseException] | tuple[type[BaseException], ...]
    ) -> None:
        self._numbers = numbers
        self._types = types

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        # Not None for an error without errno: untyped callers may have None among the numbers.
        return isinstance(error, self._types) and getattr(error, "errno", self) in self._numbers

    def __call__(self, function: Callable[P, R]) -> Callable[P, R | None]:
        """Decorate a function: its errors are ignored likewise, and it returns None then."""
        from functools import wraps

        @wraps(function)
        def ignoring(*args: P.args, **kwargs: P.kwargs) -> R | None:
            with self:
                return function(*args, **kwargs)
            return None

        return ignoring


def ignore_errno(
    *errnos: int | str,
    types: type[BaseException] | tuple[type[BaseException], ...] | None = (Exception,),
) -> _IgnoreErrno:
    """Return a context manager that ends its block in silence on the given errors.

    Args:
        errnos: error numbers, or names such as ``"ENOENT"``.
        types: the exception types to look at; ``None`` and ``()`` mean the default. Of these,
            one that has no ``errno`` is never ignored.

    Raises:
        UnknownErrnoError: a name is not an error name of this platform.
    """
    return _IgnoreErrno(frozenset(get_errno_name(n) for n in errnos), types or (Exception,))
