"""The names and signatures of the contract are those of celery.platforms."""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections.abc import Mapping

import pytest

import abdicate.platforms
from harness.child import in_child
from parity.case import Module
from parity.contract import NAMES
from parity.oracle import CELERY

Parameters = list[tuple[str, str, str]]

#: What has no signature: constants, and what is only raised.
_VALUES = frozenset(name for name in NAMES if name.isupper() or name.startswith(("IS_", "EX_"))) | {
    "LockFailed",
    "SecurityError",
    "SecurityWarning",
    "signals",
}
_METHODS = frozenset(
    {
        *(f"Pidfile.{name}" for name in ("acquire", "is_locked", "read_pid", "release", "remove")),
        *(f"Pidfile.{name}" for name in ("remove_if_stale", "write_pid")),
        *(f"DaemonContext.{name}" for name in ("open", "close", "redirect_to_null")),
        *(f"signals.{name}" for name in ("supported", "signum", "reset", "ignore", "update")),
        *(f"signals.{name}" for name in ("arm_alarm", "reset_alarm")),
    }
)
# Its one option is named, where celery's is looked up in **kwargs: deviation 30.
_NAMED = "ignore_errno"
_CALLED = sorted((NAMES - _VALUES | _METHODS) - {_NAMED})


def _signatures(module: Module) -> dict[str, Parameters]:
    signatures = {}
    for name in (*_CALLED, _NAMED):
        found = module
        for part in name.split("."):
            found = getattr(found, part)
        parameters = inspect.signature(found).parameters.values()
        signatures[name] = [(p.name, p.kind.name, repr(p.default)) for p in parameters]
    return signatures


@pytest.fixture(scope="module")
def model() -> Mapping[str, Parameters]:
    """The signatures of celery.platforms."""

    def child() -> dict[str, Parameters]:
        warnings.simplefilter("ignore")
        return _signatures(importlib.import_module(CELERY))

    return in_child(child)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_name_of_the_contract_is_there(name: str) -> None:
    assert hasattr(abdicate.platforms, name)
    assert name.startswith("_") or name in abdicate.platforms.__all__


@pytest.mark.needs("celery")
@pytest.mark.parametrize("name", _CALLED)
def test_a_function_is_called_as_celerys_is(name: str, model: Mapping[str, Parameters]) -> None:
    """The parameters' names, kinds, order and defaults."""
    assert _signatures(abdicate.platforms)[name] == model[name]


@pytest.mark.needs("celery")
def test_whatever_celery_lists_as_public_is_there() -> None:
    def child() -> tuple[str, ...]:
        warnings.simplefilter("ignore")
        return tuple(importlib.import_module(CELERY).__all__)

    assert set(in_child(child)) <= set(abdicate.platforms.__all__)


def test_the_option_of_ignore_errno_has_its_name() -> None:
    """Deviation 30: a misspelt option is an error."""
    errnos, types = inspect.signature(abdicate.platforms.ignore_errno).parameters.values()
    assert errnos.kind is errnos.VAR_POSITIONAL
    assert (types.name, types.kind, types.default) == ("types", types.KEYWORD_ONLY, (Exception,))
