"""Reading back: every slot of every thread, and what the steps changed besides."""

from __future__ import annotations

from abdicate.identity.credentials import Credentials
from abdicate.plan.plan import Plan
from abdicate.plan.report import Check
from abdicate.plan.steps import (
    ChangeDirectory,
    ChangeRoot,
    NewSessionKeyring,
    SetEnvironment,
    SetNice,
    SetParentDeathSignal,
    SetResourceLimit,
    Step,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from abdicate.kernel.port import Kernel

__all__ = ["Landmarks", "checks"]


class Landmarks:
    """What is remembered from before the first step, to tell afterwards that it has changed.

    Attributes:
        parent: the parent's process id.
        keyring: the session keyring, where the plan asks for another.
        root: what tells the new root directory from every other, where the plan asks for one.
    """

    def __init__(self, plan: Plan, kernel: Kernel) -> None:
        self.parent: int = kernel.parent()
        self.keyring: int | None = None
        self.root: object = None
        for step in plan.steps:
            if isinstance(step, NewSessionKeyring):
                self.keyring = kernel.session_keyring()
            elif isinstance(step, ChangeRoot):
                self.root = kernel.directory_id(step.path)


def checks(
    plan: Plan, kernel: Kernel, landmarks: Landmarks, observed: Credentials
) -> Iterator[Check]:
    """Yield a check for each slot of this thread, for every thread, and for each step's own mark.

    *observed* is what the calling thread holds now.
    """
    yield from _own(plan, kernel, observed)
    yield from _threads(plan, kernel)
    for step in plan.steps:
        for slot, expected, found in _marks(plan, kernel, landmarks, step):
            same = expected == found
            yield Check(slot, str(expected), str(found), "ok" if same else "mismatch")


def _own(plan: Plan, kernel: Kernel, observed: Credentials) -> Iterator[Check]:
    unverifiable = kernel.platform.unverifiable
    found = observed.slots()
    for slot, expected in plan.goal.slots().items():
        if expected is None:
            continue  # the plan promises nothing about it
        seen = found[slot]
        if seen is not None and seen != expected:
            yield Check(slot, expected, seen, "mismatch")
        elif seen is None or slot in unverifiable:
            yield Check(slot, expected, None, "not verified")
        else:
            yield Check(slot, expected, seen, "ok")


def _threads(plan: Plan, kernel: Kernel) -> Iterator[Check]:
    threads = kernel.threads()
    if threads is None:
        # Elsewhere credentials belong to the process; on Linux this is a blind spot.
        if kernel.platform.linux_credentials:
            yield Check("every other thread", "as planned", None, "not verified")
        return
    last, differences = None, []
    for thread, observed in threads.items():
        # Threads that are alike have one value in common: compared once, it speaks for all.
        if observed is not last:
            last, differences = observed, list(plan.goal.differences(observed))
        for found in differences:
            yield Check(found.slot, found.expected, found.observed, "mismatch", thread)
        if not differences:
            yield Check("every slot in /proc", "as planned", "as planned", "ok", thread)


def _marks(
    plan: Plan, kernel: Kernel, landmarks: Landmarks, step: Step
) -> Iterator[tuple[str, object, object]]:
    """Yield slot, expected and found, for a step that no slot of the credentials shows."""
    match step:
        case SetResourceLimit(limit):
            yield f"limit {limit.resource}", limit, kernel.resource_limit(limit.resource)
        case SetNice(value):
            yield "nice value", value, kernel.nice()
        case NewSessionKeyring():
            new = kernel.session_keyring()
            yield "a new session keyring", True, new is not None and new != landmarks.keyring
        case ChangeRoot():
            yield "root directory", landmarks.root, kernel.directory_id("/")
            if not any(isinstance(other, ChangeDirectory) for other in plan.steps):
                yield "working directory", landmarks.root, kernel.directory_id(".")
        case ChangeDirectory(path):
            yield "working directory", kernel.directory_id(path), kernel.directory_id(".")
        case SetParentDeathSignal(signal):
            yield "parent-death signal", signal, kernel.parent_death_signal()
        case SetEnvironment():
            yield from _environment(step, kernel.environment())
        case _:
            pass


def _environment(
    step: SetEnvironment, present: dict[str, str]
) -> Iterator[tuple[str, object, object]]:
    for name, value in step.assign:
        yield f"environment variable {name}", value, present.get(name)
    for name in step.remove:
        yield f"environment variable {name}", None, present.get(name)
    if step.retain is not None:
        allowed = {*step.retain, *(name for name, _ in step.assign)}
        yield "other environment variables", [], sorted(set(present) - allowed)
