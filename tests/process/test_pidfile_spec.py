"""`PidfileSpec`: the validated model of a pidfile."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path

import pytest
from pydantic import ValidationError

from abdicate.errors import LockFailed, UnknownGroupError, UnknownUserError
from abdicate.identity.accounts import Account, Group, StaticAccounts
from abdicate.identity.ids import Gid, Uid
from abdicate.process.pidlock import PidLock
from abdicate.process.pidstatus import Absent, HeldBy
from abdicate.specs.pidfile import PidfileSpec
from harness.pidfiles import holder

ACCOUNTS = StaticAccounts([Account("worker", Uid(1001), Gid(1001))], [Group("adm", Gid(4))])


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A path in a directory of its own."""
    return str(tmp_path / "worker.pid")


def test_a_path_is_enough() -> None:
    """The defaults: root's, 0644, no waiting, what is surely stale is taken over."""
    spec = PidfileSpec.model_validate("/run/worker.pid")
    assert spec == PidfileSpec(path="/run/worker.pid")
    assert spec.lock() == PidLock("/run/worker.pid")


def test_every_field() -> None:
    """Names are looked up when the lock is made, not when the text is read."""
    spec = PidfileSpec(
        path="/run/worker.pid", mode="0640", owner="worker", group="adm", timeout=3, stale="dead"
    )
    assert spec.lock(ACCOUNTS) == PidLock(
        "/run/worker.pid", mode=0o640, owner=1001, group=4, timeout=3.0, stale="dead"
    )
    assert PidfileSpec.model_validate_json(spec.model_dump_json()) == spec


def test_root_is_an_owner_like_any_other() -> None:
    """Zero is root, and not "nobody asked"."""
    assert PidfileSpec(path="/run/x", owner=0, group=0).lock(ACCOUNTS) == PidLock(
        "/run/x", owner=0, group=0
    )


def test_who_does_not_exist_owns_nothing() -> None:
    """And nothing was opened."""
    with pytest.raises(UnknownUserError):
        PidfileSpec(path="/run/x", owner="nobody-here").acquire(ACCOUNTS)
    with pytest.raises(UnknownGroupError):
        PidfileSpec(path="/run/x", group="nobody-here").acquire(ACCOUNTS)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("path", "worker.pid", "absolute"),
        ("path", "", "absolute"),
        ("path", "/run/a\0b", "NUL"),
        ("path", 3, "string"),
        ("mode", 0o666, "0o644"),
        ("mode", 644, "quote it"),
        ("mode", "0755", "0o644"),
        ("mode", "0444", "0600"),
        ("mode", True, "octal"),
        ("owner", -1, "no change"),
        ("owner", "", "empty"),
        ("owner", True, "bool"),
        ("group", "1_000", "number"),
        ("timeout", -1, "greater than or equal to 0"),
        ("timeout", 1e9, "less than or equal"),
        ("timeout", float("nan"), "finite"),
        ("timeout", True, "number"),
        ("timeout", "3", "number"),
        ("stale", "always", "'never', 'dead' or 'reused'"),
        ("pidfile", "/run/x", "Extra inputs"),
    ],
)
def test_what_is_wrong_is_named(field: str, value: object, said: str) -> None:
    """The field, the value, the rule."""
    with pytest.raises(ValidationError, match=said):
        PidfileSpec.model_validate({"path": "/run/worker.pid", field: value})


def test_it_is_frozen() -> None:
    """A spec is a value."""
    spec = PidfileSpec(path="/run/x")
    with pytest.raises(ValidationError, match="frozen"):
        spec.mode = 0o600  # type: ignore[misc]  # that is what is tested
    assert hash(spec) == hash(PidfileSpec(path="/run/x"))


def test_a_schema_for_editors() -> None:
    """Every field is described."""
    forms = PidfileSpec.model_json_schema()["anyOf"]
    schema = next(form for form in forms if "properties" in form)
    assert set(schema["properties"]) == {"path", "mode", "owner", "group", "timeout", "stale"}
    assert all("description" in field for field in schema["properties"].values())
    assert schema["additionalProperties"] is False


@pytest.mark.needs("linux")
def test_it_acquires(path: str) -> None:
    """The held lock is a context manager."""
    spec = PidfileSpec(path=path, mode="0600")
    assert spec.status() == Absent()
    assert spec.holder() is None
    with spec.acquire() as held:
        assert held.still_held()
        assert held.holder() == spec.holder() == os.getpid()
        assert held.signal_holder(0) == os.getpid()
        assert spec.status() == HeldBy(os.getpid())
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        with pytest.raises(LockFailed):
            spec.acquire()
    assert not os.path.exists(path)


@pytest.mark.needs("linux")
def test_it_signals_the_holder(path: str) -> None:
    """And nobody where nobody holds it."""
    spec = PidfileSpec(path=path)
    with holder(path) as pid:
        assert spec.signal_holder(signal.SIGTERM) == pid
        found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert found is not None
        assert found.si_status == signal.SIGTERM
        with pytest.raises(LockFailed, match="not held"):
            spec.signal_holder(signal.SIGTERM)


@pytest.mark.needs("root", "CAP_CHOWN")
def test_it_gives_the_file_to_its_owner(path: str) -> None:
    """By name, and by number."""
    with PidfileSpec(path=path, owner="worker", group=4).acquire(ACCOUNTS):
        assert (os.stat(path).st_uid, os.stat(path).st_gid) == (1001, 4)
