"""``abdicate run``: give up root, then execute a command in its own place.

Same process id, no process left in between: signals and the exit status are the command's own.
"""

from __future__ import annotations

import errno
import os

from abdicate.cli.console import Refusal
from abdicate.cli.options import (
    Parser,
    add_command,
    add_drop_options,
    command_of,
    refuse_what_an_exec_undoes,
)
from abdicate.cli.profiles import asked
from abdicate.cli.target import EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND, find, undo_locale_coercion
from abdicate.errors import PreflightError
from abdicate.executor import execute, standing_in_the_way
from abdicate.kernel import system_kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from abdicate.process.pidlock import HeldPidfile
    from abdicate.service import Service

__all__ = ["main", "parser"]


def parser() -> Parser:
    """Return what the command line of ``run`` may say."""
    words = Parser(
        "run", "Give up root, then execute a command.", "[OPTION…] [--] COMMAND [ARGUMENT…]"
    )
    add_drop_options(words)
    words.add_argument(
        "--pidfile", metavar="FILE", help="held while the command runs; taken before the drop"
    )
    add_command(words)
    return words


def main(words: list[str]) -> int:
    """Drop and execute; this returns only where that failed."""
    known = parser()
    options = known.parse_args(words)
    drop, service = asked(known, options)
    command = command_of("run", options, service)
    refuse_what_an_exec_undoes(drop.policy)
    kernel = system_kernel()
    plan = drop.plan(kernel=kernel)
    # Ahead of the command: where there is no such root directory, nothing can be found in it.
    if reasons := standing_in_the_way(plan, kernel):
        raise PreflightError(*reasons)
    path = find(command[0], plan)
    held = _hold(options.pidfile, service)
    try:
        undo_locale_coercion()
        execute(plan, kernel)
        _execute(path, command)
    finally:
        # Reached only where there is no command that holds it.
        if held is not None:
            held.release()


def _hold(path: str | None, service: Service | None) -> HeldPidfile | None:
    lock = None if service is None else service.pidfile
    if path is not None:
        from abdicate.process.pidlock import PidLock

        lock = PidLock(os.path.abspath(path))
    if lock is None:
        return None
    held = lock.acquire()
    # The lock is the descriptor's, and the command's with it.
    os.set_inheritable(held.fileno(), True)
    return held


def _execute(path: str, command: list[str]) -> NoReturn:
    # Not libc's own list: there a variable may stand twice, and the second be root's.
    environment = {name: value for name, value in os.environ.items() if name}
    try:
        os.execve(path, command, environment)  # noqa: S606 - a shell would be the danger
    except OSError as error:
        hint = ""
        if error.errno == errno.EAGAIN:
            hint = "; the new user has as many processes as RLIMIT_NPROC allows, execve(2)"
        status = EXIT_NOT_FOUND if error.errno == errno.ENOENT else EXIT_NOT_EXECUTABLE
        raise Refusal(f"can't execute {path}: {error.strerror}{hint}", status) from None
