"""The parts of the reference that come from the code are those that the code gives now."""

from __future__ import annotations

import ast
import errno
import inspect
import sys
import textwrap
from collections.abc import Iterator
from types import FunctionType, ModuleType

import pytest

from abdicate import cli
from abdicate.identity.credentials import Credentials
from abdicate.kernel import system_kernel
from abdicate.kernel.port import Kernel
from abdicate.plan.steps import STEPS
from abdicate.specs.schema import config_schema
from abdicate.values import Value
from docs.scripts import DOCS, script

generate = script("generate")


@pytest.mark.parametrize("page", generate.SECTIONS)
def test_what_is_made_from_the_code_is_fresh(page: str) -> None:
    """``python docs/generate.py`` would change nothing."""
    assert (DOCS / page).read_text(encoding="utf-8") == generate.filled(page)


def test_every_option_of_every_command_is_in_the_reference() -> None:
    """Help aside, as the parsers know them."""
    page = (DOCS / "reference" / "command-line.md").read_text(encoding="utf-8")
    assert set(generate.parsers()) == set(cli._COMMANDS)
    for name, parser in generate.parsers().items():
        part = page.partition(f"## abdicate {name}\n")[2].partition("\n## ")[0]
        for action in parser._actions:
            for option in action.option_strings:
                assert action.dest == "help" or f"`{option}" in part, (name, option)


def test_every_key_of_the_schema_is_in_the_reference() -> None:
    """Of each of the four tables."""
    page = (DOCS / "reference" / "config.md").read_text(encoding="utf-8")
    definitions = config_schema()["$defs"]
    tables = [
        form
        for name in ("Profile", "PrivilegeDrop", "PidfileSpec", "DaemonSettings")
        for form in (definitions[name], *definitions[name].get("anyOf", ()))
    ]
    keys = {key for table in tables for key in table.get("properties", {})}
    assert {"drop", "no_new_privs", "stale", "ready"} <= keys
    for key in keys:
        assert f"| `{key}` |" in page


def test_the_platform_matrix_has_every_step_and_every_slot() -> None:
    """Each with the call that the executor really makes."""
    page = (DOCS / "reference" / "platforms.md").read_text(encoding="utf-8")
    for kind in STEPS:
        assert f"| `{kind}` |" in page
    for slot in Credentials.current().slots():
        assert f"| {slot} |" in page


@pytest.mark.needs("linux")
def test_linux_reads_every_slot_that_the_matrix_says_it_reads() -> None:
    """None of them is unknown of the calling thread; the two of the matrix are of the others."""
    kernel = system_kernel()
    assert None not in kernel.credentials().slots().values()
    threads = kernel.threads()
    assert threads
    for held in threads.values():
        unknown = {slot for slot, value in held.slots().items() if value is None}
        assert unknown == {"securebits", "dumpable"}


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX")
def test_what_the_matrix_denies_to_posix_is_refused_by_its_adapter() -> None:
    """With ENOSYS, as a kernel without the call would."""
    from abdicate.kernel.posix import PosixKernel

    kernel, page = PosixKernel(), (DOCS / "reference" / "platforms.md").read_text("utf-8")
    denied = 0
    for step in generate._SAMPLES:
        if f"| `{step.kind}` | `{step.call}` | {step.scope} | yes | no | no |" in page:
            denied += 1
            with pytest.raises(OSError, match="has no") as caught:
                generate.apply(kernel, step)
            assert caught.value.errno == errno.ENOSYS
    assert denied == 9


@pytest.mark.parametrize("module", generate._MODULES, ids=lambda module: module.__name__)
def test_every_public_name_is_in_the_reference(module: ModuleType) -> None:
    """With a directive that Sphinx fills from the docstring."""
    page = (DOCS / "reference" / "api.md").read_text(encoding="utf-8")
    for name in module.__all__:
        assert f":: {module.__name__}.{name}\n" in page


_NAMES = [(module.__name__, name) for module in generate._MODULES for name in module.__all__]


@pytest.mark.parametrize(("home", "name"), _NAMES)
def test_every_public_name_has_a_docstring(home: str, name: str) -> None:
    """Classes with their public methods and properties; a constant is told by the reference."""
    value = getattr(sys.modules[home], name)
    if not inspect.isclass(value) and not inspect.isroutine(value):
        assert generate._said_of(name, value)
        return
    assert value.__doc__
    for place, function in _functions(value):
        assert inspect.getdoc(function), place


@pytest.mark.parametrize(("home", "name"), _NAMES)
def test_what_a_public_name_raises_is_in_its_docstring(home: str, name: str) -> None:
    """Where its own code has a ``raise``."""
    for place, function in _functions(getattr(sys.modules[home], name)):
        # The port of the kernel says once what each of its calls raises.
        if function.__name__ not in vars(Kernel) and _raises(function):
            assert "Raises:" in (function.__doc__ or ""), place


@pytest.mark.parametrize(("home", "name"), _NAMES)
def test_every_field_of_a_public_value_is_explained(home: str, name: str) -> None:
    """By its class's docstring, or by its description in a pydantic model."""
    value = getattr(sys.modules[home], name)
    said = value.__doc__ or ""
    for field in getattr(value, "__fields__", ()) if _is_value(value) else ():
        assert field in said, field
    for field, told in getattr(value, "model_fields", {}).items():
        assert told.description or field in said, field


def _is_value(value: object) -> bool:
    return inspect.isclass(value) and issubclass(value, Value)


def _functions(value: object) -> Iterator[tuple[str, FunctionType]]:
    """Yield the functions of ours that *value* is, or has under a public name."""
    if inspect.isfunction(value):
        yield value.__qualname__, value
    if not inspect.isclass(value):
        return
    for cls in value.__mro__:
        if cls.__module__.partition(".")[0] != "abdicate":
            continue
        for name, member in vars(cls).items():
            function = getattr(member, "__func__", getattr(member, "fget", member))
            if not name.startswith("_") and inspect.isfunction(function):
                yield f"{cls.__name__}.{name}", function


def _raises(function: FunctionType) -> bool:
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    todo = list(ast.iter_child_nodes(tree))
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Raise) and node.exc is not None:
            return True
        if not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda):
            todo += ast.iter_child_nodes(node)
    return False
