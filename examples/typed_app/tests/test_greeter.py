"""What the server promises about who it is. No test here needs root, and none changes anything."""

from __future__ import annotations

import errno
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from abdicate import IncompleteDropError, PreflightError, PrivilegeDrop, load_config
from abdicate.testing import (
    FakeKernel,
    StaticAccounts,
    assert_held,
    standing_in,
    strategies,
)
from greeter.__main__ import main
from greeter.server import Settings, bound, serve, start
from hypothesis import given, settings

CONFIG = Path(__file__).parents[1] / "greeter.toml"


def ask(listening: socket.socket) -> str:
    """Connect, and return what the server says."""
    with socket.create_connection(listening.getsockname(), timeout=10) as connection:
        return connection.makefile(encoding="utf-8").readline()


def from_config() -> PrivilegeDrop:
    """Return the drop that the installed config file asks for."""
    return load_config(CONFIG).profile("greeter").drop


def test_it_serves_as_the_user_of_its_profile(
    fake_kernel: FakeKernel, fake_accounts: StaticAccounts
) -> None:
    with bound(Settings("localhost", 0, from_config())) as listening:
        proof = from_config().apply()
        with ThreadPoolExecutor(1) as other:
            answer = other.submit(ask, listening)
            serve(listening, proof, greetings=1)
    assert_held(fake_kernel, uid=1000, gid=1000, groups=[1000], no_new_privs=True)
    assert answer.result() == "hello from app\n"


def test_an_ordinary_user_is_told_before_anything_is_served(
    capsys: pytest.CaptureFixture[str], fake_accounts: StaticAccounts
) -> None:
    with standing_in(kernel=FakeKernel.user(1234)):
        assert main([str(CONFIG), "0"]) == 1
    assert "greeter: nothing was changed" in capsys.readouterr().err


def test_a_drop_that_fails_half_way_can_not_be_mistaken_for_a_refusal(
    fake_kernel: FakeKernel, fake_accounts: StaticAccounts
) -> None:
    fake_kernel.fail("set_resuid", errno.EAGAIN)
    with pytest.raises(IncompleteDropError) as caught:
        main([str(CONFIG), "0"])
    assert not isinstance(caught.value, Exception)


def test_an_unknown_user_is_an_error_and_not_root(
    capsys: pytest.CaptureFixture[str], fake_kernel: FakeKernel, tmp_path: Path
) -> None:
    wrong = tmp_path / "greeter.toml"
    wrong.write_text(CONFIG.read_text().replace('"app"', '"no-such-user-here"'))
    assert main([str(wrong), "0"]) == 1
    assert "no-such-user-here" in capsys.readouterr().err
    assert fake_kernel.calls == []


@given(strategies.drops())
@settings(max_examples=50, deadline=None)
def test_whatever_the_drop_it_is_not_root_afterwards_or_it_is_refused(drop: PrivilegeDrop) -> None:
    kernel = FakeKernel.root(directories=["/srv", "/srv/a folder", "/srv/100%"])
    accounts = StaticAccounts()
    with standing_in(kernel=kernel, accounts=accounts):
        try:
            start(Settings("localhost", 0, drop), greetings=0)
        except (PreflightError, LookupError):
            assert kernel.calls == []
        else:
            assert 0 not in kernel.credentials().uid


def test_words_that_make_no_sense_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert main(["greeter.toml", "seventy-nine"]) == 2
    assert "usage:" in capsys.readouterr().err
