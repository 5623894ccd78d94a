"""The same calls on the model and on the kernel, in lockstep, and what differs between the two."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from typing import Any

from abdicate.kernel.linux import LinuxKernel
from abdicate.kernel.port import Kernel
from abdicate.testing import Aborted, FakeKernel
from model.mirror import mirror

# Any: the arguments of whatever method it is.
Call = tuple[str, tuple[Any, ...]]


def lockstep(
    establish: Callable[[], None], calls: list[Call], kind: type[FakeKernel] = FakeKernel
) -> str | None:
    """Set out from the state that *establish* makes, and make *calls* on both.

    For forked children: the process changes.

    Returns:
        None where the two agree; else the start, the calls up to the first divergence with both
        answers, and the slots that differ.
    """
    establish()
    kernel = LinuxKernel()
    fake = mirror(kernel, kind)
    told = ["start:", *_shown(kernel)]
    if found := list(differences(fake, kernel)):
        return "\n".join([*told, "the start itself differs:", *found])
    for method, arguments in calls:
        try:
            expected = _answer(fake, method, arguments)
        except Aborted:
            return None  # the kernel's process would be gone now: there is a test of its own
        observed = _answer(kernel, method, arguments)
        told.append(f"{method}{arguments!r}: model {expected}, kernel {observed}")
        found = list(differences(fake, kernel))
        if expected != observed or found:
            return "\n".join([*told, *found])
    return None


def _answer(kernel: Kernel, method: str, arguments: tuple[Any, ...]) -> str:
    try:
        getattr(kernel, method)(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "done"


def differences(fake: FakeKernel, kernel: LinuxKernel) -> Iterator[str]:
    """Yield what is not the same in the model and in this process."""
    expected, observed = fake.credentials(), kernel.credentials()
    if expected != observed:
        yield from map(str, expected.differences(observed))
        yield f"model {expected}"
        yield f"kernel {observed}"
    for slot in ("parent_death_signal", "nice"):
        modelled, found = getattr(fake, slot)(), getattr(kernel, slot)()
        if modelled != found:
            yield f"{slot}: expected {modelled}, observed {found}"
    others, found = _in_order(fake), _in_order(kernel)
    if others != found:
        yield f"threads: expected {others}, observed {found}"


def _in_order(kernel: Kernel) -> list[object]:
    return [held for _, held in sorted((kernel.threads() or {}).items())]


def _shown(kernel: Kernel) -> list[str]:
    return [f"  {slot}: {value}" for slot, value in kernel.credentials().slots().items()]
