"""Skips what this machine can't show, out loud; fails instead where CI must be able to."""

from __future__ import annotations

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
