"""celery.platforms as the oracle: both modules do the same, or differ as it is written down.

The table is in `parity.table`; what "the same" means, in `parity.outcome`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from harness.needs import unmet
from parity.case import Case
from parity.contract import NAMES
from parity.oracle import Both, outcomes
from parity.table import CASES


@pytest.fixture(scope="module")
def observed(request: pytest.FixtureRequest) -> Mapping[str, Both]:
    """What either module did in each case that was chosen, and that this machine can show."""
    items = (item for item in request.session.items if isinstance(item, pytest.Function))
    here = (item for item in items if item.path == request.path)
    given = (item.callspec.params.get("case") for item in here if hasattr(item, "callspec"))
    chosen = [case for case in given if isinstance(case, Case)]
    return outcomes(case for case in chosen if all(unmet(need) is None for need in case.all_needs))


def _rows(wanted: Callable[[Case], bool]) -> list[object]:
    return [
        pytest.param(case, id=str(case), marks=pytest.mark.needs(*case.all_needs))
        for case in CASES
        if wanted(case)
    ]


@pytest.mark.parametrize("case", _rows(lambda case: case.differs is None))
def test_both_do_the_same(case: Case, observed: Mapping[str, Both]) -> None:
    """Results, exceptions, warnings, credentials and files, of the model and of ours."""
    both = observed[str(case)]
    assert both.ours.satisfies(both.celery), f"celery: {both.celery}\nours:   {both.ours}"


@pytest.mark.parametrize("case", _rows(lambda case: case.differs is not None))
def test_a_deviation_is_what_is_written_down(case: Case, observed: Mapping[str, Both]) -> None:
    """Also that celery still does what we decided not to do."""
    both = observed[str(case)]
    assert case.differs is not None
    assert (str(both.celery), str(both.ours)) == (case.differs.celery, case.differs.ours)
    assert not both.ours.satisfies(both.celery), "they do the same: it is no deviation"


# --- The table itself -----------------------------------------------------------------------------


def test_no_case_is_there_twice() -> None:
    names = [str(case) for case in CASES]
    assert sorted(names) == sorted(set(names))


def test_the_table_has_every_name_of_the_contract() -> None:
    called = {case.function.split(".")[0] for case in CASES}
    assert called == set(NAMES)


def test_the_table_is_no_sample() -> None:
    """At least 150 inputs that an ordinary user can try, and at least as many more as root."""
    of_an_ordinary_user = [case for case in CASES if "root" not in case.all_needs]
    assert len(of_an_ordinary_user) >= 150
    assert len(CASES) >= 500
