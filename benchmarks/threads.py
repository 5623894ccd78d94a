"""Verification where there are threads: each of them is read back."""

from __future__ import annotations

import os
import statistics
import threading
from collections.abc import Callable, Iterator

from abdicate.executor.verify import Landmarks, checks
from abdicate.identity.ids import Gid, Owner, Uid
from abdicate.identity.resolve import KeepGroups
from abdicate.kernel import system_kernel
from abdicate.plan.policy import DropPolicy
from abdicate.request import DropRequest
from benchmarks.harness import AtMost, AtMostTimes, Contest, Way, in_child, timed

__all__ = ["contests"]

_PRESENT = DropRequest(
    Owner(Uid(os.geteuid()), Gid(os.getegid())),
    KeepGroups(),
    policy=DropPolicy(environment="keep", allow_root=True, allow_root_group=True),
)


def contests(quick: bool) -> Iterator[Contest]:
    """Yield the rows: a thread's share with 64 of them, and against 8."""
    rounds = 5 if quick else 21
    yield Contest(
        "verify with 64 threads, each thread's share",
        _each("abdicate", 64, _verify),
        [_each("reading its status file", 64, _read)],
        AtMost(40e-6, "≤ 40 µs a thread"),
        rounds,
    )
    yield Contest(
        "the same, with 256",
        _each("abdicate", 256, _verify),
        [_each("with 32", 32, _verify), _each("reading its status file", 256, _read)],
        AtMostTimes(1.1, "with 32"),
        rounds,
    )


def _each(name: str, count: int, prepare: Callable[[], Callable[[], object]]) -> Way:
    def sample() -> float:
        done = threading.Event()
        others = [threading.Thread(target=done.wait) for _ in range(count - 1)]
        for thread in others:
            thread.start()
        work = prepare()
        taken = [timed(work) for _ in range(5)]
        done.set()
        for thread in others:
            thread.join()
        return statistics.median(taken) / count

    return Way(name, lambda: in_child(sample))


def _verify() -> Callable[[], object]:
    kernel = system_kernel()
    kernel.prepare()
    # What it holds already: the verification is the whole of a drop's, and nothing changes.
    plan = _PRESENT.plan(kernel=kernel)
    landmarks = Landmarks(plan, kernel)

    def verify() -> None:
        found = tuple(checks(plan, kernel, landmarks, kernel.credentials()))
        assert all(check.verdict == "ok" for check in found)

    return verify


def _read() -> Callable[[], object]:
    def read() -> None:
        for thread in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{thread}/status", "rb", buffering=0) as file:
                file.read()

    return read
