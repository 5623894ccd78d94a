"""``abdicate run``: give up root, then execute a command in its own place.

Same process id, no process left in between: signals and the exit status are the command's own.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys

from abdicate.cli.options import Parser, UsageError, add_drop_options, request
from abdicate.executor import execute
from abdicate.identity.reach import script_interpreter
from abdicate.kernel import system_kernel
from abdicate.plan.steps import ChangeRoot, SetEnvironment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from abdicate.kernel.port import Kernel
    from abdicate.plan.plan import Plan

__all__ = ["main"]

_EXIT_NOT_EXECUTABLE = 126
_EXIT_NOT_FOUND = 127
_DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"


def main(words: list[str]) -> int:
    """Drop and execute; return only where that failed."""
    parser = Parser(
        "run", "Give up root, then execute a command.", "[OPTION…] [--] COMMAND [ARGUMENT…]"
    )
    add_drop_options(parser)
    parser.add_argument("command", nargs=argparse.REMAINDER, help="what to execute")
    options = parser.parse_args(words)
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command or not command[0]:
        raise UsageError(f"there is no command to execute; see {parser.prog} --help")
    kernel = system_kernel()
    plan = request(options).plan(kernel=kernel)
    _undo_locale_coercion()
    target = _find(command[0], plan, kernel)
    if target.refusal:
        # Said now, while nothing has changed and the terminal is still the caller's.
        print(f"abdicate run: {target.refusal}", file=sys.stderr)
        return target.status
    execute(plan, kernel)
    return _execute(target.path, command)


class _Target:
    """Where the command is, or why it is not."""

    def __init__(self, path: str, refusal: str = "", status: int = 0) -> None:
        self.path = path
        self.refusal = refusal
        self.status = status


def _find(command: str, plan: Plan, kernel: Kernel) -> _Target:
    """Look the command up as execvp(3) will see it: as the new user, in the new root."""
    root = next((step.path for step in plan.steps if isinstance(step, ChangeRoot)), "/")
    refusals = []
    for path in _candidates(command, plan, root):
        outside = path if root == "/" else root.rstrip("/") + path
        if not os.path.lexists(outside):
            continue
        refusal = kernel.obstacle(path, plan.identity, root=root)
        interpreter = None if refusal else script_interpreter(outside)
        if interpreter is not None:
            found = kernel.obstacle(interpreter, plan.identity, root=root)
            refusal = found and f"{path} is a script, and its interpreter {found}"
        if not refusal:
            return _Target(path)
        refusals.append(refusal)
    if refusals:
        return _Target("", f"can't execute {command!r}: {refusals[0]}", _EXIT_NOT_EXECUTABLE)
    return _Target("", f"there is no command {command!r}", _EXIT_NOT_FOUND)


def _candidates(command: str, plan: Plan, root: str) -> list[str]:
    start = plan.policy.working_directory or ("/" if root != "/" else os.getcwd())
    if "/" in command:
        return [os.path.join(start, command)]
    search = os.environ.get("PATH", _DEFAULT_PATH)
    for step in plan.steps:
        if isinstance(step, SetEnvironment):
            search = dict(step.assign).get("PATH", search)
    # An empty entry is the working directory, environ(7).
    return [os.path.join(start, folder, command) for folder in search.split(":")]


def _undo_locale_coercion() -> None:
    # In the C locale Python sets LC_CTYPE for itself (PEP 538); the command was not to have it.
    try:
        with open("/proc/self/environ", "rb") as file:
            given = file.read().split(b"\0")
    except OSError:
        return
    if not any(entry.startswith(b"LC_CTYPE=") for entry in given):
        os.environ.pop("LC_CTYPE", None)


def _execute(path: str, command: list[str]) -> int:
    try:
        os.execve(path, command, os.environ)  # noqa: S606 - a shell would be the danger
    except OSError as error:
        hint = ""
        if error.errno == errno.EAGAIN:
            hint = "; the new user has as many processes as RLIMIT_NPROC allows, execve(2)"
        print(f"abdicate run: can't execute {path}: {error.strerror}{hint}", file=sys.stderr)
        return _EXIT_NOT_FOUND if error.errno == errno.ENOENT else _EXIT_NOT_EXECUTABLE
