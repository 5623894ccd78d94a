"""What the annotations of the function API say is what goes in and comes out, at runtime.

A checker believes an annotation. Here each function is called, in a forked child and with the
model in the kernel's place, and its arguments and result are held against ``get_type_hints``.
"""

from __future__ import annotations

import ast
import functools
import inspect
import os
import signal
import sys
import types
import typing
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable
from unittest import mock

import pytest

from abdicate import platforms
from abdicate.identity.accounts import Account, Group, StaticAccounts
from abdicate.identity.ids import Gid, Uid
from abdicate.testing import FakeKernel, standing_in
from harness.child import in_child
from parity.contract import NAMES

Hint = Any  # what get_type_hints() returns: a class, a union, an alias with parameters, None


# --- A value and a hint ---------------------------------------------------------------------------


def fits(value: object, hint: Hint) -> bool:
    """Tell whether *value* is what *hint* says, with all that is in it."""
    origin: Hint = typing.get_origin(hint)
    within = typing.get_args(hint)
    if hint in (Any, object):
        return True
    if hint is None:
        return value is None
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, one) for one in within)
    if origin is Callable:
        return callable(value)
    if origin is type:
        return isinstance(value, type) and issubclass(value, within[0])
    if origin is tuple:
        items = value if isinstance(value, tuple) else None
        if items is None or within[-1] is not Ellipsis:
            return items is not None and len(items) == len(within) and _all_fit(items, within)
        return _all_fit(items, within[:1] * len(items))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, origin):
            return False
        return all(fits(key, within[0]) and fits(one, within[1]) for key, one in value.items())
    if origin is not None and issubclass(origin, Iterable):
        return isinstance(value, origin) and all(fits(one, within[0]) for one in value)
    if hint is float:
        return isinstance(value, int | float)  # PEP 484: an int is given where a float is wanted
    return isinstance(value, origin or hint)


def _all_fit(items: tuple[object, ...], hints: tuple[Hint, ...]) -> bool:
    return all(fits(item, hint) for item, hint in zip(items, hints, strict=True))


# --- What only type checkers import ---------------------------------------------------------------


@runtime_checkable
class _HasFileno(Protocol):
    def fileno(self) -> int: ...


def _typeshed() -> types.ModuleType:
    """Return what stands in for the module that exists for type checkers only."""
    module = types.ModuleType("_typeshed")
    path = str | bytes | os.PathLike[str] | os.PathLike[bytes]
    vars(module).update(HasFileno=_HasFileno, StrOrBytesPath=path)
    return module


@functools.cache
def _for_checkers(module: str) -> dict[str, Any]:
    """Return the names of a module's ``if TYPE_CHECKING:``."""
    names: dict[str, Any] = {}
    for node in ast.parse(inspect.getsource(sys.modules[module])).body:
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), body=body):
                block = compile(ast.Module(body, type_ignores=[]), module, "exec")
                with mock.patch.dict(sys.modules, _typeshed=_typeshed()):
                    exec(block, names)
            case _:
                pass
    return names


def _hints(function: Callable[..., object], owner: type | None) -> dict[str, Hint]:
    names = _for_checkers(function.__module__) | {"Self": owner}
    return typing.get_type_hints(function, localns=names)


# --- The calls ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """A call of *name*: a function, or a method of a class or of ``signals``."""

    name: str
    arguments: tuple[object, ...] = ()
    keywords: Mapping[str, object] = field(default_factory=dict)


def call(name: str, *arguments: object, **keywords: object) -> Call:
    """Return the call."""
    return Call(name, arguments, keywords)


def _handler(_number: int, _frame: object) -> None:
    """Do nothing."""


#: All descriptors: whoever closes the others closes none. The child has few.
_ALL = [*range(1024)]

CALLS = [
    call("Pidfile.acquire"),
    call("Pidfile.is_locked"),
    call("Pidfile.read_pid"),
    call("Pidfile.release"),
    call("Pidfile.release", None, None, None),
    call("Pidfile.remove"),
    call("Pidfile.remove_if_stale"),
    call("Pidfile.write_pid"),
    call("DaemonContext.redirect_to_null", None),
    call("DaemonContext.open"),
    call("DaemonContext.close"),
    call("Signals.arm_alarm", 0),
    call("Signals.arm_alarm", 0.0),
    call("Signals.reset_alarm"),
    call("Signals.supported", "TERM"),
    call("Signals.signum", "SIGTERM"),
    call("Signals.signum", signal.SIGTERM),
    call("Signals.reset", "TERM", 10),
    call("Signals.ignore", "USR1"),
    call("Signals.update", {"USR1": _handler}, USR2=signal.SIG_IGN),
    call("Signals.update", [("USR1", _handler)]),
    call("Signals.__getitem__", "USR1"),
    call("Signals.__getitem__", "INT"),
    call("Signals.__setitem__", "USR1", _handler),
    call("check_privileges", ["json"]),
    call("check_privileges", {"json"}),
    call("close_open_fds", _ALL),
    call("close_open_fds", [*_ALL, sys.stdin, None]),
    call("create_pidlock", "app.pid"),
    call("create_pidlock", Path("app.pid")),
    call("_create_pidlock", "app.pid"),
    call("detached", fake=True),
    call("detached", "app.log", "app.pid", "app", 1000, "022", ".", True, stdout=None),
    call("fd_by_path", ["/dev/null", b"/dev/null", Path("/nothing")]),
    call("get_errno_name", "ENOENT"),
    call("get_errno_name", 2),
    call("get_fdmax"),
    call("get_fdmax", 2048),
    call("get_signal", "TERM"),
    call("get_signal", 15),
    call("ignore_errno", "ENOENT", 13),
    call("ignore_errno", types=(OSError,)),
    call("ignore_errno", types=OSError),
    call("ignore_signal", "USR1", "USR2"),
    call("initgroups", "app", 1000),
    call("install_signal_handler", "USR1", _handler),
    call("isatty", None),
    call("isatty", sys.stdin),
    call("maybe_drop_privileges"),
    call("maybe_drop_privileges", uid="app"),
    call("maybe_drop_privileges", 1000, "app"),
    call("parse_gid", "app"),
    call("parse_gid", 1000),
    call("parse_uid", "app"),
    call("parse_uid", 1000),
    call("pyimplementation"),
    call("reset_signal", "USR1"),
    call("set_mp_process_title", "app", "ready", "host"),
    call("set_pdeathsig", "TERM"),
    call("set_process_title", "app", info="ready"),
    call("setgid", "app"),
    call("setgroups", [1000, "app"]),
    call("setgroups", (1000,)),
    call("setuid", 1000),
    call("signal_name", 15),
    call("strargv", ["manage.py", "run", "--now"]),
    call("strargv", ("app",)),
]


