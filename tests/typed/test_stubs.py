"""The stub of celery.platforms is what celery.platforms is, and good to write programs with.

By itself neither of the two is enough: stubtest passes a stub in which everything is `int`, and
assert_type one of names that are not there.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from parity.contract import NAMES
from typed.checkers import CHECKERS, STUBS
from typed.test_typed import each_checker

_PROMISES = Path(__file__).with_name("celery_promises.py")


@pytest.mark.needs("celery")
def test_the_stub_has_what_celery_has(tmp_path: Path) -> None:
    """mypy.stubtest: names, parameters, defaults and the kinds of values."""
    command = [sys.executable, "-m", "mypy.stubtest", "celery.platforms"]
    ran = subprocess.run(
        [*command, "--allowlist", str(STUBS / "allowlist.txt")],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(STUBS)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@each_checker
def test_what_the_stub_says_is_what_its_users_need(checker: str, tmp_path: Path) -> None:
    """Every name in use, with the type of what comes out of it."""
    assert CHECKERS[checker](_PROMISES, tmp_path) == []


@each_checker
@pytest.mark.parametrize("package", ["celery", "abdicate"])
def test_a_worker_is_as_right_on_the_one_module_as_on_the_other(
    package: str, checker: str, tmp_path: Path
) -> None:
    """The import is all that changes, for type checkers too: the worker of tests/parity."""
    worker = tmp_path / "app" / "worker.py"
    worker.parent.mkdir()
    text = (_PROMISES.parents[1] / "parity" / "worker_app.py").read_text(encoding="utf-8")
    assert text.count("from celery import platforms") == 1
    worker.write_text(text.replace("from celery import", f"from {package} import"))
    assert CHECKERS[checker](worker, tmp_path) == []


def test_no_name_of_the_contract_is_left_out() -> None:
    """Neither of the stub, nor of what is said of it."""
    stub = ast.parse((STUBS / "celery" / "platforms.pyi").read_text(encoding="utf-8"))
    there: set[str] = set()
    for node in stub.body:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                there.add(name)
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
                there.add(name)
            case ast.ImportFrom(names=names):
                there |= {alias.asname or alias.name for alias in names}
            case _:
                pass
    tree = ast.walk(ast.parse(_PROMISES.read_text(encoding="utf-8")))
    said = {node.attr for node in tree if isinstance(node, ast.Attribute)}
    assert NAMES - there == set()
    assert NAMES - said == set()
