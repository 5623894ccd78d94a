"""``abdicate run``: give up root, then execute a command in its own place.

Same process id, no process left in between: signals and the exit status are the command's own.
"""

from __future__ import annotations

import errno
import os
import sys

from abdicate.cli.options import Parser, add_command, add_drop_options, command_of, request
from abdicate.cli.target import EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND, find, undo_locale_coercion
from abdicate.executor import execute
from abdicate.kernel import system_kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from abdicate.process.pidlock import HeldPidfile

__all__ = ["main"]


def main(words: list[str]) -> int:
    """Drop and execute; return only where that failed."""
    parser = Parser(
        "run", "Give up root, then execute a command.", "[OPTION…] [--] COMMAND [ARGUMENT…]"
    )
    add_drop_options(parser)
    parser.add_argument(
        "--pidfile", metavar="FILE", help="held while the command runs; taken before the drop"
    )
    add_command(parser)
    options = parser.parse_args(words)
    command = command_of(parser, options)
    kernel = system_kernel()
    plan = request(options).plan(kernel=kernel)
    target = find(command[0], plan, kernel)
    if target.refusal:
        # Said now, while nothing has changed and the terminal is still the caller's.
        print(f"abdicate run: {target.refusal}", file=sys.stderr)
        return target.status
    held = None if options.pidfile is None else _hold(options.pidfile)
    try:
        undo_locale_coercion()
        execute(plan, kernel)
        return _execute(target.path, command)
    finally:
        # Reached only where there is no command that holds it.
        if held is not None:
            held.release()


def _hold(path: str) -> HeldPidfile:
    from abdicate.process.pidlock import PidLock

    held = PidLock(os.path.abspath(path)).acquire()
    # The lock is the descriptor's, and the command's with it.
    os.set_inheritable(held.fileno(), True)
    return held


def _execute(path: str, command: list[str]) -> int:
    try:
        os.execve(path, command, os.environ)  # noqa: S606 - a shell would be the danger
    except OSError as error:
        hint = ""
        if error.errno == errno.EAGAIN:
            hint = "; the new user has as many processes as RLIMIT_NPROC allows, execve(2)"
        print(f"abdicate run: can't execute {path}: {error.strerror}{hint}", file=sys.stderr)
        return EXIT_NOT_FOUND if error.errno == errno.ENOENT else EXIT_NOT_EXECUTABLE
