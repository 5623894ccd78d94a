"""Misuse, one a line: each ``# wrong:`` names mypy's code, pyright's rule. Never executed.

The test compares these lines with what the checkers say: an error too few is a failure, and so
is one too many.
"""

from __future__ import annotations

import socket

from abdicate import (
    Dropped,
    DropRequest,
    PidLock,
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
from abdicate.platforms import maybe_drop_privileges, parse_uid, setgroups, signals


def serve(listening: socket.socket, proof: Dropped) -> None:
    """Demand the drop."""


def before_the_drop(listening: socket.socket, plan: Plan) -> None:
    """Serve without a proof, or with something that is none."""
    serve(listening)  # wrong: call-arg, reportCallIssue
    serve(listening, plan)  # wrong: arg-type, reportArgumentType
    serve(listening, True)  # wrong: arg-type, reportArgumentType
    serve(listening, rehearse(plan))  # wrong: arg-type, reportArgumentType
    serve(listening, Dropped())  # wrong: call-arg, reportCallIssue
    serve(listening, Dropped(plan))  # wrong: arg-type, reportArgumentType


class Forged(Dropped):  # wrong: misc, reportGeneralTypeIssues
    """Derive a proof."""


def frozen(plan: Plan, drop: PrivilegeDrop, proof: Dropped) -> None:
    """Assign to what is immutable."""
    plan.steps = ()  # wrong: misc, reportAttributeAccessIssue
    plan.identity.uid = Uid(0)  # wrong: misc, reportAttributeAccessIssue
    drop.user = "root"  # wrong: misc, reportAttributeAccessIssue
    proof.report.plan.goal.umask = 0  # wrong: misc, reportAttributeAccessIssue
    proof.report = proof.report  # wrong: misc, reportAttributeAccessIssue


def numbers(policy: DropPolicy, situation: Situation) -> None:
    """Give a plain number where an id is wanted."""
    ResUid.all(1000)  # wrong: arg-type, reportArgumentType
    plan_drop(1000, policy, situation)  # wrong: arg-type, reportArgumentType
    uid: Uid = 0  # wrong: assignment, reportAssignmentType
    ResUid.all(uid)
    ResUid(Uid(0), Uid(0), 0)  # wrong: arg-type, reportArgumentType


def execution(plan: Plan, drop: PrivilegeDrop) -> None:
    """Take one thing for another."""
    once: Dropped = execute(plan)
    execute(once)  # wrong: arg-type, reportArgumentType
    execute(drop)  # wrong: arg-type, reportArgumentType
    execute()  # wrong: call-arg, reportCallIssue
    execute("nobody")  # wrong: arg-type, reportArgumentType


def execution_twice(listening: socket.socket, plan: Plan) -> None:
    """Take a plan that was executed, or the first execution's report, for a second proof.

    To execute it once more is no error of types: a plan is a value, and stays one. At runtime
    the executor refuses it where the process is no longer what the plan was made for.
    """
    first = execute(plan)
    serve(listening, first)
    execute(plan)
    serve(listening, plan)  # wrong: arg-type, reportArgumentType
    serve(listening, first.report)  # wrong: arg-type, reportArgumentType
    serve(listening, execute)  # wrong: arg-type, reportArgumentType
    serve(listening, first.report.plan)  # wrong: arg-type, reportArgumentType
    execute(plan, first)  # wrong: arg-type, reportArgumentType


def functions() -> None:
    """Call the function API with what it refuses."""
    maybe_drop_privileges(3.9)  # wrong: arg-type, reportArgumentType
    maybe_drop_privileges(uid=b"nobody")  # wrong: arg-type, reportArgumentType
    maybe_drop_privileges("web", "web", "web")  # wrong: call-arg, reportCallIssue
    setgroups(1000)  # wrong: arg-type, reportArgumentType
    parse_uid(None)  # wrong: arg-type, reportArgumentType
    signals["TERM"] = 1.5  # wrong: assignment, reportArgumentType


def policies() -> None:
    """Spell a policy that there is not."""
    PrivilegeDrop(user="web", groups="all")  # wrong: arg-type, reportArgumentType
    PrivilegeDrop(user="web", environment="clean")  # wrong: arg-type, reportArgumentType
    PrivilegeDrop(user="web", no_such_field=1)  # wrong: call-arg, reportCallIssue
    DropPolicy(environment="clean")  # wrong: arg-type, reportArgumentType
    PidLock("/run/web.pid", stale="always")  # wrong: arg-type, reportArgumentType
    DropRequest(owner="web:web")  # wrong: arg-type, reportArgumentType
