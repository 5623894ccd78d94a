"""Reading back: a step that was reported as made, and was not, is found by its own mark."""

from __future__ import annotations

import pytest

from abdicate.errors import CredentialMismatchError
from abdicate.executor import execute
from abdicate.identity.resolve import Identity
from abdicate.plan.policy import DropPolicy
from abdicate.testing import FakeKernel
from unit.making import APP, NAMELESS, planned


def _mismatches(kernel: FakeKernel, policy: DropPolicy, identity: Identity = APP) -> list[str]:
    """Become *identity* on *kernel*, which lies, and return what was found."""
    with pytest.raises(CredentialMismatchError) as failed:
        execute(planned(identity, policy, kernel.situation()), kernel)
    return [str(check) for check in failed.value.report.mismatches]


def test_a_session_keyring_that_stayed_the_old_one_is_found() -> None:
    kernel = FakeKernel.root()
    kernel.lie("join_thread_session_keyring")
    found = _mismatches(kernel, DropPolicy(session_keyring=True, environment="keep"))
    assert found == ["a new session keyring: expected True, observed False"]


class _RandomSerials(FakeKernel):
    """A kernel that numbers keyrings as Linux does: in no order."""

    serials = (0, 0)

    def session_keyring(self) -> int | None:
        return self.serials[self._thread.keyring - 1]


@pytest.mark.parametrize("serials", [(100, 900), (900, 100)])
def test_a_new_session_keyring_may_have_any_other_number(serials: tuple[int, int]) -> None:
    kernel = _RandomSerials.root()
    kernel.serials = serials
    policy = DropPolicy(session_keyring=True, environment="keep")
    assert execute(planned(APP, policy, kernel.situation()), kernel).report.ok


def test_a_slot_that_only_the_thread_itself_can_read_is_compared() -> None:
    """``/proc`` does not show "dumpable": no other check would tell."""
    kernel = FakeKernel.user(1000, groups=(4, 1000))
    kernel.lie("set_dumpable")
    found = _mismatches(kernel, DropPolicy(dumpable=False, environment="keep"))
    assert found == ["dumpable: expected 0, observed 1"]


def test_each_environment_variable_that_was_to_be_set_is_looked_at() -> None:
    kernel = FakeKernel.root()
    kernel.lie("set_environment")
    found = _mismatches(kernel, DropPolicy())
    assert "environment variable HOME: expected /srv/app, observed /root" in found
    assert "environment variable USER: expected app, observed None" in found


def test_each_environment_variable_that_was_to_go_is_looked_at() -> None:
    """A user without an entry has no name, and root's may not stay."""
    kernel = FakeKernel.root(environment={"USER": "root", "LOGNAME": "root"})
    kernel.lie("set_environment")
    found = _mismatches(kernel, DropPolicy(), NAMELESS)
    assert "environment variable USER: expected None, observed root" in found
    assert "environment variable LOGNAME: expected None, observed root" in found


def test_after_a_reset_no_other_environment_variable_may_be_left() -> None:
    kernel = FakeKernel.root(environment={"LD_PRELOAD": "/tmp/x", "TERM": "linux"})
    kernel.lie("set_environment")
    found = _mismatches(kernel, DropPolicy(environment="reset"))
    assert "other environment variables: expected [], observed ['LD_PRELOAD']" in found
