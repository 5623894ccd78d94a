"""Each target's own judge, and what we refuse because those would let it pass."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from abdicate.export import FORMATS
from abdicate.export.intent import Intent
from cli.program import abdicate

_FULL = """
[profiles.web]
title = "web"
pidfile = "/run/web.pid"
exec = ["/bin/echo", "100%", "$HOME", "a b", 'q"q', 'b\\s']

[profiles.web.drop]
user = "12345:12346"
groups = { exactly = [12346, 12347] }
capabilities = ["CAP_NET_BIND_SERVICE", "CAP_KILL"]
ambient = true
bounding = ["CAP_NET_BIND_SERVICE", "CAP_KILL", "CAP_CHOWN"]
no_new_privs = true
lock_securebits = true
umask = "0027"
nice = 5
chroot = "/"
working_directory = "/tmp"
parent_death_signal = "TERM"
session_keyring = true
environment = "reset"
limits = { nofile = "64:128", core = 0 }

[profiles.web.daemon]
detach = false
logfile = "/var/log/web.log"
"""


@pytest.fixture
def config(tmp_path: Path) -> tuple[str, ...]:
    path = tmp_path / "abdicate.toml"
    path.write_text(_FULL, encoding="utf-8")
    return ("--config", str(path), "--profile", "web")


@pytest.fixture
def plain(tmp_path: Path) -> tuple[str, ...]:
    """Without what no container and no setpriv can express."""
    path = tmp_path / "plain.toml"
    kept = [
        line
        for line in _FULL.splitlines()
        if not line.startswith(("nice", "chroot", "lock_sec", "session", "parent", "title"))
    ]
    text = "\n".join(kept).partition("[profiles.web.daemon]")[0]
    path.write_text(text.replace('pidfile = "/run/web.pid"\n', ""), encoding="utf-8")
    return ("--config", str(path), "--profile", "web")


def _exported(target: str, config: tuple[str, ...], *words: str) -> tuple[str, str]:
    ran = abdicate("export", "--format", target, *config, *words)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.decode(), ran.stderr.decode()


@pytest.mark.parametrize("target", FORMATS)
def test_every_field_is_written_or_its_loss_is_said(target: str, config: tuple[str, ...]) -> None:
    """A field that is changed changes the export, or is named in a warning."""
    text, errors = _exported(target, config)
    marks = {
        "user": "12345",
        "uid": "12345",
        "gid": "12346",
        "groups": "12347",
        "command": "/bin/echo",
        "capabilities": "NET_BIND_SERVICE",
        "bounding": "CHOWN",
        "lock_securebits": "noroot",
        "limits": "128",
        "nice": "Nice=5",
        "umask": "0027",
        "chroot": "RootDirectory=/",
        "working_directory": "/tmp",
        "variables": "USER",
        "clear_environment": "env -i",
        "parent_death_signal": "pdeathsig",
        "session_keyring": "KeyringMode=private",
        "pidfile": "/run/web.pid",
        "logfile": "/var/log/web.log",
        "title": "Description=web",
    }
    elsewhere = {
        "name": "it is the profile's, and nobody's credential",
        "initgroups": "what the database would give; compared in test_round_trip",
        "no_new_privs": "a boolean; compared in test_round_trip",
    }
    assert set(marks) | set(elsewhere) == set(Intent.__fields__)
    # systemd starts a service with a clean environment, systemd.exec(5); an OCI block is whole.
    silent = {"systemd": {"clear_environment"}, "oci": {"clear_environment", "umask"}}
    for field, mark in marks.items():
        written = mark.lower() in text.lower()
        assert written or f"warning: {field}: " in errors or field in silent.get(target, set()), (
            field
        )


@pytest.mark.parametrize("target", FORMATS)
def test_strict_writes_nothing_where_something_is_lost(
    target: str, config: tuple[str, ...]
) -> None:
    """Exit status 1, for scripts."""
    ran = abdicate("export", "--format", target, "--strict", *config)
    assert (ran.returncode, ran.stdout) == (1, b"")
    assert b"warning: " in ran.stderr


def test_nothing_is_lost_that_setpriv_can_say(plain: tuple[str, ...]) -> None:
    """So --strict succeeds."""
    ran = abdicate("export", "--format", "setpriv", "--strict", *plain)
    assert ran.returncode == 0, ran.stderr


_REFUSED = [
    (("--user", "65535:100"), "16-bit -1"),
    (("--user", "100:65535"), "16-bit -1"),
    (("--user", "4294967295:1"), ""),
    (("--user", "root"), "it is root's"),
    (("--user", "100:0"), "it is root's"),
    (("--user", "100:100", "--umask", "01000"), "umask"),
    (("--user", "100:100", "--keep-capabilities", "CAP_NOPE", "--ambient"), "capability"),
    (("--user", "100:100", "--keep-capabilities", "chown"), "ends at the exec"),
    (("--user", "100:100", "--no-dumpable"), "an exec undoes it"),
]


@pytest.mark.parametrize(("words", "rule"), _REFUSED)
@pytest.mark.parametrize("target", FORMATS)
def test_what_targets_would_let_pass_is_refused(
    target: str, words: tuple[str, ...], rule: str
) -> None:
    """One line, and nothing on stdout."""
    ran = abdicate("export", "--format", target, *words, "--", "/bin/true")
    assert (ran.returncode, ran.stdout) == (125, b"")
    assert rule in ran.stderr.decode()
    assert len(ran.stderr.splitlines()) == 1


def test_a_line_break_in_the_command_is_refused() -> None:
    """A unit file has no place for it."""
    ran = abdicate("export", "--format", "systemd", "--user", "1:1", "--", "/bin/echo", "a\nb")
    assert (ran.returncode, ran.stdout) == (125, b"")


_FIELDS = [
    ("exec", 'exec = ["/bin/true", "a\\nUser=root"]'),
    ("title", 'title = "a\\n[Service]\\nUser=root"'),
    ("working_directory", 'drop.working_directory = "/tmp\\nUser=root"'),
    ("chroot", 'drop.chroot = "/srv\\rUser=root"'),
    ("home", 'drop.home = "/srv\\nUser=root"'),
    ("logfile", 'daemon.logfile = "/var/log/a\\nUser=root"'),
]


@pytest.mark.parametrize(("field", "line"), _FIELDS)
@pytest.mark.parametrize("target", FORMATS)
def test_no_text_begins_a_line_of_its_own(
    target: str, field: str, line: str, tmp_path: Path
) -> None:
    """In a unit it would be a setting, as User=root."""
    path = tmp_path / "abdicate.toml"
    exec_ = "" if field == "exec" else 'exec = ["/bin/true"]\n'
    path.write_text(f'[profiles.web]\n{exec_}drop.user = "1:1"\n{line}\n', encoding="utf-8")
    ran = abdicate("export", "--format", target, "--config", str(path), "--profile", "web")
    assert (ran.returncode, ran.stdout) == (125, b""), ran
    assert f"export: {field} '".encode() in ran.stderr


@pytest.mark.parametrize("program", ["+/bin/true", "!/bin/true", "-true", "@true", ":true"])
def test_a_program_that_systemd_reads_as_a_prefix_is_refused(program: str) -> None:
    """Plus and exclamation mark would start it with all privileges."""
    ran = abdicate("export", "--format", "systemd", "--user", "1:1", "--", program)
    assert (ran.returncode, ran.stdout) == (125, b"")
    assert b"prefix" in ran.stderr


@pytest.mark.parametrize("path", ["/tmp\\", "/tmp ", "/tmp\t"])
def test_what_a_unit_reads_as_another_path_is_refused(path: str) -> None:
    """A backslash at the end joins the next line; blanks at an end are stripped."""
    ran = abdicate(
        "export", "--format", "systemd", "--user", "1:1", "--chdir", path, "--", "/bin/true"
    )
    assert (ran.returncode, ran.stdout) == (125, b"")
    assert b"working_directory" in ran.stderr


@pytest.mark.needs("systemd-analyze")
def test_systemd_finds_a_program_with_a_dollar_in_its_path(tmp_path: Path) -> None:
    """In the program's own name a dollar stands for itself."""
    program = tmp_path / "a$b"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / "web.service"
    words = ("--user", "12345:12346", "--bounding", "", "--", str(program), "$HOME")
    unit.write_text(_exported("systemd", (), *words)[0], encoding="utf-8")
    ran = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_kubernetes_replaces_nothing_in_the_command() -> None:
    """Each dollar is doubled: "$(HOME)" would be replaced, and "$$" would become one."""
    text, _ = _exported("kubernetes", (), "--user", "1:1", "--", "/bin/echo", "$(HOME)", "$$")
    (container,) = yaml.safe_load(text)["spec"]["containers"]
    assert container["command"] == ["/bin/echo", "$$(HOME)", "$$$$"]


