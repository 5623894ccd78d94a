"""Skips what this machine can't show, out loud; fails instead where CI must be able to."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

from harness.needs import may_skip_in_ci, unmet

# No database of examples: a checkout may be another user's, and a run is to depend on nothing else.
settings.register_profile("abdicate", database=None, deadline=None, print_blob=True)
settings.load_profile("abdicate")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--strict-needs",
        action="store_true",
        help="an unmet need fails the test, unless it is one that a root may lack",
    )
    parser.addoption(
        "--leave-anyones",
        action="store_true",
        help="leave out what does not depend on who runs it: for CI, where another run has it",
    )


# Nothing here asks who the user is, or becomes somebody: what needs root there says so.
_ANYONES = (
    *("check", "config", "export", "measuring", "typed", "unit"),
    *("cli/test_costs.py", "docs/test_reference.py", "docs/test_site.py"),
    *("examples/test_typed_app.py", "model/test_nothing_comes_back.py"),
    *("model/test_rules_of_the_plan.py", "model/test_wrong_rules.py"),
)
# Except for these: permissions are asked of the kernel.
_EVERYBODYS = ("unit/test_reach.py",)
_TESTS = Path(__file__).parent


def _is_in(item: pytest.Item, places: Iterable[str]) -> bool:
    return any(item.path.is_relative_to(_TESTS / place) for place in places)


def _is_anyones(item: pytest.Item) -> bool:
    needed = {need for mark in item.iter_markers("needs") for need in mark.args}
    if any(need == "root" or need.startswith("CAP_") for need in needed):
        return False
    return _is_in(item, _ANYONES) and not _is_in(item, _EVERYBODYS)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what another run has, where that is asked for."""
    if config.getoption("--leave-anyones"):
        left = [item for item in items if _is_anyones(item)]
        items[:] = [item for item in items if not _is_anyones(item)]
        config.hook.pytest_deselected(items=left)


# From here on it is a whole run, and not a look at a few tests.
_WHOLE = 3000


def _modules(session: pytest.Session) -> set[ModuleType]:
    return {item.module for item in session.items if isinstance(item, pytest.Function)}


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begin what takes a minute and waits for nothing, beside the tests before it."""
    if len(session.items) < _WHOLE or session.config.option.collectonly:
        return
    for module in _modules(session):
        if hasattr(module, "begin_early"):
            module.begin_early()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End it, where its test was never reached."""
    for module in _modules(session):
        if hasattr(module, "end_early"):
            module.end_early()


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        for need in mark.args:
            reason = unmet(need)
            if reason is None:
                continue
            if item.config.getoption("--strict-needs") and not may_skip_in_ci(need):
                pytest.fail(f"CI must be able to run this: {reason}", pytrace=False)
            pytest.skip(reason)
