"""Which files an identity will be able to reach, told before it is taken on.

After a drop a target may turn out to be out of reach (its directory belongs to root), and then
it is too late to say so kindly. This walks a path as path_resolution(7) does and reads the mode
bits as the new identity. It is advice, not a permission check: where an ACL or another security
module may say more than the mode bits, it finds no obstacle, and the kernel decides.
"""

from __future__ import annotations

import os
import stat
import sys

from abdicate.identity.resolve import Identity

__all__ = ["obstacle", "script_interpreter"]

_MOST_LINKS = 40  # path_resolution(7): the kernel gives up with ELOOP after 40


def obstacle(
    path: str, identity: Identity, *, root: str = "/", directory: bool = False
) -> str | None:
    """Return why *identity* could not execute (for a directory: enter) *path*, None if it could.

    Args:
        path: absolute, seen from *root*.
        identity: who is going to.
        root: the root directory that the process will have by then.
        directory: a directory is wanted, rather than an executable file.
    """
    walked = _Walk(identity, root)
    blocked = walked.to(path)
    if blocked is not None:
        return blocked
    return walked.judge_end(path, directory=directory)


class _Walk:
    """One walk through the tree, component by component."""

    def __init__(self, identity: Identity, root: str) -> None:
        self._identity = identity
        self._root = "" if root == "/" else root.rstrip("/")
        self._links = 0
        self._at: list[str] = []

    @property
    def _here(self) -> str:
        """The present place, as the walking process (still outside of the root) names it."""
        return f"{self._root}/{'/'.join(self._at)}"

    @property
    def _shown(self) -> str:
        return "/" + "/".join(self._at)

    def to(self, path: str) -> str | None:
        pending = [part for part in path.split("/") if part not in ("", ".")][::-1]
        while pending:
            blocked = self._search()
            if blocked is not None:
                return blocked
            part = pending.pop()
            if part == "..":
                self._at = self._at[:-1]
                continue
            self._at.append(part)
            try:
                target = os.readlink(self._here)
            except FileNotFoundError:
                return f"{self._shown} does not exist"
            except OSError:
                continue  # not a link
            self._links += 1
            if self._links > _MOST_LINKS:
                return f"{path} is behind more than {_MOST_LINKS} symbolic links"
            self._at = [] if target.startswith("/") else self._at[:-1]
            pending += [part for part in target.split("/") if part not in ("", ".")][::-1]
        return None

    def _search(self) -> str | None:
        try:
            status = os.stat(self._here, follow_symlinks=False)
        except OSError as error:
            return f"{self._shown} can't be looked at: {os.strerror(error.errno or 0)}"
        if not stat.S_ISDIR(status.st_mode):
            return f"{self._shown} is not a directory"
        if not self._permitted(status):
            return (
                f"{self._shown} ({_described(status)}) may not be entered by {_who(self._identity)}"
            )
        return None

    def judge_end(self, path: str, *, directory: bool) -> str | None:
        if directory:
            return self._search()
        try:
            status = os.stat(self._here, follow_symlinks=False)
        except OSError as error:
            return f"{path} can't be looked at: {os.strerror(error.errno or 0)}"
        if not stat.S_ISREG(status.st_mode):
            return f"{path} is not a regular file"
        if not status.st_mode & 0o111 or not self._permitted(status):
            return f"{path} ({_described(status)}) may not be executed by {_who(self._identity)}"
        return None

    def _permitted(self, status: os.stat_result) -> bool:
        identity = self._identity
        if identity.uid == 0:
            return True
        if status.st_uid == identity.uid:
            bit = stat.S_IXUSR
        elif status.st_gid == identity.gid or status.st_gid in identity.groups:
            bit = stat.S_IXGRP
        else:
            bit = stat.S_IXOTH
        return bool(status.st_mode & bit) or self._has_acl()

    def _has_acl(self) -> bool:
        # An access ACL can name this very user, acl(5). Whoever has one is left to the kernel.
        if sys.platform != "linux":
            return True  # not to be seen from here: the kernel decides
        try:
            os.getxattr(self._here, "system.posix_acl_access")
        except OSError:
            return False
        return True


def _described(status: os.stat_result) -> str:
    return f"mode {stat.S_IMODE(status.st_mode):04o}, owner {status.st_uid}:{status.st_gid}"


def _who(identity: Identity) -> str:
    name = f"{identity.user}, " if identity.user else ""
    return f"{name}uid {identity.uid}"


def script_interpreter(path: str) -> str | None:
    """Return the interpreter that a script's ``#!`` line names, None for any other file."""
    try:
        with open(path, "rb") as file:
            start = file.read(256)  # BINPRM_BUF_SIZE, execve(2)
    except OSError:
        return None
    if not start.startswith(b"#!"):
        return None
    words = start[2:].split(b"\n", 1)[0].split()
    return os.fsdecode(words[0]) if words else None