def _disagreements(wanted: Call) -> list[str]:
    """Make the call, and return what is not as it is annotated."""
    owner, _, name = wanted.name.rpartition(".")
    cls: type | None = getattr(platforms, owner) if owner else None
    made: tuple[object, ...] = ()
    if cls is platforms.Pidfile:
        made = ("app.pid",)
    elif cls is platforms.DaemonContext:
        made = (None, ".", 0o022, True)
    function = getattr(platforms if cls is None else cls(*made), name)
    hints = _hints(inspect.unwrap(function), cls)
    bound = inspect.signature(function).bind(*wanted.arguments, **wanted.keywords)
    wrong: list[str] = []
    for parameter, given in bound.arguments.items():
        kind = bound.signature.parameters[parameter].kind
        several: Iterable[object] = [given]
        if kind is inspect.Parameter.VAR_POSITIONAL:
            several = given
        elif kind is inspect.Parameter.VAR_KEYWORD:
            several = given.values()
        hint = hints[parameter]
        wrong += [f"{parameter}: {one!r}, not {hint}" for one in several if not fits(one, hint)]
    found = function(*wanted.arguments, **wanted.keywords)
    result = type(None) if hints["return"] is None else hints["return"]
    return wrong if fits(found, result) else [*wrong, f"returns {found!r}, not {result}"]


@pytest.mark.needs("linux")
@pytest.mark.parametrize("wanted", CALLS, ids=lambda wanted: wanted.name)
def test_what_goes_in_and_comes_out_is_what_the_annotations_say(
    wanted: Call, tmp_path: Path
) -> None:
    """Names and numbers, lists and tuples, each of what a union allows."""
    accounts = StaticAccounts(
        users=[Account("app", Uid(1000), Gid(1000), "/", "/bin/sh")],
        groups=[Group("app", Gid(1000)), Group("logs", Gid(1001), ("app",))],
    )

    def child() -> list[str]:
        os.chdir(tmp_path)
        warnings.simplefilter("ignore")
        with standing_in(kernel=FakeKernel.root(), accounts=accounts):
            return _disagreements(wanted)

    assert in_child(child) == []


def _functions() -> set[str]:
    public = {name: getattr(platforms, name) for name in {*platforms.__all__, *NAMES}}
    names = {name for name, value in public.items() if inspect.isroutine(value)}
    for owner in ("Pidfile", "DaemonContext", "Signals"):
        for name, value in vars(public[owner]).items():
            if inspect.isroutine(value) and not name.startswith("_"):
                names.add(f"{owner}.{name}")
    return names


def test_no_function_is_left_out() -> None:
    """Neither of the module, nor of the classes that programs make objects of."""
    assert _functions() - {wanted.name for wanted in CALLS} == set()


@pytest.mark.parametrize("room", sorted({"platforms", *platforms._HOMES, "exits", "privileges"}))
def test_each_constant_is_what_its_annotation_says(room: str) -> None:
    """Those that have one; a checker sees the others' values as we do."""
    name = "abdicate.platforms" if room == "platforms" else f"abdicate.process.{room}"
    module = __import__(name, fromlist=["*"])
    names = _for_checkers(name)
    for constant, annotation in vars(module).get("__annotations__", {}).items():
        hint = eval(annotation, vars(module), names) if isinstance(annotation, str) else annotation
        assert fits(getattr(module, constant), hint), constant


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("x", int),
        (None, int | str),
        (1, None),
        ([1, "x"], list[int]),
        ((1,), tuple[int, int]),
        ((1, "x"), tuple[int, ...]),
        ({"x": 1}, Mapping[int, int]),
        (1, Callable[[], int]),
        (int, type[BaseException]),
        (1000, Uid),
        ([1], tuple[int, ...]),
    ],
)
def test_what_does_not_fit_is_found(value: object, hint: object) -> None:
    """The tests above can fail."""
    assert not fits(value, hint)
