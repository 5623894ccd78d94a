"""Apps are told by their type checker what they may do, and each misuse by its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from typed.checkers import CHECKERS, Error, ty

_HERE = Path(__file__).parent
_MISUSE = _HERE / "misuse" / "app.py"

# In this order they stand behind "# wrong:".
each_checker = pytest.mark.parametrize(
    "checker",
    ["mypy", pytest.param("pyright", marks=pytest.mark.needs("pyright"))],
)


def _announced(file: Path, checker: str) -> list[Error]:
    lines = file.read_text(encoding="utf-8").splitlines()
    marked = ((number, line.partition("# wrong: ")[2]) for number, line in enumerate(lines, 1))
    place = list(CHECKERS).index(checker)
    return [(number, codes.split(", ")[place]) for number, codes in marked if codes]


@each_checker
def test_what_is_promised_to_apps_is_what_the_checker_says(checker: str, tmp_path: Path) -> None:
    """An assert_type that does not hold is an error, and there is none."""
    assert CHECKERS[checker](_HERE / "promises.py", tmp_path) == []


@each_checker
def test_each_misuse_is_an_error_on_its_line_and_nothing_else_is(
    checker: str, tmp_path: Path
) -> None:
    """A proof that is missing or forged, a frozen field, a plain number, a policy misspelt."""
    announced = _announced(_MISUSE, checker)
    assert len(announced) >= 35
    assert CHECKERS[checker](_MISUSE, tmp_path) == announced


@each_checker
def test_a_promise_that_does_not_hold_is_found(checker: str, tmp_path: Path) -> None:
    """The tests above can fail."""
    false = tmp_path / "false" / "app.py"
    false.parent.mkdir()
    false.write_text("from abdicate import platforms\nx: str = platforms.parse_uid('web')\n")
    found = CHECKERS[checker](false, tmp_path)
    assert found == [(2, {"mypy": "assignment", "pyright": "reportAssignmentType"}[checker])]


@pytest.mark.needs("ty")
def test_a_third_checker_says_the_same_of_every_line(tmp_path: Path) -> None:
    """What is promised and refused is no habit of two checkers."""
    announced = sorted({line for line, _ in _announced(_MISUSE, "mypy")})
    assert ty(_HERE / "promises.py", tmp_path) == []
    assert ty(_MISUSE, tmp_path) == announced
