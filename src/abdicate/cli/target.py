"""Which file a command is, and whether the new user can execute it: told before the drop."""

from __future__ import annotations

import os

from abdicate.identity.reach import script_interpreter
from abdicate.plan.steps import ChangeRoot, SetEnvironment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from abdicate.kernel.port import Kernel
    from abdicate.plan.plan import Plan

__all__ = ["EXIT_NOT_EXECUTABLE", "EXIT_NOT_FOUND", "Target", "find", "undo_locale_coercion"]

EXIT_NOT_EXECUTABLE = 126
EXIT_NOT_FOUND = 127

_DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"


class Target:
    """Where the command is, or why it is not: its path, or a refusal and an exit status."""

    def __init__(self, path: str, refusal: str = "", status: int = 0) -> None:
        self.path = path
        self.refusal = refusal
        self.status = status


def find(command: str, plan: Plan, kernel: Kernel, *, start: str | None = None) -> Target:
    """Look the command up as execvp(3) will see it: as the new user, in the new root.

    *start* is the directory that the process will be in; None: where it is now.
    """
    root = next((step.path for step in plan.steps if isinstance(step, ChangeRoot)), "/")
    refusals = []
    for path in _candidates(command, plan, root, start):
        outside = path if root == "/" else root.rstrip("/") + path
        if not os.path.lexists(outside):
            continue
        refusal = kernel.obstacle(path, plan.identity, root=root)
        interpreter = None if refusal else script_interpreter(outside)
        if interpreter is not None:
            found = kernel.obstacle(interpreter, plan.identity, root=root)
            refusal = found and f"{path} is a script, and its interpreter {found}"
        if not refusal:
            return Target(path)
        refusals.append(refusal)
    if refusals:
        return Target("", f"can't execute {command!r}: {refusals[0]}", EXIT_NOT_EXECUTABLE)
    return Target("", f"there is no command {command!r}", EXIT_NOT_FOUND)


def _candidates(command: str, plan: Plan, root: str, start: str | None) -> list[str]:
    start = plan.policy.working_directory or ("/" if root != "/" else start or os.getcwd())
    if "/" in command:
        return [os.path.join(start, command)]
    search = os.environ.get("PATH", _DEFAULT_PATH)
    for step in plan.steps:
        if isinstance(step, SetEnvironment):
            search = dict(step.assign).get("PATH", search)
    # An empty entry is the working directory, environ(7).
    return [os.path.join(start, folder, command) for folder in search.split(":")]


def undo_locale_coercion() -> None:
    """Take back what Python put into the environment for itself."""
    # In the C locale Python sets LC_CTYPE for itself (PEP 538); the command was not to have it.
    try:
        with open("/proc/self/environ", "rb") as file:
            given = file.read().split(b"\0")
    except OSError:
        return
    if not any(entry.startswith(b"LC_CTYPE=") for entry in given):
        os.environ.pop("LC_CTYPE", None)
