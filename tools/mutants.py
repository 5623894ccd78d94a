"""Mutation testing: change one thing in a module, and see whether its tests notice.

    python tools/mutants.py [--jobs N] [MODULE ...]

cosmic-ray makes the mutants. Each is tested in a forked child, on a copy of the sources, by the
tests that are the module's own; a child costs a tenth of a process that has to load pytest,
Hypothesis and pydantic first. What survives is printed as a diff, and explained in
docs/explanation/tests.md.

Left out: mutants that differ in annotations, docstrings or ``if TYPE_CHECKING`` blocks alone, and
operators that only make a TypeError (a set raised to a power), or compare numbers and texts by
``is``.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import importlib
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_SOURCE = _ROOT / "src" / "abdicate"
_PATIENCE = 4  # times what the tests take without a mutant: more has changed what it does

_UNIT = "tests/unit/test_{}.py"
_PLAN = ["planner", "plan", "codec", "preflight", "rules", "steps", "policy", "report", "grammar"]
_EXECUTOR = ["attack", "execute", "apply", "verify"]
_ON_THE_MODEL = ["tests/model/test_rules_of_the_plan.py"]
_DROPS = [
    "tests/drops/test_pitfalls_kernel.py",
    "tests/drops/test_threads.py",
    "tests/drops/test_pitfalls_already.py",
    "tests/drops/test_pitfalls_chroot.py",
    "tests/drops/test_pitfalls_groups.py",
    "tests/drops/test_pitfalls_around.py",
    "tests/drops/test_pitfalls_halfway.py",
    "tests/drops/test_rehearsal.py",
    "tests/drops/test_order.py",
    "tests/drops/test_promises.py",
]
_SHOWN = ["tests/cli/test_show.py", "tests/cli/test_explain.py", "tests/cli/test_run_words.py"]

#: What each module's own tests are, the most telling first.
TESTS: dict[str, list[str]] = {
    "identity/ids.py": [
        *(_UNIT.format(name) for name in ("ids", "values", "resolve", "specs_fields")),
        "tests/drops/test_pitfalls_parsing.py",
    ],
    "process/pidfile.py": [
        "tests/process/test_pidfile.py",
        "tests/process/test_pidfile_pitfalls.py",
        "tests/process/test_pidlock.py",
        "tests/process/test_pidhandover.py",
    ],
    **{
        f"executor/{name}.py": [
            *(_UNIT.format(own) for own in _EXECUTOR),
            *_DROPS,
            _UNIT.format("reach"),
            _UNIT.format("public_face"),
            *_ON_THE_MODEL,
        ]
        for name in ("__init__", "apply", "attack", "proof", "verify")
    },
    **{
        f"plan/{name}.py": [
            *([_UNIT.format(name)] if (_ROOT / _UNIT.format(name)).exists() else []),
            *(_UNIT.format(other) for other in _PLAN if other != name),
            *_ON_THE_MODEL,
            *_SHOWN,
        ]
        for name in (*_PLAN, "ranges", "text")
    },
}


def mutants(text: str) -> Iterator[tuple[str, str]]:
    """Yield the name of an operator and a changed *text*, once for each change in meaning."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator, operator_names

    seen = {_meaning(text)}
    for name in sorted(operator_names()):
        if not _is_telling(name):
            continue
        operator, occurrence = get_operator(name)(), 0
        while (changed := mutate_code(text, operator, occurrence)) is not None:
            occurrence += 1
            try:
                meaning = _meaning(changed)
            except SyntaxError:
                continue
            if meaning not in seen:
                seen.add(meaning)
                yield name, changed


# One other operator for each is enough: the rest are TypeErrors on what these modules handle.
_BINARY = {
    *("Add_Sub", "Sub_Add", "Mul_Add", "FloorDiv_Mul", "Mod_Add", "Pow_Add"),
    *("BitOr_BitAnd", "BitAnd_BitOr", "BitXor_BitOr", "LShift_RShift", "RShift_LShift"),
}


def _is_telling(name: str) -> bool:
    kind = name.removeprefix("core/")
    if kind.startswith("ReplaceBinaryOperator_"):
        return kind.removeprefix("ReplaceBinaryOperator_") in _BINARY
    if kind in ("VariableInserter", "VariableReplacer"):
        return False  # they have to be told of two variables
    return not kind.endswith(("Eq_Is", "NotEq_IsNot", "Eq_IsNot", "NotEq_Is"))


