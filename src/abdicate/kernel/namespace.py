"""User namespaces: where an ordinary user may rehearse what only root can do.

user_namespaces(7), subuid(5), newuidmap(1). For child processes of a rehearsal; the process that
asks never enters one.
"""

from __future__ import annotations

import errno
import os
import sys

from abdicate.identity import native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["all_subordinate_ranges", "enter_user_namespace", "map_ids", "subordinate_ranges"]

_CLONE_NEWUSER = 0x10000000  # linux/sched.h


def enter_user_namespace() -> None:
    """Move the calling process, which has one thread, to a new user namespace; unshare(2).

    Raises:
        OSError: where the system does not allow it.
    """
    import ctypes

    if native.libc().unshare(_CLONE_NEWUSER):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def subordinate_ranges(path: str, user: str | None, uid: int) -> list[tuple[int, int]]:
    """Return the (first, count) ranges that subuid(5) or subgid(5) gives a user.

    Args:
        path: ``/etc/subuid`` or ``/etc/subgid``.
        user: the user's name, None where it has none.
        uid: the user's id, which the file may name instead.
    """
    owners = {str(uid), user} if user else {str(uid)}
    return [
        (first, count) for first, count, owner in all_subordinate_ranges(path) if owner in owners
    ]


def all_subordinate_ranges(path: str) -> list[tuple[int, int, str]]:
    """Return every (first, count, owner) of subuid(5) or subgid(5); the owner is a name or an id.

    What is no range, and a file that can't be read, are passed over.
    """
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.strip().split(":") for line in file]
    except OSError:
        return []
    return [
        (int(line[1]), int(line[2]), line[0])
        for line in lines
        if len(line) == 3 and all(map(_is_number, line[1:]))
    ]


def map_ids(pid: int, program: str, own: int, ranges: Sequence[tuple[int, int]]) -> None:
    """Map 0 to *own*, and 1 upwards to the subordinate *ranges*, in the namespace of *pid*.

    Args:
        pid: a child that has called `enter_user_namespace`.
        program: ``newuidmap`` or ``newgidmap``; set-user-ID programs, found in PATH.
        own: the id of the user who asks.
        ranges: what `subordinate_ranges` gave.

    Raises:
        OSError: if the program is missing, or refuses.
    """
    if sys.platform == "win32":
        raise OSError(0, "there are no user namespaces on Windows")
    lines = [("0", str(own), "1")]
    inside = 1
    for first, count in ranges:
        lines.append((str(inside), str(first), str(count)))
        inside += count
    arguments = [program, str(pid), *(word for line in lines for word in line)]
    # Its own words would stand between ours; its status says enough.
    quiet = [(os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)]
    try:
        child = os.posix_spawnp(program, arguments, os.environ, file_actions=quiet)
    except FileNotFoundError:
        raise FileNotFoundError(
            errno.ENOENT, f"the program {program} is not installed (uidmap)"
        ) from None
    try:
        _, status = os.waitpid(child, 0)
    except ChildProcessError:
        # Whoever ignores SIGCHLD has no statuses, wait(2): the child will find ids, or none.
        return
    if status:
        code = os.waitstatus_to_exitcode(status)
        raise PermissionError(errno.EPERM, f"{program} refused with status {code}")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
