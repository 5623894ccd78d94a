"""Which files an identity will be able to reach, told before it is taken on.

After a drop a target may turn out to be out of reach (its directory belongs to root), and then
it is too late to say so kindly. This walks a path as path_resolution(7) does, link by link and
inside the root directory that the process will have, and reads the mode bits as the new identity.
It is advice, not a permission check: where an ACL or another security module may say more than
the mode bits, it finds no obstacle, and the kernel decides.
"""

from __future__ import annotations

import errno
import os
import stat
import sys

from abdicate.identity.resolve import Identity
from abdicate.values import Value

__all__ = ["Obstacle", "find_obstacle"]

_MOST_LINKS = 40  # path_resolution(7): the kernel gives up with ELOOP after 40
_MOST_INTERPRETERS = 6  # the file, and five more: execve(2) gives up with ELOOP then
_LONGEST_SHOWN = 200
_LINE = 256  # BINPRM_BUF_SIZE: what the kernel reads of a "#!" line, execve(2)


class Obstacle(Value):
    """Why a path can't be executed or entered.

    ``missing``: because there is no such file. ``unseen``: this process may not look there, so
    whether there is one is not known.
    """

    reason: str
    missing: bool = False
    unseen: bool = False

    def __str__(self) -> str:
        return self.reason


def find_obstacle(
    path: str, identity: Identity, *, root: str = "/", directory: bool = False
) -> Obstacle | None:
    """Return why *identity* could not execute (a directory: enter) *path*, None if it could.

    Args:
        path: seen from *root*; a relative one from where the process is now.
        identity: who is going to.
        root: the root directory that the process will have by then.
        directory: a directory is wanted, rather than an executable file.
    """
    for depth in range(_MOST_INTERPRETERS):
        found = _Walk(identity, root).obstacle_to(path, directory=directory)
        if isinstance(found, Obstacle):
            if depth:
                return Obstacle(f"the interpreter of the script, {found.reason}")
            return found
        interpreter = None if directory else _interpreter(found)
        if interpreter is None:
            return None
        path = interpreter
    return Obstacle(f"{path} is the interpreter of scripts of scripts, too deep for the kernel")


class _Walk:
    """One walk through the tree, component by component, as a process inside *root* would."""

    def __init__(self, identity: Identity, root: str) -> None:
        self._identity = identity
        self._root = "" if root == "/" else root.rstrip("/")
        self._start = self._root
        self._links = 0
        self._at: list[str] = []

    @property
    def _here(self) -> str:
        """The present place, as this process, which is still outside of the root, names it."""
        return "/".join([self._start, *self._at]) or "/"

    @property
    def _shown(self) -> str:
        start = "" if self._start == self._root else self._start
        path = "/".join([start, *self._at]) or "/"
        return path if len(path) <= _LONGEST_SHOWN else f"{path[:_LONGEST_SHOWN]}…"

    def obstacle_to(self, path: str, *, directory: bool) -> Obstacle | str:
        """Return what is in the way to *path*, or where it is."""
        if not path.startswith("/"):
            self._start = "."
        pending = _parts(path)[::-1]
        while pending:
            blocked = self._search()
            if blocked is not None:
                return blocked
            blocked = self._step(pending)
            if blocked is not None:
                return blocked
        # "sh/" asks for a directory, whatever is there.
        blocked = self._search() if directory or path.endswith("/") else None
        if blocked is None and not directory:
            blocked = self._execute()
        return self._here if blocked is None else blocked

    def _step(self, pending: list[str]) -> Obstacle | None:
        part = pending.pop()
        if part == "..":
            if self._at and self._at[-1] != "..":
                self._at.pop()
            elif self._start == ".":
                self._at.append("..")
            return None
        self._at.append(part)
        try:
            target = os.readlink(self._here)
        except OSError as error:
            if error.errno == errno.EINVAL:
                return None  # not a link
            return self._refused(error)
        self._links += 1
        if self._links > _MOST_LINKS:
            return Obstacle(f"{self._shown} is behind more than {_MOST_LINKS} symbolic links")
        if target.startswith("/"):
            self._start, self._at = self._root, []
        else:
            self._at.pop()
        pending += _parts(target)[::-1]
        return None

    def _refused(self, error: OSError) -> Obstacle:
        missing = error.errno == errno.ENOENT
        said = "does not exist" if missing else f"can't be looked at: {error.strerror}"
        return Obstacle(f"{self._shown} {said}", missing, error.errno == errno.EACCES)

    def _search(self) -> Obstacle | None:
        try:
            status = os.lstat(self._here)
        except OSError as error:
            return self._refused(error)
        if not stat.S_ISDIR(status.st_mode):
            return Obstacle(f"{self._shown} is not a directory")
        return self._judged(status, "entered")

    def _execute(self) -> Obstacle | None:
        try:
            status = os.lstat(self._here)
        except OSError as error:
            return self._refused(error)
        if not stat.S_ISREG(status.st_mode):
            return Obstacle(f"{self._shown} is not a regular file")
        if not status.st_mode & 0o111:
            return Obstacle(f"{self._shown} ({_described(status)}) is not executable for anybody")
        return self._judged(status, "executed")

    def _judged(self, status: os.stat_result, verb: str) -> Obstacle | None:
        identity = self._identity
        if identity.uid == 0:
            return None
        if status.st_uid == identity.uid:
            bit = stat.S_IXUSR
        elif status.st_gid == identity.gid or status.st_gid in identity.groups:
            bit = stat.S_IXGRP
        else:
            bit = stat.S_IXOTH
        if status.st_mode & bit or self._has_acl():
            return None
        name = f"{identity.user}, " if identity.user else ""
        who = f"{name}uid {identity.uid}"
        return Obstacle(f"{self._shown} ({_described(status)}) may not be {verb} by {who}")

    def _has_acl(self) -> bool:
        # An access ACL can name this very user, acl(5). Whoever has one is left to the kernel.
        if sys.platform != "linux":
            return True  # not to be seen from here
        try:
            os.getxattr(self._here, "system.posix_acl_access")
        except OSError:
            return False
        return True


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _described(status: os.stat_result) -> str:
    return f"mode {stat.S_IMODE(status.st_mode):04o}, owner {status.st_uid}:{status.st_gid}"


def _interpreter(place: str) -> str | None:
    """Return the interpreter that a script's ``#!`` line names, None for any other file."""
    try:
        # The walk has seen a regular file, and may have been overtaken: never follow, never wait.
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        descriptor = os.open(place, flags | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        return None
    try:
        start = os.read(descriptor, _LINE)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    if not start.startswith(b"#!"):
        return None
    # Blanks and tabs alone part the words: a carriage return is a part of the name.
    line = start[2:].partition(b"\n")[0].strip(b" \t").replace(b"\t", b" ")
    return os.fsdecode(line.partition(b" ")[0]) or None
