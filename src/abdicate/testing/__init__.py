"""Test an app's privilege code without root: a model of the kernel, and a fixed account database.

Nothing of abdicate imports this package; who does not test does not pay for it. Names are loaded
when they are first used. Hypothesis strategies are in `abdicate.testing.strategies`, the pytest
fixtures in `abdicate.testing.plugin`, which pytest finds by itself.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from abdicate.identity.accounts import StaticAccounts
    from abdicate.testing.assertions import assert_held, credential_diff
    from abdicate.testing.fake_kernel import FakeKernel
    from abdicate.testing.faults import Aborted
    from abdicate.testing.stand_in import standing_in
    from abdicate.testing.thread import Machine

__all__ = [
    "Aborted",
    "FakeKernel",
    "Machine",
    "StaticAccounts",
    "assert_held",
    "credential_diff",
    "standing_in",
]

_HOMES = {
    "Aborted": "abdicate.testing.faults",
    "FakeKernel": "abdicate.testing.fake_kernel",
    "Machine": "abdicate.testing.thread",
    "StaticAccounts": "abdicate.identity.accounts",
    "assert_held": "abdicate.testing.assertions",
    "credential_diff": "abdicate.testing.assertions",
    "standing_in": "abdicate.testing.stand_in",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
