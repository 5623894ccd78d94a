"""Apps are told by their type checker what they may do, and each misuse by its line.

The checker runs in a directory of its own, so that it finds abdicate as an app's does: installed,
with its py.typed.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

_HERE = Path(__file__).parent
_MISUSE = _HERE / "misuse" / "app.py"


def _errors(file: Path, elsewhere: Path) -> list[tuple[int, str]]:
    """Return the line and the code of each error that mypy --strict finds in *file*."""
    words = "--strict --config-file= --no-error-summary --hide-error-context --no-pretty"
    options = [*words.split(), "--cache-dir", str(elsewhere / "cache")]
    ran = subprocess.run(
        [sys.executable, "-m", "mypy", *options, str(file)],
        cwd=elsewhere,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode in (0, 1), ran.stdout + ran.stderr
    found = re.findall(r":(\d+): error: .*\[([a-z-]+)\]$", ran.stdout, re.MULTILINE)
    assert len(found) == ran.stdout.count(": error: "), ran.stdout
    return [(int(line), code) for line, code in found]


def _announced(file: Path) -> list[tuple[int, str]]:
    lines = file.read_text(encoding="utf-8").splitlines()
    marked = ((number, line.partition("# wrong: ")[2]) for number, line in enumerate(lines, 1))
    return [(number, code) for number, code in marked if code]


def test_what_is_promised_to_apps_is_what_the_checker_says(tmp_path: Path) -> None:
    """An assert_type that does not hold is an error, and there is none."""
    assert _errors(_HERE / "promises.py", tmp_path) == []


def test_each_misuse_is_an_error_on_its_line_and_nothing_else_is(tmp_path: Path) -> None:
    """A proof that is missing or forged, a frozen field, a plain number, a policy misspelt."""
    announced = _announced(_MISUSE)
    assert len(announced) >= 20
    assert _errors(_MISUSE, tmp_path) == announced


def test_a_promise_that_does_not_hold_is_found(tmp_path: Path) -> None:
    """The test above can fail."""
    false = tmp_path / "false.py"
    false.write_text("from abdicate import platforms\nx: str = platforms.parse_uid('web')\n")
    assert _errors(false, tmp_path) == [(2, "assignment")]