@pytest.mark.parametrize("target", ["docker", "podman"])
def test_a_limit_that_the_flag_does_not_know_is_said(target: str) -> None:
    """``docker run --ulimit as=…`` fails: invalid ulimit type."""
    words = ("--user", "1:1", "--limit", "as=100", "--limit", "core=0", "--", "/bin/true")
    text, errors = _exported(target, (), *words)
    assert "--ulimit=core=0:0" in text
    assert "=as=" not in text
    assert "warning: limits: as: " in errors


def test_setpriv_takes_no_program_for_a_variable() -> None:
    """As env(1) in front of it would."""
    ran = abdicate("export", "--format", "setpriv", "--user", "1:1", "--", "a=b")
    assert (ran.returncode, ran.stdout) == (125, b"")


def test_bytes_that_are_not_utf8_are_refused() -> None:
    """JSON, YAML and units are UTF-8, and an escape would be another text."""
    ran = abdicate("export", "--format", "oci", "--user", "1:1", "--", "/bin/echo", b"\xff")
    assert (ran.returncode, ran.stdout) == (125, b"")
    assert b"UTF-8" in ran.stderr


def test_without_a_command_there_is_nothing_to_start() -> None:
    """Said in words."""
    ran = abdicate("export", "--format", "oci", "--user", "1:1")
    assert (ran.returncode, ran.stdout) == (125, b"")
    assert b"a command is wanted" in ran.stderr


