"""The migration page is complete: every name, every deviation, and nothing that no test shows."""

from __future__ import annotations

import re

import pytest

from parity.contract import MIGRATION, NAMES, deviations
from parity.table import CASES

_PAGE = MIGRATION.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_name_is_on_the_page(name: str) -> None:
    table = _PAGE.partition("## The names")[2].partition("## Deviations")[0]
    assert re.search(rf"`{name}[`(]", table), name


def test_the_deviations_are_numbered_without_a_gap() -> None:
    assert list(deviations()) == list(range(1, len(deviations()) + 1))


def test_every_deviation_of_the_page_is_shown_by_a_case_and_the_other_way_round() -> None:
    assert {case.differs.number for case in CASES if case.differs} == set(deviations())


def test_the_table_points_to_each_deviation() -> None:
    """Whoever looks a name up finds what is different about it."""
    table = _PAGE.partition("## The names")[2].partition("## Deviations")[0]
    listed = {
        number
        for line in table.splitlines()
        if line.startswith("| `")
        for first, last in re.findall(r"(\d+)(?:–(\d+))?", line.rpartition("| ")[2])
        for number in range(int(first), int(last or first) + 1)
    }
    assert listed == set(deviations())
