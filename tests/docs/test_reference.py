"""The parts of the reference that come from the code are those that the code gives now."""

from __future__ import annotations

import errno
import inspect
import sys
from types import ModuleType

import pytest

from abdicate import cli
from abdicate.identity.credentials import Credentials
from abdicate.kernel import system_kernel
from abdicate.plan.steps import STEPS
from abdicate.specs.schema import config_schema
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


_IDS = [(module.__name__, name) for module in generate._MODULES for name in module.__all__]


@pytest.mark.parametrize(("home", "name"), _IDS)
def test_every_public_name_has_a_docstring(home: str, name: str) -> None:
    """Classes with their public methods and properties; a constant is told by the reference."""
    value = getattr(sys.modules[home], name)
    if not inspect.isclass(value) and not inspect.isroutine(value):
        assert generate._said_of(name, value)
        return
    assert value.__doc__, name
    if inspect.isclass(value):
        for cls in value.__mro__:
            if cls.__module__.partition(".")[0] != "abdicate":
                continue
            for attribute, member in vars(cls).items():
                if not attribute.startswith("_") and _is_documented(member):
                    assert inspect.getdoc(getattr(value, attribute)) or member.__doc__, attribute


def _is_documented(member: object) -> bool:
    return inspect.isroutine(member) or isinstance(member, property | classmethod | staticmethod)
