"""Who can write where: what the findings want to know of the file system."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from abdicate.identity.resolve import Identity

    class Status(Protocol):
        """What is asked of a file: `os.stat_result` has it."""

        @property
        def st_mode(self) -> int: ...
        @property
        def st_uid(self) -> int: ...
        @property
        def st_gid(self) -> int: ...


__all__ = ["Files", "can_replace", "can_write"]


class Files:
    """Looks at each file once, and remembers what it saw, "nothing there" too."""

    def __init__(self) -> None:
        self._seen: dict[str, Status | None] = {}

    def status(self, path: str) -> Status | None:
        """Return what stat(2) says, symbolic links followed; None where nothing can be seen."""
        if path not in self._seen:
            self._seen[path] = self._look(path)
        return self._seen[path]

    def _look(self, path: str) -> Status | None:
        try:
            return os.stat(path)
        except (OSError, ValueError):
            return None


def can_write(found: Status, identity: Identity) -> bool:
    """Tell whether *identity* may write, or may give itself that right as the owner.

    By the mode bits, path_resolution(7); an access control list is not looked at.
    """
    if found.st_uid == identity.uid:
        return True
    if found.st_gid == identity.gid or found.st_gid in identity.groups:
        return bool(found.st_mode & stat.S_IWGRP)
    return bool(found.st_mode & stat.S_IWOTH)


def can_replace(path: str, identity: Identity, files: Files) -> str | None:
    """Return the directory in which *identity* could put something else in the place of *path*.

    Whoever may write to a directory may rename what is in it, so each one above counts. Under
    the sticky bit only a file's owner may, unlink(2): there it counts while nothing is there.
    """
    here = os.path.normpath(path)
    while here != "/":
        below, here = here, os.path.dirname(here)
        found = files.status(here)
        if found is None or not can_write(found, identity):
            continue
        sticky = found.st_mode & stat.S_ISVTX and found.st_uid != identity.uid
        inside = files.status(below) if sticky else None
        if inside is None or inside.st_uid == identity.uid:
            return here
    return None
