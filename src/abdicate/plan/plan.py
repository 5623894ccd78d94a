"""The plan: immutable, ordered data. It can be read, compared, stored, and told apart."""

from __future__ import annotations

from abdicate.errors import SpecError
from abdicate.identity.credentials import Credentials, Difference
from abdicate.identity.resolve import Identity
from abdicate.plan.codec import decode, encode, without_version
from abdicate.plan.policy import DropPolicy
from abdicate.plan.steps import Step
from abdicate.plan.text import json_text
from abdicate.values import Value

__all__ = ["PLAN_VERSION", "Plan"]

#: The version of the JSON form. It goes up when a reader of the old form would misread the new.
PLAN_VERSION = 1


class Plan(Value):
    """What will happen, in which order, from what to what.

    Attributes:
        identity: who the process becomes.
        policy: what was asked for besides.
        prior: what the process held when the plan was made; the executor refuses any other.
        steps: the changes, in order. None: the goal is reached already.
        goal: what the process holds afterwards, and what is verified.
    """

    identity: Identity
    policy: DropPolicy
    prior: Credentials
    steps: tuple[Step, ...]
    goal: Credentials

    def __bool__(self) -> bool:
        return bool(self.steps)

    def changes(self) -> tuple[Difference, ...]:
        """Return every slot that differs between prior and goal."""
        return tuple(
            Difference(change.slot, change.observed, change.expected)
            for change in self.goal.differences(self.prior)
        )

    def explain(self) -> str:
        """Return the plan as people read it: each step, its system call, and why it is there."""
        lines = [f"Become {self.identity}."]
        if not self.steps:
            lines.append("Nothing to do: the process is that already.")
            return "\n".join(lines)
        lines.append("")
        for number, step in enumerate(self.steps, 1):
            call = f"  [{step.call}]" if step.call else ""
            lines.append(f"{number:2}. {step.sentence()}{call}")
            lines.append(f"    Why here: {step.reason}.")
        lines += ["", "What changes:"]
        changes = self.changes()
        width = max((len(change.slot) for change in changes), default=0)
        lines += [f"  {c.slot:{width}}  {c.expected} -> {c.observed}" for c in changes]
        if not changes:
            lines.append("  no credentials")
        return "\n".join(lines)

    def to_data(self) -> dict[str, object]:
        """Return the plan as what JSON can hold, with its version and the steps' kinds."""
        return {"version": PLAN_VERSION} | encode(self)

    def to_json(self) -> str:
        """Return the plan as JSON text, indented, with a final newline."""
        return json_text(self.to_data()) + "\n"

    @classmethod
    def from_data(cls, data: object) -> Plan:
        """Return the plan that `to_data` gave.

        Raises:
            SpecError: if it is not one: another version, an unknown step or key, a value of the
                wrong type. Nothing is passed over.
        """
        return decode("Plan", without_version(data, PLAN_VERSION, "plan"), cls)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Return the plan that `to_json` wrote.

        A stored plan is not a promise: `abdicate.executor.execute` checks it against the process
        as it checks any other, before the first step and after the last.

        Raises:
            SpecError: if *text* is not JSON, or not a plan.
        """
        import json

        try:
            data = json.loads(text, object_pairs_hook=_without_repetition)
        except (ValueError, RecursionError) as error:
            raise SpecError("plan", text, f"this is not JSON: {error}") from None
        return cls.from_data(data)


def _without_repetition(pairs: list[tuple[str, object]]) -> dict[str, object]:
    # Of two values for one key, JSON readers take the first or the last, as they like.
    data = dict(pairs)
    if len(data) != len(pairs):
        raise ValueError("a key is given twice")
    return data
