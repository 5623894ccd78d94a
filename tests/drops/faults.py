"""Faults that strace injects into one system call at a time, and how their outcomes are told."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from drops import raw
from drops.cases import as_root_often_starts
from drops.tracing import Call, Ended

__all__ = ["KEPT", "MEMORY", "OVERTAKEN", "Run", "errors", "fewer_to_lose", "inject", "report"]

errors = pytest.mark.parametrize("error", ["EPERM", "EINVAL", "EAGAIN"])

# What the full plan drops from the bounding set: a call for each of 40 would be much of the same.
_SURPLUS = ("CAP_MKNOD", "CAP_SETPCAP")

#: The bounding set that the full plan keeps.
KEPT = ("CAP_CHOWN", "CAP_KILL")

#: Calls that may be skipped and not be missed, and why.
OVERTAKEN = {
    ("chdir", '"/"'): "the working directory is changed once more, by an absolute path",
    ("prctl", "47", "4", "0", "0", "0"): "the change of the uid has emptied the ambient set",
    ("prctl", "8", "0"): "the securebits are set later, as a whole word",
}

#: Memory and locks: when they are called varies, and libc gives up the process without them.
MEMORY = ("mmap", "munmap", "brk", "mprotect", "madvise", "futex")

#: Runs a drop under strace with the given options.
Run = Callable[..., Ended]


def fewer_to_lose() -> None:
    """Start as root often does, with four capabilities in the bounding set."""
    as_root_often_starts()
    for name in set(raw.CAPABILITIES) - {*KEPT, *_SURPLUS}:
        if raw.is_bounding(name):
            raw.lower_bounding(name)


def inject(run: Run, call: Call, fault: str, *, more: str = "") -> Ended:
    """Run once more with *fault* in *call*, and make sure that it struck there.

    Args:
        run: takes options of strace.
        call: of a run without faults.
        fault: as strace writes it, such as ``error=EPERM``.
        more: what follows the count, such as ``+`` for every call from there on.
    """
    ended = run("-e", f"inject={call.name}:{fault}:when={call.nth}{more}")
    if "signal" not in fault:
        struck = [(each.name, each.nth) for each in ended.calls if each.injected]
        assert struck[:1] == [(call.name, call.nth)], f"the fault was for {call}: {struck}"
    return ended


def report(problems: Iterable[str]) -> None:
    """Fail with every problem that was found, not the first one."""
    found = list(problems)
    assert not found, "\n".join(found)
