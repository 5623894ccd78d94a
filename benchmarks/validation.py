"""From outside to a plan, warm: what pydantic takes of it, and what the look at the machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from abdicate.identity.accounts import Account, StaticAccounts
from abdicate.identity.ids import Gid, Uid
from abdicate.identity.resolve import resolve
from abdicate.kernel import system_kernel
from abdicate.plan.planner import plan_drop
from abdicate.specs.drop import PrivilegeDrop
from benchmarks.harness import AtMost, Contest, Way, timed

__all__ = ["contests"]

_GIVEN = {"user": "nobody"}
_ACCOUNTS = StaticAccounts([Account("nobody", Uid(65534), Gid(65534))])
_OFTEN = 200  # a sample is the mean of so many


def contests(quick: bool) -> Iterator[Contest]:
    """Yield the rows: pure, and with everything read from the machine."""
    rounds = 9 if quick else 31
    validation = _mean("pydantic's validation alone", _validate)
    situation = system_kernel().situation()

    def pure() -> None:
        request = PrivilegeDrop.model_validate(_GIVEN).request()
        identity = resolve(request.owner, request.groups, _ACCOUNTS, situation.credentials)
        plan_drop(identity, request.policy, situation)

    yield Contest(
        "`PrivilegeDrop.model_validate` and plan, warm, the machine read before",
        _mean("abdicate", pure),
        [validation],
        AtMost(60e-6, "≤ 60 µs"),
        rounds,
    )
    yield Contest(
        "the same, and the machine read each time",
        _mean("abdicate", lambda: PrivilegeDrop.model_validate(_GIVEN).plan()),
        [validation, _mean("reading the machine alone", system_kernel().situation)],
        None,
        rounds,
    )


def _validate() -> None:
    PrivilegeDrop.model_validate(_GIVEN)


def _mean(name: str, work: Callable[[], object]) -> Way:
    def often() -> None:
        for _ in range(_OFTEN):
            work()

    return Way(name, lambda: timed(often) / _OFTEN)
