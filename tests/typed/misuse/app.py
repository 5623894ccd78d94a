"""Misuse, one a line: each ``# wrong:`` names mypy's code. Never executed.

The test compares these lines with what the checker says: an error too few is a failure, and so
is one too many.
"""

from __future__ import annotations

import socket

from abdicate import (
    Dropped,
    Plan,
    PrivilegeDrop,
    execute,
    plan_drop,
    rehearse,
)
from abdicate.identity.credentials import ResUid
from abdicate.identity.ids import Uid
from abdicate.identity.situation import Situation
from abdicate.plan.policy import DropPolicy
from abdicate.platforms import maybe_drop_privileges, signals


def serve(listening: socket.socket, proof: Dropped) -> None:
    """Demand the drop."""


def before_the_drop(listening: socket.socket, plan: Plan) -> None:
    """Serve without a proof, or with something that is none."""
    serve(listening)  # wrong: call-arg
    serve(listening, plan)  # wrong: arg-type
    serve(listening, True)  # wrong: arg-type
    serve(listening, rehearse(plan))  # wrong: arg-type
    serve(listening, Dropped())  # wrong: call-arg
    serve(listening, Dropped(plan))  # wrong: arg-type


class Forged(Dropped):  # wrong: misc
    """Derive a proof."""


def frozen(plan: Plan, drop: PrivilegeDrop, proof: Dropped) -> None:
    """Assign to what is immutable."""
    plan.steps = ()  # wrong: misc
    plan.identity.uid = Uid(0)  # wrong: misc
    drop.user = "root"  # wrong: misc
    proof.report.plan.goal.umask = 0  # wrong: misc


def numbers(policy: DropPolicy, situation: Situation) -> None:
    """Give a plain number where an id is wanted."""
    ResUid.all(1000)  # wrong: arg-type
    plan_drop(1000, policy, situation)  # wrong: arg-type
    uid: Uid = 0  # wrong: assignment
    ResUid.all(uid)


def execution(plan: Plan, drop: PrivilegeDrop) -> None:
    """Take one thing for another."""
    once: Dropped = execute(plan)
    execute(once)  # wrong: arg-type
    execute(drop)  # wrong: arg-type


def functions() -> None:
    """Call the function API with what it refuses."""
    maybe_drop_privileges(3.9)  # wrong: arg-type
    maybe_drop_privileges(uid=b"nobody")  # wrong: arg-type
    signals["TERM"] = 1.5  # wrong: assignment


def policies() -> None:
    """Spell a policy that there is not."""
    PrivilegeDrop(user="web", groups="all")  # wrong: arg-type
    PrivilegeDrop(user="web", environment="clean")  # wrong: arg-type
    PrivilegeDrop(user="web", no_such_field=1)  # wrong: call-arg
