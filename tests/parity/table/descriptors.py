"""Descriptors: how many there may be, finding and closing them."""

from __future__ import annotations

import io
import os
import resource
from pathlib import Path

from parity.aside import aside
from parity.case import Case, Module, differs, same
from parity.start import ORDINARY, ROOT

__all__ = ["CASES"]

_A_FILE = "a file"


def _open_at(*numbers: int) -> None:
    for number in numbers:
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, number)


def _are_open() -> list[int]:
    found = []
    for number in range(1024):
        try:
            os.fstat(number)
        except OSError:
            continue
        found.append(number)
    return found


def _lower_the_limit(soft: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def with_a_limit(m: Module, soft: int, *arguments: object) -> object:
    """Return the most, under that soft limit."""
    _lower_the_limit(soft)
    return m.get_fdmax(*arguments)


def and_look(m: Module, *keep: object) -> object:
    """Close all but what is kept, of 0 to 2 and 50 to 55 and more, and return what is open."""

    def child() -> object:
        _open_at(*range(50, 56))
        with open(55, closefd=False) as file:
            m.close_open_fds(*([file] if thing == _A_FILE else thing for thing in keep))
        return _are_open()

    return aside(child)


def above_the_limit(m: Module) -> object:
    """Return what is left open, of 50 and 900, under a limit of 100."""

    def child() -> object:
        _open_at(50, 900)
        _lower_the_limit(100)
        m.close_open_fds([50])
        return _are_open()

    return aside(child)


def above_the_limit_without_proc(m: Module) -> object:
    """The same, where there is no directory to list descriptors in."""

    def child() -> object:
        os.closerange(3, 1024)
        _open_at(50, 900)
        os.closerange(3, 50)
        _lower_the_limit(100)
        os.chroot(".")
        m.close_open_fds([50])
        return _are_open()

    return aside(child)


def found_without_proc(m: Module) -> object:
    """Find a file that is open above the limit, where there is no directory to list."""
    with open("file", "w") as file:
        os.dup2(file.fileno(), 900)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, 1024))
    os.chroot(".")
    return m.fd_by_path(["file"])


def several_files() -> None:
    """A file that is open at 50 and 51, others at 53 and 54, and one that is not."""
    os.mkdir("directory")
    os.symlink("open", "link")
    with open("shut", "w"), open("open", "w") as file, open("other", "w") as other:
        os.link("open", "hard link")
        os.dup2(file.fileno(), 51)
        os.dup2(file.fileno(), 50)
        os.dup2(other.fileno(), 53)
    os.dup2(os.open("directory", os.O_RDONLY), 54)


def an_unreadable_file() -> None:
    """A file that is open at 50, and may not be opened any more."""
    with open("secret", "w") as file:
        os.dup2(file.fileno(), 50)
    os.chmod("secret", 0)


def a_fifo_of_nobody() -> None:
    """A FIFO without a writer, for which open(2) waits."""
    os.mkfifo("fifo")


CASES: tuple[Case, ...] = (
    same("get_fdmax"),
    same("get_fdmax", None),
    same("get_fdmax", 2048),
    same("get_fdmax", default=2048),
    same("get_fdmax", 256, doing=with_a_limit),
    same("get_fdmax", 256, 2048, doing=with_a_limit),
    *(
        same("close_open_fds", *keep, doing=and_look)
        for keep in (
            (),
            (None,),
            ([],),
            ([51],),
            ([53, 51, 53],),
            ((54,),),
            ({51},),
            (range(50, 53),),
            (_A_FILE,),
            ([None, 51],),
            ([io.StringIO(), 52],),
            ([..., "53", 54.0],),
            ([-1, 2**31, 2**70, 51],),
            ([700],),
            ([True],),
            (51,),
        )
    ),
    same("close_open_fds", doing=above_the_limit),
    differs(
        13,
        "close_open_fds",
        doing=above_the_limit_without_proc,
        start=ROOT,
        needs=("CAP_SYS_CHROOT",),
        celery="returns [50, 900]",
        ours="returns [50]",
    ),
    *(
        same("fd_by_path", paths, given=several_files)
        for paths in (
            [],
            ["open"],
            ("open",),
            ["link"],
            ["hard link"],
            ["shut"],
            ["missing"],
            ["missing", "open", "open/below"],
            ["other", "open"],
            ["directory"],
            ["open", "open"],
            [b"open"],
            [Path("open")],
            [""],
            ["x" * 5000],
            ["\0"],
            [50],
            [None],
            None,
            "open",
        )
    ),
    same("fd_by_path", [os.devnull]),
    differs(
        13,
        "fd_by_path",
        doing=found_without_proc,
        start=ROOT,
        needs=("CAP_SYS_CHROOT",),
        celery="returns []; makes file",
        ours="returns [900]; warns SecurityWarning; makes file",
    ),
    differs(
        41,
        "fd_by_path",
        ["secret"],
        given=an_unreadable_file,
        start=ORDINARY,
        celery="returns []",
        ours="returns [50]",
    ),
    differs(41, "fd_by_path", ["fifo"], given=a_fifo_of_nobody, celery="hangs", ours="returns []"),
)
