"""``import abdicate``: every promised name, loaded when it is used, and nothing before."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

import abdicate

_SOURCE = Path(abdicate.__file__)
_TREE = ast.parse(_SOURCE.read_text(encoding="utf-8"))

#: The names of DESIGN.md, "Names that are promises", that this release has.
_PROMISED = {
    "AbdicateError",
    "audit",
    "load_config",
    "Profile",
    "Capability",
    "CapabilitySets",
    "Credentials",
    "DropReport",
    "Dropped",
    "GroupSpec",
    "Identity",
    "Plan",
    "PrivilegeDrop",
    "UserSpec",
    "execute",
    "plan_drop",
    "rehearse",
}


def _run(code: str) -> str:
    """Return what *code* prints in an interpreter of its own."""
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def _typed_imports() -> dict[str, str]:
    """Return each name that the type checker sees, with the module that it comes from."""
    (block,) = (
        node
        for node in _TREE.body
        if isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )
    found = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            assert alias.asname is None
            found[alias.name] = node.module or ""
    return found


def _real_imports() -> dict[str, str]:
    """Return the same as the running program has it."""
    homes: dict[str, str] = vars(abdicate)["_HOME_OF"]
    return homes


@pytest.mark.parametrize("name", abdicate.__all__)
def test_every_public_name_is_there(name: str) -> None:
    """Under the name that it has at home."""
    value = getattr(abdicate, name)
    assert value is getattr(importlib.import_module(_real_imports()[name]), name)
    assert getattr(value, "__name__", name) == name


def test_the_promised_names_are_public() -> None:
    """From the first release on."""
    assert set(abdicate.__all__) >= _PROMISED


def test_the_list_is_sorted_and_complete() -> None:
    """What is loaded lazily is public, and what is public is loaded lazily."""
    assert len(abdicate.__all__) == len(set(abdicate.__all__))
    assert set(abdicate.__all__) == set(_real_imports())


def test_the_type_checker_sees_what_the_program_loads() -> None:
    """Two lists, one truth."""
    assert _typed_imports() == _real_imports()


@pytest.mark.parametrize("name", abdicate.__all__)
def test_every_public_name_is_public_at_home(name: str) -> None:
    """In its module's own ``__all__``, and documented."""
    module = importlib.import_module(_real_imports()[name])
    assert name in module.__all__
    assert getattr(abdicate, name).__doc__


def test_the_public_names_are_listed() -> None:
    """By dir(), before any has been loaded."""
    listed = _run("import abdicate; print(*dir(abdicate))").split()
    assert set(abdicate.__all__) <= set(listed)
    assert "__version__" in listed
    assert listed == sorted(set(listed))


def test_an_unknown_name_is_an_attribute_error() -> None:
    """With both names; and a star import finds every public one."""
    with pytest.raises(AttributeError, match="module 'abdicate' has no attribute 'surprise'"):
        abdicate.surprise  # noqa: B018 - it raises
    assert not hasattr(abdicate, "__wrapped__")
    printed = _run(
        "from abdicate import *; import abdicate; print(set(abdicate.__all__) <= set(globals()))"
    )
    assert printed == "True\n"


def test_importing_the_package_loads_nothing_else() -> None:
    """Of this package, and of the standard library."""
    code = (
        "import sys; before = set(sys.modules); import abdicate; "
        "print(*sorted(set(sys.modules) - before))"
    )
    assert _run(code) == "abdicate\n"


def test_a_name_is_loaded_when_it_is_used() -> None:
    """Once, and with no more than its home needs."""
    code = """
import sys, abdicate
abdicate.Uid
mine = sorted(name for name in sys.modules if name.startswith("abdicate."))
print(*mine)
print("Uid" in vars(abdicate))
"""
    loaded, kept = _run(code).splitlines()
    assert loaded.split() == [
        "abdicate.errors",
        "abdicate.identity",
        "abdicate.identity.ids",
        "abdicate.values",
    ]
    assert kept == "True"


