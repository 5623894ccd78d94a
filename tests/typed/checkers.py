"""The type checkers, run as an app's author runs them: outside of our checkout, on one file.

So they find abdicate as an app's do: installed, with its py.typed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

__all__ = ["CHECKERS", "Checker", "Error", "mypy", "pyright", "ty"]

#: The line, counted from 1, and the code.
Error = tuple[int, str]
Checker = Callable[[Path, Path], list[Error]]

STUBS = Path(__file__).parents[2] / "stubs"

_PATIENCE = 300.0  # seconds


def _said(folder: Path, *words: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    assert ran.returncode in (0, 1), ran.stdout + ran.stderr
    return ran.stdout


def mypy(file: Path, elsewhere: Path) -> list[Error]:
    """Return what mypy --strict finds in *file*, from an empty directory *elsewhere*."""
    words = "--strict --no-error-summary --hide-error-context --no-pretty"
    config = elsewhere / "mypy.ini"
    config.write_text(f"[mypy]\nmypy_path = {STUBS}\ncache_dir = {elsewhere / 'cache'}\n")
    said = _said(elsewhere, "mypy", *words.split(), "--config-file", str(config), str(file))
    found = re.findall(r":(\d+): error: .*\[([a-z-]+)\]$", said, re.MULTILINE)
    assert len(found) == said.count(": error: "), said
    return [(int(line), code) for line, code in found]


def pyright(file: Path, elsewhere: Path) -> list[Error]:
    """Return what pyright finds in *file* by its strict rules, from the directory *elsewhere*."""
    # What a config includes has to lie below it, and without a config of our own pyright takes
    # the next one that it finds upwards.
    copy = elsewhere / file.name
    copy.write_bytes(file.read_bytes())
    config = elsewhere / "pyrightconfig.json"
    settings = {"include": [copy.name], "stubPath": str(STUBS), "typeCheckingMode": "strict"}
    config.write_text(json.dumps(settings))
    options = ["--project", str(config), "--pythonpath", sys.executable, "--outputjson"]
    said = _said(elsewhere, "pyright", *options)
    told = json.loads(said)
    assert told["summary"]["filesAnalyzed"] == 1, said
    found = told["generalDiagnostics"]
    return sorted((one["range"]["start"]["line"] + 1, one.get("rule", "syntax")) for one in found)


def ty(file: Path, elsewhere: Path) -> list[int]:
    """Return the lines of *file* in which ty finds an error. Its rules change names as yet."""
    options = ["--python", sys.executable, "--output-format", "concise", "--color", "never"]
    copy = elsewhere / file.name
    copy.write_bytes(file.read_bytes())
    said = _said(elsewhere, "ty", "check", *options, copy.name)
    return sorted({int(line) for line in re.findall(r"^[\w.]+:(\d+):", said, re.MULTILINE)})


CHECKERS: dict[str, Checker] = {"mypy": mypy, "pyright": pyright}
