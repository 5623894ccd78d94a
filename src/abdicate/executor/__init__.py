"""The executor: one loop over the steps, then the proof.

Nothing is decided here and nothing is looked up. The plan is checked against the process as it
is now; then its steps are made; then every slot of every thread is read back, and what was given
up is attacked. Whatever goes wrong after the first step has begun ends in an
`IncompleteDropError`, which ``except Exception`` can't swallow, after giving up what could still
be given up. A partial drop can't be undone, so nothing here tries.

Nothing is imported between the first step and the end: the new user may not be able to read the
interpreter's files, and after a chroot there may be none.
"""

from __future__ import annotations

import errno

from abdicate.errors import (
    CredentialMismatchError,
    IncompleteDropError,
    PreflightError,
    PrivilegeRegainableError,
)
from abdicate.executor.apply import apply, named, surrender
from abdicate.executor.attack import attempts
from abdicate.executor.proof import Dropped, prove
from abdicate.executor.verify import Landmarks, checks
from abdicate.identity.capabilities import Capability, CapabilitySet
from abdicate.identity.credentials import Credentials
from abdicate.identity.ids import Uid
from abdicate.identity.resolve import Identity
from abdicate.identity.situation import Situation
from abdicate.kernel import system_kernel
from abdicate.plan.plan import Plan
from abdicate.plan.preflight import obstacles
from abdicate.plan.report import Attempt, Check, DropReport, StepOutcome
from abdicate.plan.steps import (
    ChangeDirectory,
    ChangeRoot,
    SetParentDeathSignal,
    SetResourceLimit,
    Step,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NoReturn

    from abdicate.kernel.port import Kernel

__all__ = ["Dropped", "effective_reach", "execute", "standing_in_the_way"]


def execute(plan: Plan, kernel: Kernel | None = None) -> Dropped:
    """Carry out *plan* in this process, verify it, and return the proof.

    Args:
        plan: the steps; made for this process, as it is now.
        kernel: what to act on; None is the machine's own.

    Raises:
        PreflightError: something stands in the way; with every reason. Nothing has changed.
        UnsupportedPlatformError: on Windows. Nothing has changed.
        IncompleteDropError: a step failed, after others may have been made. Not an `Exception`.
        CredentialMismatchError: the steps were made, and the process is not what was planned.
        PrivilegeRegainableError: something that was given up could be taken back.
    """
    kernel = system_kernel() if kernel is None else kernel
    kernel.prepare()
    try:
        reasons = standing_in_the_way(plan, kernel)
        if reasons:
            raise PreflightError(*reasons)
        execution = _Execution(plan, kernel)
        kernel.hold_signals_back()
        report = execution.run()
        # Not after a failure: what a handler raises then could take the error's place.
        kernel.let_signals_come()
        return prove(report)
    finally:
        kernel.finish()


def standing_in_the_way(plan: Plan, kernel: Kernel) -> tuple[str, ...]:
    """Return every reason why *plan* can't be carried out here and now; none: it can.

    Changes nothing.
    """
    limits = [step.limit.resource for step in plan.steps if isinstance(step, SetResourceLimit)]
    situation = kernel.situation(limits)
    return (
        *obstacles(plan, situation),
        *_unlike_threads(situation, kernel),
        *_out_of_reach(plan, kernel),
    )


def _unlike_threads(situation: Situation, kernel: Kernel) -> Iterator[str]:
    if situation.threads == 1:
        return
    for thread, held in (kernel.threads() or {}).items():
        # libc makes its calls in every thread, and ends the process where one of them fails.
        for found in situation.credentials.differences(held):
            yield f"thread {thread} is not like this one: {found}"


def _out_of_reach(plan: Plan, kernel: Kernel) -> Iterator[str]:
    root, identity = "/", effective_reach(plan)
    for step in plan.steps:
        if isinstance(step, ChangeRoot):
            root, path, what = step.path, "/", f"the new root directory {step.path}"
        elif isinstance(step, ChangeDirectory):
            path, what = step.path, f"the working directory {step.path}"
        else:
            continue
        blocked = kernel.obstacle(path, identity, root=root, directory=True)
        if blocked:
            yield f"{what}: {blocked}"


def effective_reach(plan: Plan) -> Identity:
    """Return whose file permissions the process will have: root's, where it keeps those."""
    sets = plan.goal.capabilities
    kept = CapabilitySet.EMPTY if sets is None else sets.effective
    # capabilities(7): they bypass the mode bits of directories, the first those of files too.
    if Capability.DAC_OVERRIDE in kept or Capability.DAC_READ_SEARCH in kept:
        return plan.identity.replace(uid=Uid(0))
    return plan.identity


# Times that giving up what is left begins anew, where one interrupt comes after the other.
_TRIES = 100


class _Execution:
    """One run of a plan: what was done so far, and what was found."""

    def __init__(self, plan: Plan, kernel: Kernel) -> None:
        self._plan = plan
        self._kernel = kernel
        self._before = kernel.credentials()
        self._landmarks = Landmarks(plan, kernel)
        self._outcomes: list[StepOutcome] = []
        self._checks: tuple[Check, ...] = ()
        self._attempts: list[Attempt] = []
        self._after: Credentials | None = None

    def run(self) -> DropReport:
        # Nothing may leave from here but a report or an IncompleteDropError: no
        # KeyboardInterrupt between two steps, no MemoryError in the verification.
        try:
            for step in self._plan.steps:
                self._make(step)
            self._verify()
            self._attack()
        except IncompleteDropError:
            raise
        except BaseException as error:  # noqa: BLE001 - raised again, as what it is
            self._fail(IncompleteDropError, f"it was interrupted by {named(error)}", error)
        return self._report()

    def _make(self, step: Step) -> None:
        try:
            apply(self._kernel, step)
            if isinstance(step, SetParentDeathSignal) and step.signal:
                self._see_that_the_parent_lives()
        except BaseException as error:  # noqa: BLE001 - raised again, with the step
            self._outcomes.append(StepOutcome(step, "failed", named(error)))
            what = f"step {len(self._outcomes)}, {step.kind}: {step.sentence()} {named(error)}"
            self._fail(IncompleteDropError, what, error)
        self._outcomes.append(StepOutcome(step, "done"))

    def _see_that_the_parent_lives(self) -> None:
        # It may have died before the signal was armed, and then nothing will ever be sent.
        now = self._kernel.parent()
        if now != self._landmarks.parent:
            found = f"the parent {self._landmarks.parent} has died, and it is {now} now"
            raise ProcessLookupError(errno.ESRCH, found)

    def _verify(self) -> None:
        self._after = self._kernel.credentials()
        self._checks = tuple(checks(self._plan, self._kernel, self._landmarks, self._after))
        mismatches = [str(check) for check in self._checks if check.verdict == "mismatch"]
        if mismatches:
            what = "the process is not what was planned: " + "; ".join(mismatches)
            self._fail(CredentialMismatchError, what)

    def _attack(self) -> None:
        for attempt in attempts(self._kernel, self._before, self._plan.goal):
            self._attempts.append(attempt)
            if attempt.result == "succeeded":
                # The process is privileged again, right now. Out, and not one call more.
                self._fail(PrivilegeRegainableError, f"{attempt.call} took back what was given up")

    def _fail(
        self, kind: type[IncompleteDropError], failure: str, cause: BaseException | None = None
    ) -> NoReturn:
        surrendered: tuple[str, ...] = ()
        for _ in range(_TRIES):
            try:
                surrendered = surrender(self._kernel, self._plan)
                break
            except BaseException:  # noqa: BLE001, S112 - an interrupt does not keep root
                continue
        report = self._report().replace(surrendered=surrendered, failure=failure)
        raise kind(f"incomplete drop, leave this process: {failure}", report) from cause

    def _report(self) -> DropReport:
        missing = self._plan.steps[len(self._outcomes) :]
        return DropReport(
            plan=self._plan,
            outcomes=(*self._outcomes, *(StepOutcome(step, "not reached") for step in missing)),
            checks=self._checks,
            attempts=tuple(self._attempts),
            before=self._before,
            after=self._after,
        )