def test_only_the_specs_load_pydantic() -> None:
    """P39: its plug-in system would load code into the part that runs as root."""
    names = [name for name, home in _real_imports().items() if ".specs." not in home]
    assert len(names) > 30
    code = f"""
import sys, abdicate
for name in {names!r}:
    getattr(abdicate, name)
print([name for name in sys.modules if name.startswith(("pydantic", "abdicate.specs"))])
abdicate.PrivilegeDrop
print("pydantic" in sys.modules)
"""
    assert _run(code).splitlines() == ["[]", "True"]


@pytest.mark.parametrize(
    "heavy",
    ["typing", "dataclasses", "re", "inspect", "logging", "subprocess", "pathlib", "ctypes"],
)
def test_planning_loads_no_heavy_module(heavy: str) -> None:
    """It stands in front of every start of a process."""
    code = """
import sys
before = set(sys.modules)
from abdicate import DropRequest, Owner, Plan, plan_drop
print(*sorted(set(sys.modules) - before))
"""
    assert heavy not in _run(code).split()


def _submodules() -> list[str]:
    """Return the full name of every module of the package that can be imported."""
    found = pkgutil.walk_packages(abdicate.__path__, "abdicate.", onerror=lambda name: None)
    return [module.name for module in found if not module.name.endswith("__main__")]


def test_no_submodule_has_a_public_name() -> None:
    """``import abdicate.execute`` would put a module in the function's place."""
    top = {name.split(".")[1] for name in _submodules()}
    assert top & set(abdicate.__all__) == set()


@pytest.mark.parametrize(
    "order",
    [
        ["abdicate.executor", "abdicate.rehearsal", "abdicate.plan.planner"],
        ["abdicate.rehearsal", "abdicate.executor"],
        ["abdicate.specs.drop", "abdicate.kernel", "abdicate.request"],
        ["abdicate.cli"],
        ["abdicate.testing"],
        ["abdicate.platforms"],
    ],
    ids=" then ".join,
)
def test_the_order_of_imports_never_shadows_a_name(order: list[str]) -> None:
    """Whatever was imported before, each public name is what it is at home."""
    code = f"""
import importlib
for module in {order!r}:
    importlib.import_module(module)
import abdicate
for name in abdicate.__all__:
    home = importlib.import_module(abdicate._HOME_OF[name])
    assert getattr(abdicate, name) is getattr(home, name), name
print(abdicate.execute.__name__, abdicate.rehearse.__name__, abdicate.plan_drop.__name__)
"""
    assert _run(code) == "execute rehearse plan_drop\n"


def test_submodules_can_be_reached_as_attributes_once_imported() -> None:
    """As of any package; and the public names stay."""
    for name in ("errors", "executor", "identity", "kernel", "plan", "rehearsal"):
        module = importlib.import_module(f"abdicate.{name}")
        assert isinstance(module, types.ModuleType)
        assert getattr(abdicate, name) is module
    assert isinstance(abdicate.execute, types.FunctionType)
    assert isinstance(abdicate.rehearse, types.FunctionType)


@pytest.mark.parametrize("name", _submodules())
def test_every_module_says_what_is_public_in_it(name: str) -> None:
    """In a sorted list of names that exist; and what it is for."""
    module = importlib.import_module(name)
    assert module.__doc__
    public = getattr(module, "__all__", None)
    if public is None:
        body = ast.parse(Path(module.__file__ or "").read_text(encoding="utf-8")).body
        kinds = (ast.FunctionDef, ast.ClassDef)
        assert not any(isinstance(node, kinds) for node in body), "no __all__"
        return
    assert all(hasattr(module, each) for each in public)
    assert len(public) == len(set(public))


def test_threads_may_load_names_at_once() -> None:
    """Both get the one and only value."""
    code = """
import threading, abdicate
found = []
def load():
    for name in ("Uid", "execute"):
        found.append(getattr(abdicate, name))
threads = [threading.Thread(target=load) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(found), len(set(map(id, found))))
"""
    assert _run(code) == "16 2\n"


def test_the_version_is_the_distributions() -> None:
    """One number, in two places."""
    from importlib.metadata import version

    assert abdicate.__version__ == version("abdicate")
