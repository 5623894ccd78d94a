"""Skips what this machine can't show, out loud; fails instead where CI must be able to."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

from harness.needs import may_skip_in_ci, unmet

# No database of examples: a checkout may be another user's, and a run is to depend on nothing else.
settings.register_profile("abdicate", database=None, deadline=None, print_blob=True)
settings.load_profile("abdicate")


def pytest_configure() -> None:
    # A shell without job control starts what is in the background with these ignored: what is
    # started here would inherit that, and the tests that interrupt it would wait for ever.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGQUIT) is signal.SIG_IGN:
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--strict-needs",
        action="store_true",
        help="an unmet need fails the test, unless it is one that a root may lack",
    )
    parser.addoption(
        "--half",
        choices=["root", "user"],
        help="for CI, which runs both: leave out what is the same for either, and the other has",
    )


# Nothing here asks who the user is, or becomes somebody: what needs root there says so.
_ANYONES = (
    *("check", "config", "export", "measuring", "typed", "unit"),
    *("cli/test_bad_input.py", "cli/test_costs.py", "cli/test_help.py", "cli/test_imports.py"),
    *("docs/test_reference.py", "docs/test_site.py", "examples/test_typed_app.py"),
    *("model/test_nothing_comes_back.py", "model/test_rules_of_the_plan.py"),
    *("model/test_wrong_rules.py", "parity/test_migration_page.py", "parity/test_names.py"),
)
# Of these, what takes longest: for the half that waits for the other one.
_LONG = (*("cli/test_costs.py", "docs/test_site.py", "examples/test_typed_app.py", "typed"),)
# Except for these: permissions are asked of the kernel.
_EVERYBODYS = ("unit/test_reach.py",)
_TESTS = Path(__file__).parent


def _is_in(item: pytest.Item, places: Iterable[str]) -> bool:
    return any(item.path.is_relative_to(_TESTS / place) for place in places)


def _has_it(half: str, item: pytest.Item) -> bool:
    needed = {need for mark in item.iter_markers("needs") for need in mark.args}
    roots = any(need == "root" or need.startswith("CAP_") for need in needed)
    if roots or not _is_in(item, _ANYONES) or _is_in(item, _EVERYBODYS):
        return True
    return _is_in(item, _LONG) == (half == "root")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what the other half has, where that is asked for."""
    half = config.getoption("--half")
    if half:
        config.hook.pytest_deselected(items=[item for item in items if not _has_it(half, item)])
        items[:] = [item for item in items if _has_it(half, item)]


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