class _Meaning(ast.NodeTransformer):
    """What a module does: without annotations, docstrings, and what is for checkers only."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        if "'TYPE_CHECKING'" in ast.dump(node.test):
            node.test, node.body = ast.Constant(None), [ast.Pass()]
        return self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        return ast.Pass() if "'TYPE_CHECKING'" in ast.dump(node) else self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        return ast.Pass() if isinstance(node.value, ast.Constant) else self.generic_visit(node)


def _meaning(text: str) -> str:
    return ast.dump(_Meaning().visit(ast.parse(text)))


class Slot:
    """A copy of the project, in which one mutant at a time is tested."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("src", "tests", "examples", "docs"):
            shutil.copytree(
                _ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        for file in ("pyproject.toml", "mypy.ini", "README.md", "CHANGELOG.md"):
            shutil.copy(_ROOT / file, folder / file)
        self.process = 0

    def start(self, module: str, text: str, tests: list[str]) -> None:
        """Fork a child that tests *text* in the place of *module*; its status is pytest's."""
        file = self.folder / "src" / "abdicate" / module
        file.write_text(text, encoding="utf-8")
        self.began, self.text, self.module = time.monotonic(), text, module
        self.process = os.fork()
        if self.process == 0:
            os.setsid()
            _test(self.folder, tests)

    def restore(self) -> None:
        """Put the module back."""
        shutil.copy(_SOURCE / self.module, self.folder / "src" / "abdicate" / self.module)


def _test(folder: Path, tests: list[str]) -> None:
    status = 99
    try:
        import pytest

        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        said = os.open(folder / _SAID, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, 1)
        os.dup2(said, 2)
        os.chdir(folder)
        os.environ["PYTHONPATH"] = str(folder / "src")
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        sys.dont_write_bytecode = True
        sys.path.insert(0, str(folder / "src"))
        # Of the preloaded Hypothesis, whose plugin pytest would like to load itself.
        calm = ["-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning"]
        words = ["-x", "-q", "-p", "no:cacheprovider", *calm]
        # Most mutants do not outlive the first file; a child collects no more than that for them.
        first = os.fork()
        if first == 0:
            status = int(pytest.main([*words, tests[0]]))
            sys.stdout.flush()
            os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])
        if status == 0:
            status = int(pytest.main([*words, *tests[1:]]))
            sys.stdout.flush()
    except BaseException:  # noqa: BLE001 - the child ends here, whatever it is
        traceback.print_exc()
    finally:
        os._exit(status)


_SAID = "said"  # the file with a child's output


def _preload() -> None:
    """Load what every child needs and what is not under test."""
    for name in ("hypothesis.stateful", "pydantic", "pytest"):
        importlib.import_module(name)
    assert not any(name.partition(".")[0] == "abdicate" for name in sys.modules)


def main() -> int:
    """Test the mutants of the modules that are named, or of all; return 1 where one survived."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("modules", metavar="MODULE", nargs="*", help="as in plan/codec.py")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--list", action="store_true", help="count the mutants, and test none")
    asked = parser.parse_args()
    modules = asked.modules or list(TESTS)
    _preload()
    totals = [0, 0]
    with tempfile.TemporaryDirectory() as folder:
        slots = [Slot(Path(folder) / str(number)) for number in range(asked.jobs)]
        for module in modules:
            text = (_SOURCE / module).read_text(encoding="utf-8")
            made = list(mutants(text))
            if asked.list:
                print(f"{module}: {len(made)} mutants")
                continue
            slots[0].start(module, text, TESTS[module])
            _, status = os.waitpid(slots[0].process, 0)
            patience = _PATIENCE * (time.monotonic() - slots[0].began)
            if status:
                said = (slots[0].folder / _SAID).read_text(encoding="utf-8", errors="replace")
                print(f"{module}: its tests fail without a mutant\n{said}", file=sys.stderr)
                return 2
            slots[0].process = 0
            killed = len(made)
            for name, changed in _survivors(module, made, slots, patience):
                killed -= 1
                print(f"  survived: {name}")
                lines = difflib.unified_diff(text.splitlines(), changed.splitlines(), n=0)
                print("".join(f"    {line}\n" for line in list(lines)[2:]), flush=True)
            totals = [totals[0] + killed, totals[1] + len(made)]
            print(f"{module}: {killed} of {len(made)} mutants killed", flush=True)
    print(f"all: {totals[0]} of {totals[1]} mutants killed")
    return int(totals[0] != totals[1])


def _survivors(
    module: str, made: list[tuple[str, str]], slots: list[Slot], patience: float
) -> Iterator[tuple[str, str]]:
    waiting, names = list(reversed(made)), {text: name for name, text in made}
    while waiting or any(slot.process for slot in slots):
        for slot in slots:
            if slot.process == 0 and waiting:
                slot.start(module, waiting.pop()[1], TESTS[module])
            elif slot.process:
                done, status = os.waitpid(slot.process, os.WNOHANG)
                late = time.monotonic() - slot.began > patience
                if late and not done:
                    os.killpg(slot.process, signal.SIGKILL)
                    os.waitpid(slot.process, 0)
                if done or late:
                    slot.process = 0
                    slot.restore()
                    if late and not done:
                        print(f"  out of time: {names[slot.text]}", file=sys.stderr, flush=True)
                    if done and status == 0:
                        yield names[slot.text], slot.text
        time.sleep(0.01)


if __name__ == "__main__":
    sys.exit(main())
