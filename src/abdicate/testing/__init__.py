"""Test an app's privilege code without root: a model of the kernel, and a fixed account database.

Nothing of abdicate imports this package; who does not test does not pay for it.
"""

from __future__ import annotations

from abdicate.identity.accounts import StaticAccounts
from abdicate.testing.fake_kernel import FakeKernel
from abdicate.testing.faults import Aborted
from abdicate.testing.stand_in import standing_in
from abdicate.testing.thread import Machine

__all__ = ["Aborted", "FakeKernel", "Machine", "StaticAccounts", "standing_in"]
