"""The small functions: titles, error numbers, terminals, command lines; and the constants."""

from __future__ import annotations

import importlib
import io
import os
import string
from collections.abc import Callable

from drops import raw
from parity.case import Case, Module, differs, same

__all__ = ["CASES"]

# --- What is done in place of one call ------------------------------------------------------------


def read(m: Module, name: str) -> object:
    """Return a constant."""
    return getattr(m, name)


def numbers(m: Module) -> object:
    """Return the signals that have a name."""
    return sorted(m.SIGMAP)


def written_to(m: Module) -> object:
    """Give a signal another name, for everybody."""
    m.SIGMAP[15] = "SIGOTHER"
    return m.signal_name(15)


def fields(m: Module, name: str) -> object:
    """Return what a message is formatted with."""
    return {field for _, field, _, _ in string.Formatter().parse(getattr(m, name)) if field}


def first_words(m: Module, name: str) -> object:
    """Return how a message begins."""
    return getattr(m, name).split(".")[0].split("\n")[0]


def builtin_bases(m: Module, name: str) -> object:
    """Return the builtin classes that an ``except`` or a filter may name in its place."""
    return [kind for kind in getattr(m, name).__mro__ if kind.__module__ == "builtins"]


def _shown_by_ps() -> str:
    with open("/proc/self/cmdline", "rb") as file:
        return file.read().strip(b"\0").decode(errors="surrogateescape")


def and_ps(m: Module, *arguments: object, **keywords: object) -> object:
    """Return what is returned, and what ps(1) shows."""
    return m.set_process_title(*arguments, **keywords), _shown_by_ps()


def and_ps_mp(m: Module, *arguments: object, **keywords: object) -> object:
    """Return what is returned, and what ps(1) shows."""
    return m.set_mp_process_title(*arguments, **keywords), _shown_by_ps()


def with_nosetps(m: Module, *arguments: object) -> object:
    """Return what is returned, with NOSETPS in the environment since the import."""
    os.environ["NOSETPS"] = "1"
    return m.set_mp_process_title(*arguments)


def in_a_child_of(m: Module, package: str) -> object:
    """Return the title in a process that multiprocessing, or billiard, made."""
    context = importlib.import_module(package).get_context("fork")
    reading, writing = os.pipe()

    def work() -> None:
        os.write(writing, m.set_mp_process_title("worker").encode())

    process = context.Process(target=work, name="pool-1")
    process.start()
    process.join()
    return os.read(reading, 100).decode()


def ignoring(
    m: Module, raised: BaseException | None, *errnos: object, **keywords: object
) -> object:
    """Raise in the block, and tell whether it goes on behind it."""
    with m.ignore_errno(*errnos, **keywords) as given:
        if raised is not None:
            raise raised
        return "went through", given
    return "went on"


def as_a_decorator(m: Module) -> object:
    """Ignore what a whole function raises."""
    decorator: Callable[[Callable[[], object]], Callable[[], object]] = m.ignore_errno("ENOENT")

    @decorator
    def look() -> object:
        return os.stat("missing")

    return look()


def twice(m: Module) -> object:
    """Enter the same context again."""
    context = m.ignore_errno("ENOENT")
    for _ in range(2):
        with context:
            os.stat("missing")
    return "went on"


def of_a_terminal(m: Module) -> object:
    """Return the answer for a terminal."""
    ours, theirs = os.openpty()
    with open(ours, "rb", closefd=False), open(theirs, "w") as file:
        return m.isatty(file)


def of_a_file(m: Module) -> object:
    """Return the answer for a file."""
    with open(os.devnull) as file:
        return m.isatty(file)


def of_a_closed_file(m: Module) -> object:
    """Return the answer for a file that was closed."""
    with open(os.devnull) as file:
        pass
    return m.isatty(file)


def and_read_back(m: Module, name: object) -> object:
    """Return the signal that is armed."""
    m.set_pdeathsig(name)
    return raw.armed_signal()


# --- The table ------------------------------------------------------------------------------------

_CONSTANTS: tuple[Case, ...] = (
    same("pyimplementation"),
    *(
        same(name, name, doing=read)
        for name in (
            "EX_OK",
            "EX_FAILURE",
            "EX_UNAVAILABLE",
            "EX_USAGE",
            "EX_CANTCREAT",
            "SYSTEM",
            "IS_macOS",
            "IS_WINDOWS",
            "SIGNAMES",
            "DAEMON_WORKDIR",
            "PIDFILE_FLAGS",
            "PIDFILE_MODE",
        )
    ),
    same("SIGMAP", doing=numbers),
    differs(25, "SIGMAP", doing=written_to, celery="returns 'OTHER'", ours="raises TypeError"),
    *(
        same(name, name, doing=fields)
        for name in ("PIDLOCKED", "ROOT_DISALLOWED", "ROOT_DISCOURAGED")
    ),
    differs(
        32,
        "PIDLOCKED",
        "PIDLOCKED",
        doing=first_words,
        celery="returns 'ERROR: Pidfile ({0}) already exists'",
        ours="returns 'ERROR: the pidfile {0} is held by a running process (pid: {1})'",
    ),
    *(
        same(name, name, doing=builtin_bases)
        for name in ("LockFailed", "SecurityError", "SecurityWarning")
    ),
)

