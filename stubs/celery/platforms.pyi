# Celery 5.5 to 5.7: what programs import from there, seen from outside. Names with one underscore
# are left out, but for the one that programs use.

import signal
from collections.abc import Callable, Container, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Self, TextIO, TypeAlias

from _typeshed import HasFileno, StrOrBytesPath, StrPath
from celery.exceptions import SecurityError as SecurityError
from celery.exceptions import SecurityWarning as SecurityWarning

__all__ = (
    "EX_FAILURE",
    "EX_OK",
    "EX_UNAVAILABLE",
    "EX_USAGE",
    "IS_WINDOWS",
    "SIGMAP",
    "SYSTEM",
    "DaemonContext",
    "IS_macOS",
    "LockFailed",
    "Pidfile",
    "close_open_fds",
    "create_pidlock",
    "detached",
    "fd_by_path",
    "get_errno_name",
    "get_fdmax",
    "ignore_errno",
    "initgroups",
    "isatty",
    "maybe_drop_privileges",
    "parse_gid",
    "parse_uid",
    "pyimplementation",
    "set_mp_process_title",
    "set_process_title",
    "setgid",
    "setgroups",
    "setuid",
    "signal_name",
    "signals",
)

# As signal.signal() takes and signal.getsignal() returns them; None: not installed from Python.
_Handler: TypeAlias = Callable[[int, FrameType | None], object] | int | None

EX_OK: int
EX_FAILURE: int
EX_UNAVAILABLE: int
EX_USAGE: int
EX_CANTCREAT: int

SYSTEM: str
IS_macOS: bool
IS_WINDOWS: bool

DAEMON_WORKDIR: str
PIDFILE_FLAGS: int
PIDFILE_MODE: int
PIDLOCKED: str
ROOT_DISALLOWED: str
ROOT_DISCOURAGED: str
ASSUMING_ROOT: str

SIGNAMES: set[str]
SIGMAP: dict[int, str]

def isatty(fh: object) -> bool | None: ...
def pyimplementation() -> str: ...

class LockFailed(Exception): ...

class Pidfile:
    path: str
    def __init__(self, path: StrPath) -> None: ...
    def acquire(self) -> Self: ...
    def __enter__(self) -> Self: ...
    def is_locked(self) -> bool: ...
    def release(self, *args: object) -> None: ...
    def __exit__(self, *args: object) -> None: ...
    def read_pid(self) -> int | None: ...
    def remove(self) -> None: ...
    def remove_if_stale(self) -> bool: ...
    def write_pid(self) -> None: ...

PIDFile = Pidfile

def create_pidlock(pidfile: StrPath) -> Pidfile: ...
def _create_pidlock(pidfile: StrPath) -> Pidfile: ...

# Of billiard: what the system has no word on is the default.
def get_fdmax(default: int | None = None) -> int | None: ...
def fd_by_path(paths: Iterable[StrOrBytesPath]) -> list[int]: ...
def close_open_fds(keep: Iterable[int | HasFileno | None] | None = None) -> None: ...

class DaemonContext:
    workdir: str
    umask: int | None
    fake: bool
    after_chdir: Callable[[], object] | None
    after_forkers: bool
    stdfds: tuple[TextIO | None, TextIO | None, TextIO | None]
    # pidfile is not looked at, and neither are the other keywords.
    def __init__(
        self,
        pidfile: object = None,
        workdir: str | None = None,
        umask: int | str | None = None,
        fake: bool = False,
        after_chdir: Callable[[], object] | None = None,
        after_forkers: bool = True,
        **kwargs: object,
    ) -> None: ...
    def redirect_to_null(self, fd: int | None) -> None: ...
    def open(self) -> None: ...
    def __enter__(self) -> None: ...
    def close(self, *args: object) -> None: ...
    def __exit__(self, *args: object) -> None: ...

def detached(
    logfile: StrOrBytesPath | None = None,
    pidfile: StrPath | None = None,
    uid: int | str | None = None,
    gid: int | str | None = None,
    umask: int | str | None = 0,
    workdir: str | None = None,
    fake: bool = False,
    **opts: object,
) -> DaemonContext: ...
def parse_uid(uid: int | str) -> int: ...
def parse_gid(gid: int | str) -> int: ...

# A list: it is shortened in place where the system refuses it.
def setgroups(groups: list[int]) -> None: ...
def initgroups(uid: int, gid: int) -> None: ...
def setgid(gid: int | str) -> None: ...
def setuid(uid: int | str) -> None: ...
def maybe_drop_privileges(uid: int | str | None = None, gid: int | str | None = None) -> None: ...

class Signals:
    ignored: signal.Handlers
    default: signal.Handlers
    def arm_alarm(self, seconds: float) -> None: ...
    def reset_alarm(self) -> int: ...
    def supported(self, name: str | int) -> bool: ...
    def signum(self, name: str | int) -> int: ...
    def reset(self, *signal_names: str | int) -> None: ...
    def ignore(self, *names: str | int) -> None: ...
    def __getitem__(self, name: str | int) -> _Handler: ...
    def __setitem__(self, name: str | int, handler: _Handler) -> None: ...
    def update(
        self,
        _d_: Mapping[str, _Handler] | Iterable[tuple[str, _Handler]] | None = None,
        **sigmap: _Handler,
    ) -> None: ...

signals: Signals

def get_signal(name: str | int) -> int: ...
def install_signal_handler(name: str | int, handler: _Handler) -> None: ...
def reset_signal(*signal_names: str | int) -> None: ...
def ignore_signal(*names: str | int) -> None: ...
def signal_name(signum: int) -> str: ...
def strargv(argv: Sequence[str]) -> str: ...

# The name is not looked at: it is always SIGKILL.
def set_pdeathsig(name: object) -> None: ...
def set_process_title(progname: str, info: str | None = None) -> str: ...

# None where NOSETPS is in the environment.
def set_mp_process_title(
    progname: str, info: str | None = None, hostname: str | None = None
) -> str | None: ...
def get_errno_name(n: int | str) -> int: ...
@contextmanager
def ignore_errno(
    *errnos: int | str,
    types: type[BaseException] | tuple[type[BaseException], ...] | None = None,
) -> Generator[None]: ...
def check_privileges(accept_content: Container[str]) -> None: ...
