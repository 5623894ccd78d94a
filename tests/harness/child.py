"""Run a function in a forked child, so that the test process never changes identity.

The child does the real thing; the parent gets its result or its exception, and may look at
``/proc/<pid>/task/*/status`` from outside while the child is held.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, NoReturn, TypeVar

T = TypeVar("T")

_PATIENCE = 60.0  # seconds that a child may take before the test calls it hung


class ChildFailed(AssertionError):
    """The child died, hung, or raised where a result was wanted."""


@dataclass
class HeldChild(Generic[T]):
    """A child that has run its function and waits to be released."""

    pid: int
    _result: tuple[str, object, str]
    _release: int = field(repr=False, default=-1)

    @property
    def value(self) -> T:
        """What the function returned; ChildFailed with its traceback where it raised."""
        kind, payload, trace = self._result
        if kind != "value":
            raise ChildFailed(f"the child raised {payload!r}\n{trace}")
        return payload  # type: ignore[return-value]  # pickled from the function's own result

    @property
    def error(self) -> BaseException:
        """What the function raised; ChildFailed where it returned."""
        kind, payload, _ = self._result
        if kind != "error":
            raise ChildFailed(f"the child was to raise, and returned {payload!r}")
        assert isinstance(payload, BaseException)
        return payload


def _child(function: Callable[[], object], results: int, release: int) -> NoReturn:
    try:
        try:
            message: tuple[str, object, str] = ("value", function(), "")
        except BaseException as error:
            message = ("error", error, traceback.format_exc())
        try:
            data = pickle.dumps(message)
            pickle.loads(data)
        except Exception:
            kind, payload, trace = message
            data = pickle.dumps((kind, ChildFailed(f"can't be pickled: {payload!r}"), trace))
        with os.fdopen(results, "wb") as pipe:
            pipe.write(data)
        os.read(release, 1)
    finally:
        os._exit(0)


def _read_all(descriptor: int, deadline: float) -> bytes:
    chunks: list[bytes] = []
    while True:
        ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise ChildFailed("the child hung")
        chunk = os.read(descriptor, 65536)
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)


@contextlib.contextmanager
def held_child(function: Callable[[], T], *, timeout: float = _PATIENCE) -> Iterator[HeldChild[T]]:
    """Fork, run *function* in the child, and hold the child while the block runs."""
    results, results_end = os.pipe()
    release_end, release = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(results)
        os.close(release)
        _child(function, results_end, release_end)
    os.close(results_end)
    os.close(release_end)
    try:
        data = _read_all(results, time.monotonic() + timeout)
        if not data:
            _, status = os.waitpid(pid, 0)
            pid = 0
            raise ChildFailed(f"the child died: wait status {status:#x}")
        yield HeldChild(pid, pickle.loads(data), release)
    finally:
        os.close(results)
        os.close(release)
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def in_child(function: Callable[[], T], *, timeout: float = _PATIENCE) -> T:
    """Return what *function* returns in a forked child."""
    with held_child(function, timeout=timeout) as child:
        return child.value


def error_in_child(function: Callable[[], object], *, timeout: float = _PATIENCE) -> BaseException:
    """Return what *function* raises in a forked child."""
    with held_child(function, timeout=timeout) as child:
        return child.error


def thread_statuses(pid: int) -> dict[int, dict[str, str]]:
    """Read ``/proc/<pid>/task/*/status`` from outside, as key and text."""
    statuses = {}
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/status") as file:
            lines = (line.partition(":") for line in file)
            statuses[int(thread)] = {key: value.strip() for key, _, value in lines}
    return statuses
