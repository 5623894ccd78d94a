"""The report: what a drop did, what was found afterwards, and what the attacks achieved. Pure."""

from __future__ import annotations

from abdicate.errors import SpecError
from abdicate.identity.credentials import Credentials
from abdicate.plan.codec import decode, encode, reader, without_version
from abdicate.plan.plan import Plan
from abdicate.plan.steps import Step
from abdicate.plan.text import json_text
from abdicate.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    Result = Literal["done", "failed", "not reached"]
    Verdict = Literal["ok", "mismatch", "not verified"]
    AttemptResult = Literal["refused", "succeeded", "not tried"]

__all__ = ["REPORT_VERSION", "Attempt", "Check", "DropReport", "StepOutcome"]

#: The version of the JSON form. It goes up when a reader of the old form would misread the new.
REPORT_VERSION = 1


class StepOutcome(Value):
    """What became of one step; ``error`` is the kernel's answer to a failed one."""

    step: Step
    result: Result
    error: str | None = None

    def __post_init__(self) -> None:
        _one_of("result", self.result, ("done", "failed", "not reached"))


class Check(Value):
    """One slot that was read back. ``thread`` is None where the slot is the whole process's."""

    slot: str
    expected: str
    observed: str | None
    verdict: Verdict
    thread: int | None = None

    def __post_init__(self) -> None:
        _one_of("verdict", self.verdict, ("ok", "mismatch", "not verified"))

    def __str__(self) -> str:
        where = "" if self.thread is None else f" (thread {self.thread})"
        if self.verdict == "not verified":
            return f"{self.slot}{where}: expected {self.expected}, could not be read here"
        return f"{self.slot}{where}: expected {self.expected}, observed {self.observed}"


class Attempt(Value):
    """One try to take back what was given up. ``detail`` is the kernel's answer, or why not."""

    call: str
    result: AttemptResult
    detail: str = ""

    def __post_init__(self) -> None:
        _one_of("result", self.result, ("refused", "succeeded", "not tried"))

    def __str__(self) -> str:
        return f"{self.call}: {self.result}{self.detail and f' ({self.detail})'}"


class DropReport(Value):
    """What a drop did.

    Attributes:
        plan: what was to happen.
        outcomes: each step of the plan, with what became of it.
        checks: each slot that was read back, in every thread.
        attempts: each try to take something back.
        before: what the calling thread held before the first step.
        after: what it held at the end; None where that was not reached.
        surrendered: after a failure, what was still given up, and what could not be.
        failure: what went wrong, in one sentence; None where nothing did.
    """

    plan: Plan
    outcomes: tuple[StepOutcome, ...]
    checks: tuple[Check, ...]
    attempts: tuple[Attempt, ...]
    before: Credentials
    after: Credentials | None
    surrendered: tuple[str, ...] = ()
    failure: str | None = None

    @property
    def ok(self) -> bool:
        """Tell whether the goal was reached, and nothing given up could be taken back."""
        return self.failure is None

    @property
    def mismatches(self) -> tuple[Check, ...]:
        """The checks that found something else than the plan promised."""
        return tuple(check for check in self.checks if check.verdict == "mismatch")

    @property
    def unverified(self) -> tuple[Check, ...]:
        """The checks that could not be made here. They are neither good nor bad."""
        return tuple(check for check in self.checks if check.verdict == "not verified")

    @property
    def regained(self) -> tuple[Attempt, ...]:
        """The tries that took something back."""
        return tuple(attempt for attempt in self.attempts if attempt.result == "succeeded")

    def explain(self) -> str:
        """Return the report as people read it."""
        lines = [f"Became {self.plan.identity}." if self.ok else f"FAILED: {self.failure}"]
        marks = {"done": "done", "failed": "FAILED", "not reached": "not reached"}
        for outcome in self.outcomes:
            answer = f" ({outcome.error})" if outcome.error else ""
            lines.append(f"  {marks[outcome.result]:11}  {outcome.step.sentence()}{answer}")
        good = sum(check.verdict == "ok" for check in self.checks)
        refused = sum(attempt.result == "refused" for attempt in self.attempts)
        lines.append(f"Read back: {good} of {len(self.checks)} as planned.")
        lines += [f"  MISMATCH  {check}" for check in self.mismatches]
        lines += [f"  not verified  {check}" for check in self.unverified]
        lines.append(f"Tries to take it back: {refused} of {len(self.attempts)} refused.")
        lines += [f"  {attempt}" for attempt in self.attempts if attempt.result != "refused"]
        lines += [f"  given up after the failure: {done}" for done in self.surrendered]
        return "\n".join(lines)

    def to_data(self) -> dict[str, object]:
        """Return the report as what JSON can hold, with its version."""
        return {"version": REPORT_VERSION, "ok": self.ok} | encode(self)

    def to_json(self) -> str:
        """Return the report as JSON text, indented, with a final newline."""
        return json_text(self.to_data()) + "\n"

    @classmethod
    def from_data(cls, data: object) -> DropReport:
        """Return the report that `to_data` gave.

        Raises:
            SpecError: if it is not one.
        """
        fields = without_version(data, REPORT_VERSION, "report")
        said = fields.pop("ok", None)
        report = decode("report", fields, cls)
        if said is not report.ok:
            raise SpecError("report.ok", said, f"the rest of the report says {report.ok}")
        return report


def _one_of(field: str, text: str, known: tuple[str, ...]) -> None:
    if text not in known:
        raise SpecError(field, text, f"one of {', '.join(known)} is wanted")


for _kind in (Plan, StepOutcome, Check, Attempt):
    reader(_kind)
