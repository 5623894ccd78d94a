"""`DaemonSpec`: what may be written of a daemon, what is refused, and what it becomes."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path

import jsonschema
import pytest
from pydantic import ValidationError

from abdicate import DaemonSpec, PidfileSpec, PrivilegeDrop
from abdicate.errors import UnknownUserError
from abdicate.identity.accounts import Account, StaticAccounts
from abdicate.identity.ids import Gid, Uid
from abdicate.process.daemon import Daemon
from abdicate.process.pidlock import PidLock
from abdicate.process.pidstatus import HeldBy
from daemon.nursery import Nursery, status_of

ACCOUNTS = StaticAccounts([Account("worker", Uid(1001), Gid(1001))])

_EVERYTHING = {
    "pidfile": {"path": "/run/worker.pid", "mode": "0640", "owner": "worker", "timeout": 1.5},
    "drop": {"user": "worker", "groups": "only", "no_new_privs": True},
    "logfile": "/var/log/worker.log",
    "umask": "0027",
    "workdir": "/var/lib",
    "detach": False,
    "ready": "by hand",
}


def test_nothing_is_asked_for() -> None:
    """What a daemon is by default: umask 022, the root directory, detached, ready by itself."""
    assert DaemonSpec().daemon() == Daemon()
    assert DaemonSpec().umask == 0o022


def test_every_field() -> None:
    """In the standard library's terms; the pidfile's owner is looked up."""
    daemon = DaemonSpec.model_validate(_EVERYTHING).daemon(ACCOUNTS)
    drop = PrivilegeDrop.model_validate(_EVERYTHING["drop"])
    assert daemon == Daemon(
        pidfile=PidLock("/run/worker.pid", mode=0o640, owner=1001, timeout=1.5),
        drop=drop.request(),
        logfile="/var/log/worker.log",
        umask=0o027,
        workdir="/var/lib",
        detach=False,
        ready="by hand",
    )


@pytest.mark.parametrize("drop", ["nobody", "nobody:nogroup", 1000, "1000", {"user": "nobody"}])
def test_the_drop_is_written_as_ever(drop: object) -> None:
    """As `PrivilegeDrop` reads it, with 0 for root too."""
    spec = DaemonSpec.model_validate({"drop": drop})
    assert spec.drop == PrivilegeDrop.model_validate(drop)


def test_root_is_not_nobody() -> None:
    """P7: zero is falsy, and was asked for."""
    assert DaemonSpec.model_validate({"drop": 0}).drop is not None
    assert DaemonSpec.model_validate({"umask": 0}).daemon().umask == 0


@pytest.mark.parametrize("pidfile", ["/run/x.pid", {"path": "/run/x.pid"}])
def test_the_pidfile_is_written_as_ever(pidfile: object) -> None:
    """A path, or everything of it."""
    assert DaemonSpec.model_validate({"pidfile": pidfile}).pidfile == PidfileSpec(path="/run/x.pid")


@pytest.mark.parametrize(
    ("umask", "value"), [("0022", 0o022), ("0o022", 0o022), (18, 0o022), ("0", 0), ("0777", 0o777)]
)
def test_the_umask_is_octal_text_or_a_number(umask: object, value: int) -> None:
    """P9: never what YAML made of 022 by its version."""
    assert DaemonSpec.model_validate({"umask": umask}).umask == value


# --- What is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("umask", "22", "leading 0"),
        ("umask", "0o800", "octal"),
        ("umask", 0o1000, "0o777"),
        ("umask", -1, "0o777"),
        ("umask", True, "octal"),
        ("umask", 18.0, "octal"),
        ("umask", None, "octal"),
        ("logfile", "worker.log", "absolute"),
        ("logfile", "", "absolute"),
        ("logfile", "/var/log/a\0b", "NUL"),
        ("logfile", 3, "string"),
        ("logfile", b"/log", "string"),
        ("workdir", ".", "absolute"),
        ("workdir", "~", "absolute"),
        ("workdir", None, "string"),
        ("detach", "yes", "bool"),
        ("detach", 1, "bool"),
        ("ready", "soon", "by hand"),
        ("drop", "", "empty"),
        ("drop", "0:", "group"),
        ("drop", -1, "no change"),
        ("drop", True, "bool"),
        ("drop", {"user": "nobody", "nicer": 3}, "nicer"),
        ("pidfile", "worker.pid", "absolute"),
        ("pidfile", {"path": "/run/x", "mode": "0666"}, "0o644"),
        ("pid_file", "/run/x", "pid_file"),
    ],
)
def test_bad_input_is_refused(field: str, value: object, said: str) -> None:
    """With the field's name, what was given, and the rule; pydantic's lax mode takes half of it."""
    with pytest.raises(ValidationError) as refused:
        DaemonSpec.model_validate({field: value})
    assert said in str(refused.value)
    assert field in str(refused.value)


def test_everything_that_is_wrong_is_told_at_once() -> None:
    """Not only the first of it."""
    with pytest.raises(ValidationError) as refused:
        DaemonSpec.model_validate({"umask": "22", "detach": "no", "drop": "", "extra": 1})
    assert {error["loc"][0] for error in refused.value.errors()} == {
        "umask",
        "detach",
        "drop",
        "extra",
    }


@pytest.mark.parametrize("value", [None, 3, "/run/x", ["pidfile"], b"{}"])
def test_something_else_than_a_mapping_is_refused(value: object) -> None:
    """There is no short form of a daemon."""
    with pytest.raises(ValidationError):
        DaemonSpec.model_validate(value)


def test_it_can_not_be_changed() -> None:
    """Frozen: what was validated is what is started."""
    spec = DaemonSpec()
    with pytest.raises(ValidationError, match="frozen"):
        spec.umask = 0  # type: ignore[misc]  # the checkers see it too


def test_who_does_not_exist_is_found_out_when_it_is_looked_up() -> None:
    """Reading a configuration asks no database."""
    spec = DaemonSpec.model_validate({"pidfile": {"path": "/run/x", "owner": "nosuchuser"}})
    with pytest.raises(UnknownUserError, match="nosuchuser"):
        spec.daemon(ACCOUNTS)


# --- JSON ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [{}, _EVERYTHING, {"drop": "nobody", "pidfile": "/run/x"}])
def test_it_survives_json(fields: Mapping[str, object]) -> None:
    """Written and read again it is the same; so it is from text."""
    spec = DaemonSpec.model_validate(fields)
    assert DaemonSpec.model_validate_json(spec.model_dump_json()) == spec
    assert DaemonSpec.model_validate_json(json.dumps(fields)) == spec


@pytest.mark.parametrize("fields", [{}, _EVERYTHING, {"drop": "nobody"}, {"pidfile": "/run/x"}])
def test_its_schema_takes_what_it_takes(fields: Mapping[str, object]) -> None:
    """The short forms of a pidfile and a drop too, which editors check by the schema."""
    schema = DaemonSpec.model_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(fields, schema)


@pytest.mark.parametrize(
    "fields",
    [{"umask": "22"}, {"umask": True}, {"detach": "no"}, {"ready": "now"}, {"pid_file": "/run/x"}],
)
def test_its_schema_refuses_what_it_refuses(fields: Mapping[str, object]) -> None:
    """As far as a schema can tell."""
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(fields, DaemonSpec.model_json_schema())


def test_its_schema_describes_each_field() -> None:
    """For whoever writes the configuration."""
    properties = DaemonSpec.model_json_schema()["properties"]
    assert [name for name, field in properties.items() if "description" not in field] == []


# --- For real -----------------------------------------------------------------------------------


@pytest.mark.needs("linux")
def test_it_starts(nursery: Nursery, place: Path) -> None:
    """From text to a daemon; and the context releases the pidfile."""
    source = """
        from abdicate import DaemonSpec
        spec = DaemonSpec.model_validate_json(sys.argv[2])
        with spec.start() as daemon:
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
            daemon.ready()
            live()
        """
    fields = {"pidfile": str(place / "pid"), "umask": "0077", "workdir": "/usr", "ready": "by hand"}
    started = nursery.start([*nursery.worker(source), json.dumps(fields)])
    assert (started.status, started.errors) == (0, b"")
    daemon = nursery.daemon()
    assert PidfileSpec(path=str(place / "pid")).status() == HeldBy(daemon)
    assert status_of(daemon)["Umask"] == "0077"
    assert os.readlink(f"/proc/{daemon}/cwd") == "/usr"
    os.kill(daemon, signal.SIGTERM)
    assert nursery.ended(daemon) == 0
    assert not (place / "pid").exists()
