"""Which file a command is, and whether the new user can execute it: told before the drop."""

from __future__ import annotations

import os
import sys

from abdicate.cli.console import Refusal
from abdicate.errors import shown
from abdicate.executor import effective_reach
from abdicate.identity.ids import Uid
from abdicate.identity.reach import find_obstacle
from abdicate.plan.steps import ChangeRoot, SetEnvironment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from abdicate.plan.plan import Plan

__all__ = ["EXIT_NOT_EXECUTABLE", "EXIT_NOT_FOUND", "find", "undo_locale_coercion"]

EXIT_NOT_EXECUTABLE = 126
EXIT_NOT_FOUND = 127

_DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"


def find(command: str, plan: Plan, *, start: str | None = None) -> str:
    """Return the path of *command*, as execvp(3) will find it: as the new user, in the new root.

    Args:
        command: a name to look for in PATH, or a path.
        plan: what the process will be by then.
        start: the directory that it will be in; None: where it is now.

    Raises:
        Refusal: there is none, or none that the new user could execute.
    """
    root = next((step.path for step in plan.steps if isinstance(step, ChangeRoot)), "/")
    there = plan.policy.working_directory or ("/" if root != "/" else start)
    refusal = None
    for path in _candidates(command, plan):
        if there is not None:
            path = os.path.join(there, path)
        # As root first: behind a folder of PATH that is closed to the user, there may be nothing.
        blocked = find_obstacle(path, plan.identity.replace(uid=Uid(0)), root=root)
        if blocked is None:
            blocked = find_obstacle(path, effective_reach(plan), root=root)
        if blocked is None:
            return path
        # What can't be seen in a folder of PATH was not asked for: most likely there is nothing.
        passed_over = blocked.missing or (blocked.unseen and "/" not in command)
        if not passed_over and refusal is None:
            refusal = blocked
    if refusal is None:
        raise Refusal(f"there is no command {shown(command)}", EXIT_NOT_FOUND)
    raise Refusal(f"can't execute {shown(command)}: {refusal}", EXIT_NOT_EXECUTABLE)


def _candidates(command: str, plan: Plan) -> list[str]:
    if "/" in command:
        return [command]
    search = os.environ.get("PATH", _DEFAULT_PATH)
    for step in plan.steps:
        if isinstance(step, SetEnvironment):
            search = dict(step.assign).get("PATH", search)
    # An empty entry is the working directory, environ(7).
    return [f"{folder or '.'}/{command}" for folder in search.split(":")]


def undo_locale_coercion() -> None:
    """Take back what Python put into the environment for itself.

    In the C locale it sets LC_CTYPE (PEP 538), which the command would inherit.
    """
    if sys.platform != "linux":
        return
    try:
        with open("/proc/self/environ", "rb") as file:
            given = file.read().split(b"\0")
    except OSError:
        return
    for entry in given:
        if entry.startswith(b"LC_CTYPE="):
            os.environ["LC_CTYPE"] = os.fsdecode(entry.partition(b"=")[2])
            return
    os.environ.pop("LC_CTYPE", None)
