"""What a call did to the process that made it: everything that the two modules are compared by."""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FunctionType

__all__ = ["Ids", "Outcome", "observe"]

Ids = tuple[int, ...]

_LONGEST_SHOWN = 90  # characters of a returned value
_MOST_SHOWN = 8  # groups
_LONGEST_RECORD = 32  # bytes of a file that is shown; a pidfile is shorter


@dataclass(frozen=True)
class Outcome:
    """How a call ended, and what it changed in the process and its directory.

    Attributes:
        ended: how, in words, such as ``"returns 4"``, ``"raises KeyError"``, ``"exits 73"``.
        kinds: the names of what was raised and of its bases, the exception's own first.
        value: what was returned, as builtin types.
        warned: the categories of the warnings.
        printed: whether anything was printed.
        uids, gids: real, effective and saved; empty where they are what they were.
        groups: the supplementary ones, ascending; None where they are what they were.
        files: what was made, rewritten and removed.
    """

    ended: str
    kinds: tuple[str, ...] = ()
    value: object = None
    warned: tuple[str, ...] = ()
    printed: bool = False
    uids: Ids = ()
    gids: Ids = ()
    groups: Ids | None = None
    files: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Say it as the table does."""
        parts = [self.ended, *(f"warns {name}" for name in self.warned)]
        parts += ["prints"] if self.printed else []
        for name, ids in (("uid", self.uids), ("gid", self.gids)):
            if ids:
                parts.append(f"{name} {'/'.join(map(str, ids if len(set(ids)) > 1 else ids[:1]))}")
        if self.groups is not None:
            few = len(self.groups) <= _MOST_SHOWN
            shown = " ".join(map(str, self.groups)) if few else f"{len(self.groups)} of them"
            parts.append(f"groups {shown or 'none'}")
        return "; ".join([*parts, *self.files])

    def satisfies(self, model: Outcome) -> bool:
        """Tell whether an application that expects *model* notices no difference.

        An exception may be of a subclass of the model's. Both modules have classes of their own
        by the same names, which count as the same.
        """
        if model.kinds:
            how = model.kinds[0] in self.kinds
        else:
            how = (self.ended, self.value) == (model.ended, model.value)
        rest = ("warned", "printed", "uids", "gids", "groups", "files")
        return how and all(getattr(self, name) == getattr(model, name) for name in rest)


def observe(call: Callable[[], object]) -> Outcome:
    """Make *call* in this process, which is a forked child, and tell what it did.

    Its directory is the one that is looked at, wherever it goes meanwhile.
    """
    printed = io.StringIO()
    directory = os.open(".", os.O_RDONLY)
    ids, files = _ids(), _files()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sys.stdout = sys.stderr = printed
        ended, kinds, value = _ended(call)
    os.fchdir(directory)
    uids, gids, groups = (now if now != was else None for was, now in zip(ids, _ids(), strict=True))
    return Outcome(
        ended=ended,
        kinds=kinds,
        value=value,
        warned=tuple(warning.category.__name__ for warning in caught),
        printed=bool(printed.getvalue()),
        uids=uids or (),
        gids=gids or (),
        groups=groups,
        files=tuple(_changes(files, _files())),
    )


def _ids() -> tuple[Ids, Ids, Ids]:
    return os.getresuid(), os.getresgid(), tuple(sorted(set(os.getgroups())))


# --- What was returned or raised ------------------------------------------------------------------


def _ended(call: Callable[[], object]) -> tuple[str, tuple[str, ...], object]:
    directory = os.getcwd()
    try:
        value = _plain(call(), directory)
    except SystemExit as error:
        return f"exits {error.code}", (), error.code
    except BaseException as error:
        names = [kind.__name__ for kind in type(error).__mro__ if kind is not object]
        number: object = getattr(error, "errno", None)
        # The errno is a part of the type: PermissionError is EPERM and EACCES.
        code = f"({errno.errorcode.get(number, number)})" if isinstance(number, int) else ""
        return f"raises {names[0]}{code}", tuple(name + code for name in names), None
    text = repr(value)
    shown = text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
    return f"returns {shown}", (), value


def _plain(value: object, directory: str) -> object:
    """Return *value* in builtin types, in which a subclass equals its base; the rest by name."""
    match value:
        case None | bool() | float():
            return value
        case bytes():
            return value.replace(os.fsencode(directory), b"DIR")
        case int():
            return int(value)
        case str():
            return str(value).replace(directory, "DIR")
        case tuple() | list():
            return type(value)(_plain(item, directory) for item in value)
        case set() | frozenset():
            return frozenset(_plain(item, directory) for item in value)
        case Mapping():
            return {key: _plain(item, directory) for key, item in value.items()}
        case type() | FunctionType():
            return f"<{value.__name__}>"
        case _:
            return f"<{type(value).__name__}>"


# --- What became of the files ---------------------------------------------------------------------

_Files = dict[str, tuple[int, int, str]]


def _files() -> _Files:
    """Return the files of the directory: the inode, when it was written, and how to show it."""
    # The time too, since the inode of a file that was removed may be given to the next.
    return {
        name: (os.lstat(name).st_ino, os.lstat(name).st_mtime_ns, _shown(name))
        for name in sorted(os.listdir("."))
    }


def _shown(name: str) -> str:
    found = os.lstat(name)
    if not stat.S_ISREG(found.st_mode) or not found.st_size or found.st_size > _LONGEST_RECORD:
        return name
    try:
        with open(name, "rb") as file:
            content = file.read()
    except PermissionError:
        return name
    own = content == b"%d\n" % os.getpid()
    return f"{name}={'PID' if own else repr(content)}"


def _changes(was: _Files, now: _Files) -> list[str]:
    changes = [f"removes {name}" for name in was if name not in now]
    for name, state in now.items():
        if name not in was:
            changes.append(f"makes {state[-1]}")
        elif was[name] != state:
            changes.append(f"rewrites {state[-1]}")
    return changes
