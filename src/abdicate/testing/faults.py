"""Calls that go wrong on purpose: they fail, they lie, or they leave something behind."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from abdicate.testing.rules import refusal

__all__ = ["Aborted", "Faults"]


class Aborted(BaseException):
    """The process is gone: libc ended it with SIGABRT.

    nptl(7): every thread makes a call that changes ids. Where some may and others may not, the
    threads could not be kept alike, and glibc gives up the process.
    """


@dataclass
class _Fault:
    method: str
    call: int | None  # counted from 1; None is every call
    error: BaseException | None


@dataclass
class Faults:
    """What is to go wrong, and how often each method was called.

    Attributes:
        granted: the methods that pass every capability check.
        missing_threads: the methods that reach the calling thread alone.
        keeps_saved_uid: setresuid leaves the saved uid behind.
    """

    granted: set[str] = field(default_factory=set[str])
    missing_threads: set[str] = field(default_factory=set[str])
    keeps_saved_uid: bool = False
    _planned: list[_Fault] = field(default_factory=list[_Fault])
    _counts: Counter[str] = field(default_factory=Counter[str])

    def plan(self, method: str, call: int | None, error: int | BaseException | None) -> None:
        """Let the *call*-th call of *method* from now on raise *error*; None: pass over it."""
        if call is not None and call < 1:
            raise ValueError(f"calls are counted from 1, and not from {call}")
        if isinstance(error, int):
            error = refusal(error)
        nth = None if call is None else self._counts[method] + call
        self._planned.append(_Fault(method, nth, error))

    def strike(self, method: str) -> bool:
        """Count a call of *method*. Raise what was planned for it, or tell whether to pass over it.

        A call that is passed over reports success and does nothing.
        """
        self._counts[method] += 1
        for fault in self._planned:
            if fault.method == method and fault.call in (None, self._counts[method]):
                if fault.error is not None:
                    raise fault.error
                return True
        return False
