"""Every case of the table on both modules, each in a forked child of its own.

The process that runs the tests never imports celery: one child does, and forks the others. What
celery does at import, and what abdicate finds in `sys.modules` afterwards, stays there.
"""

from __future__ import annotations

import atexit
import importlib
import os
import pkgutil
import shutil
import tempfile
import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import abdicate
from harness.child import ChildFailed, in_child
from parity.case import Case, Module
from parity.outcome import Outcome, observe

__all__ = ["CELERY", "OURS", "Both", "outcomes"]

CELERY = "celery.platforms"
OURS = "abdicate.platforms"

_PATIENCE = 15.0  # seconds until a call that ought to end counts as hung
_PATIENCE_WITH_HANGING = 1.0
_PATIENCE_OF_ALL = 300.0


@dataclass(frozen=True)
class Both:
    """What either module did."""

    celery: Outcome
    ours: Outcome


def outcomes(cases: Iterable[Case]) -> dict[str, Both]:
    """Return what the modules do in each case, by the case's text."""
    chosen = {str(case): case for case in cases}

    def run_all() -> dict[str, Both]:
        celery, ours = _imported()
        place = tempfile.mkdtemp(prefix="abdicate-parity-")
        try:
            os.chmod(place, 0o755)
            return {
                name: Both(_outcome(case, celery, place), _outcome(case, ours, place))
                for name, case in chosen.items()
            }
        finally:
            shutil.rmtree(place)

    return in_child(run_all, timeout=_PATIENCE_OF_ALL)


def _imported() -> tuple[Module, Module]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        celery = importlib.import_module(CELERY)
        # What it imports when it is first used too: after a drop nobody may be able to read it.
        for package in ("process", "kernel"):
            rooms = [os.path.join(directory, package) for directory in abdicate.__path__]
            for room in pkgutil.iter_modules(rooms, f"abdicate.{package}."):
                importlib.import_module(room.name)
        return celery, importlib.import_module(OURS)


def _outcome(case: Case, module: Module, place: str) -> Outcome:
    """Make the call in a child, in an empty directory that everybody may write to."""
    directory = tempfile.mkdtemp(dir=place)
    os.chmod(directory, 0o777)

    def child() -> Outcome:
        # Exit handlers are of the test process; some cases run those of the module.
        atexit._clear()
        for name in ("C_FORCE_ROOT", "NOSETPS", "NOTIFY_SOCKET", "LISTEN_PID"):
            os.environ.pop(name, None)
        os.umask(0o022)
        os.chdir(directory)
        if case.given is not None:
            case.given()
        case.start.become()
        return observe(lambda: case.call(module))

    hanging = (
        case.differs is not None and case.differs.celery == "hangs" and module.__name__ == CELERY
    )
    try:
        return in_child(child, timeout=_PATIENCE_WITH_HANGING if hanging else _PATIENCE)
    except ChildFailed as error:
        return Outcome("hangs" if "hung" in str(error) else f"dies: {error}")