_TITLES: tuple[Case, ...] = (
    *(
        same("set_process_title", *words, doing=and_ps, needs=("setproctitle",))
        for words in (
            ("worker",),
            ("worker", "ready"),
            ("worker", None),
            ("worker", ""),
            ("", ""),
            ("wörker", "✓"),
            (7, 8),
            (b"worker",),
            ("a\nb",),
            ("x" * 5000,),
            (),
        )
    ),
    same("set_process_title", "worker", info="2 tasks", doing=and_ps, needs=("setproctitle",)),
    differs(
        26,
        "set_process_title",
        "a\0b",
        doing=and_ps,
        needs=("setproctitle",),
        celery="raises ValueError",
        ours=r"returns ('[a\x00b]', '[a?b]')",
    ),
    differs(
        26,
        "set_process_title",
        "\udcff",
        doing=and_ps,
        needs=("setproctitle",),
        celery="raises UnicodeEncodeError",
        ours=r"returns ('[\udcff]', '[?]')",
    ),
    *(
        same("set_mp_process_title", *words, doing=and_ps_mp, needs=("setproctitle",))
        for words in (
            ("worker",),
            ("worker", "ready"),
            ("worker", "ready", "host"),
            ("worker", None, ""),
            (),
        )
    ),
    same("set_mp_process_title", "worker", hostname="host"),
    same("set_mp_process_title", "billiard", doing=in_a_child_of),
    differs(
        27,
        "set_mp_process_title",
        "multiprocessing",
        doing=in_a_child_of,
        celery="returns '[worker:MainProcess]'",
        ours="returns '[worker:pool-1]'",
    ),
    differs(
        28,
        "set_mp_process_title",
        "worker",
        doing=with_nosetps,
        celery="returns '[worker:MainProcess]'",
        ours="returns None",
    ),
)

_MISSING = FileNotFoundError(2, "missing")
_NUMBERLESS = OSError("no number")

_ERRNOS: tuple[Case, ...] = (
    *(
        same("get_errno_name", value)
        for value in ("ENOENT", "EPERM", "EAGAIN", "EWOULDBLOCK", "NOSUCH", "enoent", "")
    ),
    *(same("get_errno_name", value) for value in (2, 0, -1, 9999, None, 3.5, True, b"ENOENT")),
    differs(
        29,
        "get_errno_name",
        "__name__",
        celery="returns 'errno'",
        ours="raises UnknownErrnoError",
    ),
    *(
        same("ignore_errno", raised, *errnos, doing=ignoring)
        for raised, *errnos in (
            (None, "ENOENT"),
            (None,),
            (_MISSING, "ENOENT"),
            (_MISSING, 2),
            (_MISSING, "EPERM", 2),
            (_MISSING, "EPERM"),
            (_MISSING,),
            (_MISSING, "NOSUCH"),
            (_NUMBERLESS, "ENOENT"),
            (_NUMBERLESS, None),
            (ValueError("no errno"), "ENOENT"),
            (ValueError("no errno"), None),
            (KeyboardInterrupt(), "ENOENT"),
        )
    ),
    *(
        same("ignore_errno", _MISSING, "ENOENT", types=types, doing=ignoring)
        for types in ((OSError,), OSError, (ValueError, OSError), (ValueError,), None, ())
    ),
    same("ignore_errno", KeyboardInterrupt(), "ENOENT", types=(BaseException,), doing=ignoring),
    same("ignore_errno", doing=as_a_decorator),
    differs(
        30, "ignore_errno", doing=twice, celery="raises AttributeError", ours="returns 'went on'"
    ),
    differs(
        30,
        "ignore_errno",
        _MISSING,
        "ENOENT",
        type=OSError,
        doing=ignoring,
        celery="returns 'went on'",
        ours="raises TypeError",
    ),
)

_REST: tuple[Case, ...] = (
    same("isatty", doing=of_a_terminal),
    same("isatty", doing=of_a_file),
    *(same("isatty", thing) for thing in (io.StringIO(), None, 0, "text", object)),
    differs(31, "isatty", doing=of_a_closed_file, celery="raises ValueError", ours="returns False"),
    *(same("set_pdeathsig", name, doing=and_read_back) for name in ("KILL", "SIGKILL", 9)),
    *(
        differs(
            15,
            "set_pdeathsig",
            name,
            doing=and_read_back,
            celery="returns 9",
            ours=f"returns {number}",
        )
        for name, number in (("TERM", 15), ("SIGHUP", 1), (15, 15), ("RTMIN+3", 37), (0, 0))
    ),
    *(
        differs(
            15,
            "set_pdeathsig",
            name,
            doing=and_read_back,
            celery="returns 9",
            ours=f"raises {error}",
        )
        for name, error in (
            ("NOSUCH", "UnknownSignalError"),
            ("term", "TypeError"),
            (None, "TypeError"),
            (999, "OSError(EINVAL)"),
        )
    ),
    *(
        same("strargv", argv)
        for argv in (
            ["prog"],
            ["prog", "a", "b"],
            ("prog", "a"),
            ["prog", "a b", ""],
            ["manage.py"],
            ["manage.py", "worker"],
            ["/srv/manage.py", "worker", "-l", "info"],
            ["prog", "manage", "z"],
            [""],
            [],
            [7, 8],
            ["prog", 7],
            None,
        )
    ),
)

CASES: tuple[Case, ...] = (*_CONSTANTS, *_TITLES, *_ERRNOS, *_REST)
