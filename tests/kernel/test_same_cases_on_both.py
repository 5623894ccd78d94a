"""The same drops on the model and on the real kernel end in the same report, slot by slot."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from abdicate.errors import IncompleteDropError, PreflightError
from abdicate.executor import execute
from abdicate.identity.resolve import Identity
from abdicate.kernel.linux import LinuxKernel
from abdicate.kernel.port import Kernel
from abdicate.plan.plan import Plan
from abdicate.plan.planner import plan_drop
from abdicate.plan.policy import DropPolicy
from abdicate.plan.report import DropReport
from abdicate.testing import FakeKernel
from harness.child import in_child
from kernel.cases import IDENTITIES, POLICIES
from model.mirror import LIMITS, machine, mirror
from model.starts import EVERYONES, ROOTS

ALLOWED = {"allow_root": True, "allow_root_group": True}


def _outcome(plan: Plan, kernel: Kernel) -> dict[str, object]:
    """What became of a plan, without the numbers that are the machine's own."""
    try:
        report = execute(plan, kernel).report
    except PreflightError as error:
        return {"refused": error.reasons}
    except IncompleteDropError as error:
        return {"error": str(error)} | _told(error.report)
    return _told(report)


def _told(report: DropReport) -> dict[str, object]:
    threads = sorted({check.thread for check in report.checks if check.thread is not None})
    return {
        "failure": report.failure,
        "surrendered": report.surrendered,
        "outcomes": [(o.step, o.result, o.error) for o in report.outcomes],
        "goal": report.plan.goal,
        "before": report.before,
        "after": report.after,
        # The numbers of a directory, a keyring or a thread are the machine's.
        "checks": [
            (c.slot, c.verdict, None if c.thread is None else threads.index(c.thread))
            for c in report.checks
        ],
        "attempts": report.attempts,
    }


def _both(
    establish: Callable[[], None], identity: Identity, policy: DropPolicy
) -> tuple[dict[str, object], dict[str, object]]:
    machine()

    def drop() -> tuple[dict[str, object], dict[str, object]]:
        establish()
        kernel = LinuxKernel()
        fake = mirror(kernel, FakeKernel)
        plan = plan_drop(identity, policy, kernel.situation(LIMITS))
        assert plan == plan_drop(identity, policy, fake.situation(LIMITS))
        return _outcome(plan, fake), _outcome(plan, kernel)

    return in_child(drop)


def _compare(establish: Callable[[], None], identity: Identity, policy: DropPolicy) -> None:
    modelled, found = _both(establish, identity, policy.replace(**ALLOWED))
    assert modelled.keys() == found.keys()
    for part in found:
        assert modelled[part] == found[part], part


@pytest.mark.needs("root")
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("who", IDENTITIES)
def test_root_with_groups_drops_alike(who: str, policy: str) -> None:
    _compare(ROOTS["with groups"], IDENTITIES[who], POLICIES[policy])


@pytest.mark.needs("root", "user namespace")
@pytest.mark.parametrize("start", ROOTS)
def test_every_start_of_root_drops_alike(start: str) -> None:
    for who, policy in itertools.product(
        ("a user with an entry", "root"),
        ("plain", "one capability kept over an exec", "locked securebits", "all at once"),
    ):
        _compare(ROOTS[start], IDENTITIES[who], POLICIES[policy])


@pytest.mark.needs("linux", "user namespace")
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("start", EVERYONES)
def test_everyone_drops_alike(start: str, policy: str) -> None:
    for who in ("a user with an entry", "another group, the same user", "root"):
        _compare(EVERYONES[start], IDENTITIES[who], POLICIES[policy])
