"""A tree of directories that exists in the model alone: never the machine's files."""

from __future__ import annotations

import errno
import posixpath

from abdicate.testing.rules import refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from abdicate.identity.resolve import Identity

__all__ = ["Directories"]


class Directories:
    """Directories and executables by their absolute paths, without symbolic links.

    Args:
        public: directories that everyone may enter (mode 0755), with those above them.
        private: directories that root alone may enter (mode 0700).
        executables: files that everyone may execute, with the directories above them.
    """

    def __init__(
        self, public: Iterable[str], private: Iterable[str], executables: Iterable[str]
    ) -> None:
        self._private = frozenset(_absolute(private))
        self._executables = frozenset(_absolute(executables))
        named = {*_absolute(public), *self._private}
        above = {posixpath.dirname(path) for path in self._executables}
        self._existing = frozenset(place for path in named | above for place in _way(path))
        self.root = "/"
        self.working = "/"

    def place(self, path: str, *, root: str | None = None) -> str:
        """Return where *path* leads, as the outermost root names it.

        ``..`` does not lead out of *root*, the present root directory if None:
        path_resolution(7).
        """
        root = self.root if root is None else root
        inside = "/" + posixpath.relpath(self.working, root) if path[:1] != "/" else ""
        return _below(root, f"{inside}/{path}")

    def enter(self, path: str, *, override: bool) -> str:
        """Return the place of *path*, a directory, where the caller may go to it.

        Args:
            path: absolute, or relative to the working directory.
            override: the caller may enter private directories.

        Raises:
            OSError: ENOENT, ENOTDIR or EACCES, as chdir(2) says it.
        """
        place = self.look(path, override=override)
        self._search(place, override)
        return place

    def look(self, path: str, *, override: bool) -> str:
        """Return the place of *path*, a directory, where the caller may go to the one above it.

        Raises:
            OSError: ENOENT, ENOTDIR or EACCES, as stat(2) says it.
        """
        place = self.place(path)
        *above, last = _way(place)
        for step in above:
            self._search(step, override)
        self._see(last)
        return place

    def _search(self, place: str, override: bool) -> None:
        self._see(place)
        if place in self._private and not override:
            raise refusal(errno.EACCES)

    def _see(self, place: str) -> None:
        if place in self._executables:
            raise refusal(errno.ENOTDIR)
        if place not in self._existing:
            raise refusal(errno.ENOENT)

    def exists(self, path: str) -> bool:
        """Tell whether there is a directory at *path*."""
        return self.place(path) in self._existing

    def shown(self) -> str:
        """Return the working directory as the present root names it."""
        return self.place(".")[len(self.root.rstrip("/")) :] or "/"

    def obstacle(self, path: str, identity: Identity, *, root: str, directory: bool) -> str | None:
        """Return why *identity* could not enter, or execute, *path*; None if it could."""
        outside = self.place(root)
        target = self.place(path, root=outside)
        for step in _way(target):
            if not _within(step, outside):
                continue  # whoever changes the root gets there
            seen = step[len(outside.rstrip("/")) :] or "/"
            if step == target and not directory:
                return None if step in self._executables else f"{seen} does not exist"
            if step in self._executables:
                return f"{seen} is not a directory"
            if step not in self._existing:
                return f"{seen} does not exist"
            if step in self._private and identity.uid != 0:
                return (
                    f"{seen} (mode 0700, owner 0:0) may not be entered by uid {int(identity.uid)}"
                )
        return None


def _absolute(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        if not path.startswith("/"):
            raise ValueError(f"the model's paths are absolute, and not {path!r}")
        yield posixpath.normpath(path)


def _way(path: str) -> list[str]:
    """Return "/" and every directory on the way to *path*, *path* at the end."""
    parts = path.strip("/").split("/")
    return ["/", *("/" + "/".join(parts[: n + 1]) for n in range(len(parts)) if path != "/")]


def _below(root: str, path: str) -> str:
    # normpath keeps two slashes at the front: POSIX gives them a meaning of their own.
    inside = posixpath.normpath(path).lstrip("/")
    return posixpath.join(root, inside) if inside else root


def _within(path: str, root: str) -> bool:
    return posixpath.commonpath((path, root)) == root
