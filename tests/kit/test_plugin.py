"""The plugin, as an app's tests use it: in a pytest of its own, by whoever runs this one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import abdicate
from abdicate import executor, request
from abdicate.testing import FakeKernel, StaticAccounts, standing_in
from abdicate.testing.stand_in import ASK_FOR_A_KERNEL, ASK_FOR_ACCOUNTS


def _passes(folder: Path, tests: str, conftest: str = "") -> tuple[int, str]:
    """Return the status and the output of a pytest over *tests*, which finds the plugin itself."""
    (folder / "conftest.py").write_text(conftest, encoding="utf-8")
    (folder / "test_app.py").write_text(tests, encoding="utf-8")
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)]
    # An app has no such option as the one that CI gives to the outer run (--strict-needs).
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    ran = subprocess.run(
        words,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return ran.returncode, ran.stdout + ran.stderr


_DROP = """
import os
from abdicate import PrivilegeDrop
from abdicate.platforms import maybe_drop_privileges

def test_apply(fake_kernel, fake_accounts):
    before = os.getresuid(), os.getresgid(), os.getgroups(), dict(os.environ)
    proof = PrivilegeDrop(user="app").apply()
    held = fake_kernel.credentials()
    assert (held.uid.real, held.uid.effective, held.uid.saved) == (1000, 1000, 1000)
    assert set(held.groups) == {1000, 1001}
    assert proof.report.plan.identity.user == "app"
    assert before == (os.getresuid(), os.getresgid(), os.getgroups(), dict(os.environ))

def test_function(fake_kernel, fake_accounts):
    maybe_drop_privileges(uid="app")
    assert fake_kernel.credentials().uid.saved == 1000
    assert os.getresuid() != (1000, 1000, 1000) or os.getuid() == 1000

def test_single_functions(fake_kernel, fake_accounts):
    from abdicate import platforms
    platforms.setgroups(["logs"])
    platforms.setgid("app")
    platforms.setuid("app")
    held = fake_kernel.credentials()
    assert (held.uid.saved, held.gid.saved, tuple(held.groups)) == (1000, 1000, (1001,))
"""


def test_a_drop_of_the_app_is_made_on_the_model_and_not_on_the_process(tmp_path: Path) -> None:
    """By the object, by the function, and by the single functions."""
    status, said = _passes(tmp_path, _DROP)
    assert status == 0, said
    assert "3 passed" in said


def test_an_app_may_name_the_plugin_too(tmp_path: Path) -> None:
    """It is there once, as pytest's own name for it is the module's."""
    conftest = 'pytest_plugins = ["abdicate.testing.plugin"]\n'
    status, said = _passes(tmp_path, _DROP, conftest)
    assert status == 0, said


_COMPARED = """
from abdicate.identity.ids import Uid

def test_compare(fake_kernel):
    before = fake_kernel.credentials()
    fake_kernel.set_resuid(Uid(1000), Uid(1000), None)
    assert before == fake_kernel.credentials()
"""


def test_a_failed_comparison_says_which_slots_differ(tmp_path: Path) -> None:
    """And not how two values of twenty fields are written."""
    status, said = _passes(tmp_path, _COMPARED)
    assert status == 1, said
    assert "the credentials differ" in said
    assert "real uid        expected 0, observed 1000" in said
    assert (
        "saved uid" not in said.partition("the credentials differ")[2].partition("test_app.py")[0]
    )


_IDLE = """
import sys

def test_nothing():
    assert not [name for name in sys.modules if name.startswith(("abdicate.identity", "pydantic"))]
    assert "hypothesis" not in sys.modules or "abdicate.testing.strategies" not in sys.modules
"""


def test_a_suite_that_asks_for_no_fixture_loads_nothing(tmp_path: Path) -> None:
    """The plugin is found by every pytest of the environment: it must not slow them down."""
    status, said = _passes(tmp_path, _IDLE)
    assert status == 0, said


_ORDINARY = """
import pytest
from abdicate import PreflightError, PrivilegeDrop
from abdicate.testing import FakeKernel

@pytest.fixture
def fake_kernel_start():
    return FakeKernel.user(1000)

def test_refused(fake_kernel, fake_accounts):
    with pytest.raises(PreflightError):
        PrivilegeDrop(user="nobody").apply()
    assert fake_kernel.credentials().uid.saved == 1000
    assert fake_kernel.calls == []
"""


def test_the_start_of_the_model_is_the_apps_to_choose(tmp_path: Path) -> None:
    """An ordinary user's process may not become somebody else, on the model as on the kernel."""
    status, said = _passes(tmp_path, _ORDINARY)
    assert status == 0, said


_FORGETFUL = """
def test_the_app_forgot_to_drop(fake_kernel):
    assert fake_kernel.credentials().uid.saved == 1000
"""


def test_an_app_that_does_not_drop_fails_its_test(tmp_path: Path) -> None:
    """The model changes by what the app does, and by nothing else."""
    status, said = _passes(tmp_path, _FORGETFUL)
    assert status == 1, said
    assert "1 failed" in said


_ACCOUNTS_ALONE = """
import os
from abdicate import PrivilegeDrop

def test_apply(fake_accounts):
    before = os.getresuid()
    PrivilegeDrop(user="app").apply()
    assert os.getresuid() == before
"""


def test_made_up_accounts_never_reach_the_real_kernel(tmp_path: Path) -> None:
    """As root the test's own process would become a user that there is not."""
    status, said = _passes(tmp_path, _ACCOUNTS_ALONE)
    assert status == 0, said


# They act on this process and this machine, as the docstring of standing_in says.
_REAL = {"process.daemon", "process.detach", "rehearsal", "auditing.running", "platforms"}


@pytest.mark.parametrize("maker", ["system_kernel", "SystemAccounts"])
def test_every_room_that_asks_for_the_machines_own_is_known(maker: str) -> None:
    """A new one is either replaced, or said to be real."""
    source = Path(str(abdicate.__file__)).parent
    asking = {
        ".".join(file.relative_to(source).with_suffix("").parts).removesuffix(".__init__")
        for file in source.rglob("*.py")
        if f"{maker}()" in file.read_text(encoding="utf-8")
        and file.relative_to(source).parts[0] not in ("cli", "kernel", "identity", "testing")
    }
    replaced = {"system_kernel": ASK_FOR_A_KERNEL, "SystemAccounts": ASK_FOR_ACCOUNTS}[maker]
    assert asking - _REAL == set(replaced)


def test_afterwards_the_machine_is_itself_again() -> None:
    """Nothing stays replaced, whatever happened in between."""
    rooms = [dict(vars(executor)), dict(vars(request))]
    replaced = []

    def fail() -> None:
        with standing_in(kernel=FakeKernel.root(), accounts=StaticAccounts()):
            replaced.append(dict(vars(request)) != rooms[1])
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        fail()
    assert replaced == [True]
    assert [dict(vars(executor)), dict(vars(request))] == rooms