@pytest.mark.needs("systemd-analyze")
def test_systemd_reads_the_whole_unit(config: tuple[str, ...], tmp_path: Path) -> None:
    """Any word on standard error is a failure."""
    unit = tmp_path / "web.service"
    unit.write_text(_exported("systemd", config)[0], encoding="utf-8")
    ran = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_kubernetes_reads_the_pod_strictly(config: tuple[str, ...]) -> None:
    """By the API's own schema, in which an unknown field is an error."""
    validate = pytest.importorskip("kubernetes_validate")
    pod = yaml.safe_load(_exported("kubernetes", config)[0])
    validate.validate(pod, validate.latest_version(), strict=True)
    pod["spec"]["securityContext"]["runAsUsr"] = 1
    with pytest.raises(validate.ValidationError):
        validate.validate(pod, validate.latest_version(), strict=True)


_SETS = ("bounding", "effective", "inheritable", "permitted", "ambient")
_NAMES = {"type": "array", "items": {"type": "string", "pattern": "^CAP_[A-Z_]+$"}}
_UINT32: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": 2**32 - 1}
_UINT64: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": 2**64 - 1}
#: runtime-spec, config.md "Process": the fields of Linux, and no others.
_PROCESS: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["process"],
    "properties": {
        "process": {
            "type": "object",
            "additionalProperties": False,
            "required": ["cwd", "args", "user"],
            "properties": {
                "terminal": {"type": "boolean"},
                "cwd": {"type": "string", "pattern": "^/"},
                "env": {"type": "array", "items": {"type": "string", "pattern": "^[^=]+="}},
                "args": {"type": "array", "items": {"type": "string"}, "minItems": 1},
                "noNewPrivileges": {"type": "boolean"},
                "user": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["uid", "gid"],
                    "properties": {
                        "uid": _UINT32,
                        "gid": _UINT32,
                        "umask": _UINT32,
                        "additionalGids": {"type": "array", "items": _UINT32},
                    },
                },
                "capabilities": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": dict.fromkeys(_SETS, _NAMES),
                },
                "rlimits": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["type", "soft", "hard"],
                        "properties": {
                            "type": {"type": "string", "pattern": "^RLIMIT_[A-Z]+$"},
                            "soft": _UINT64,
                            "hard": _UINT64,
                        },
                    },
                },
            },
        }
    },
}


def test_the_oci_block_has_the_specs_fields_and_no_others(config: tuple[str, ...]) -> None:
    """By a JSON Schema of the block."""
    jsonschema.validate(json.loads(_exported("oci", config)[0]), _PROCESS)


@pytest.mark.needs("root", "setpriv", "CAP_SETPCAP", "CAP_KILL", "CAP_NET_BIND_SERVICE")
def test_setpriv_makes_a_process_that_the_audit_passes(plain: tuple[str, ...]) -> None:
    """Really run, as root."""
    text, _ = _exported("setpriv", plain, "--", "/bin/sleep", "60")
    command = shlex.split(text)
    assert command[-2:] == ["/bin/sleep", "60"]
    child = subprocess.Popen(command)
    try:
        while os.readlink(f"/proc/{child.pid}/exe").rpartition("/")[2] != "sleep":
            assert child.poll() is None
        ran = abdicate("audit", str(child.pid), *plain)
        assert ran.returncode == 0, ran.stdout
    finally:
        child.kill()
        child.wait()
