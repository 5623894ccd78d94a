"""Malformed config files: one line a fault, with the key and the rule, and nothing else."""

from __future__ import annotations

import os
import pathlib

import pytest

from cli.program import PLAIN, abdicate

_WEB = "[profiles.web]\n"
_DROP = '[profiles.web.drop]\nuser = "nobody"\n'
_YAML = "profiles:\n  web:\n    drop:\n      user: nobody\n"

#: The file's name, what it says, and what stands in each line of the error, in order.
TABLE: list[tuple[str, str | bytes, list[str]]] = [
    ("c.ini", "", ["has to end in one of .toml"]),
    ("c.toml", "", ["profiles: tables of profiles are wanted"]),
    ("c.toml", "[profiles]\n", ["profiles: tables of profiles are wanted"]),
    ("c.toml", "profiles = 1\n", ["profiles: tables of profiles are wanted"]),
    ("c.toml", "version = 2\n" + _DROP, ["version: 2: version 1 is read here"]),
    ("c.toml", "version = true\n" + _DROP, ["version: True: version 1 is read here"]),
    ("c.toml", "versoin = 1\n" + _DROP, ["versoin: there is no such key at the top; is 'version'"]),
    ("c.toml", "a = \n", [":1: TOML: "]),
    ("c.toml", "a = 1\na = 2\n", ["TOML: "]),
    ("c.toml", b"\xef\xbb\xbf" + _DROP.encode(), ["byte order mark"]),
    ("c.toml", _DROP + "#\0\n", ["NUL"]),
    ("c.toml", b"# caf\xe9\n", [":1: it is not UTF-8 text"]),
    ("c.toml", _DROP.encode("utf-16"), ["it is not UTF-8 text"]),
    ("c.toml", "a = " + "[" * 5000 + "]" * 5000 + "\n", ["nested too deeply"]),
    ("c.toml", _WEB, [":1: profiles.web.drop: the key is missing"]),
    ("c.toml", "[profiles]\nweb = 1\n", ["profiles.web: 1: a table is wanted"]),
    ("c.toml", "[profiles.'a b']\n", ["letters, digits"]),
    ("c.toml", _WEB + "drop = ''\n", [":2: profiles.web.drop"]),
    ("c.toml", _WEB + "drop = '0:'\n", [":2: profiles.web.drop"]),
    ("c.toml", _WEB + "drop = true\n", [":2: profiles.web.drop"]),
    (
        "c.toml",
        _DROP + "usr = 'x'\n",
        [":3: profiles.web.drop.usr: there is no such key; is 'user'"],
    ),
    ("c.toml", _DROP + "umask = 18.0\n", [":3: profiles.web.drop.umask"]),
    ("c.toml", _DROP + "umask = '0888'\n", [":3: profiles.web.drop.umask"]),
    ("c.toml", _DROP + "no_new_privs = 1\n", [":3: profiles.web.drop.no_new_privs"]),
    ("c.toml", _DROP + "capabilities = ['CAP_NOPE']\n", [":3: profiles.web.drop.capabilities"]),
    (
        "c.toml",
        _WEB + "name = 'x'\ndrop = 'nobody'\n",
        [":2: profiles.web.name: a profile's name is"],
    ),
    ("c.toml", _WEB + "drop = 'nobody'\nexec = 'id'\n", [":3: profiles.web.exec"]),
    ("c.toml", _WEB + "drop = 'nobody'\nexec = []\n", [":3: profiles.web.exec"]),
    ("c.toml", _WEB + "drop = 'nobody'\npidfile = 'web.pid'\n", [":3: profiles.web.pidfile"]),
    (
        "c.toml",
        _WEB + "drop = 'nobody'\nabstract = 1\n",
        [":3: profiles.web.abstract: true or false"],
    ),
    ("c.toml", _WEB + "extends = 'wbe'\n", [":2: profiles.web.extends: there is no profile 'wbe'"]),
    ("c.toml", _WEB + "extends = 'web'\n", [":2: profiles.web.extends: it extends itself"]),
    ("c.toml", _WEB + "extends = 3\n", [":2: profiles.web.extends: the name of a profile"]),
    (
        "c.toml",
        _DROP + "uesr = 1\nnice = 'x'\n",
        ["profiles.web.drop.nice", "profiles.web.drop.uesr: there is no such key"],
    ),
    ("c.json", "[]", ["a table is wanted at the top"]),
    ("c.json", "{", [":1: JSON: "]),
    ("c.json", '{"profiles": {}, "profiles": {}}', ["profiles: the key stands twice"]),
    ("c.json", '{"version": NaN}', ["NaN is no number of JSON"]),
    ("c.json", "[" * 100_000, ["nested too deeply"]),
    ("c.json", '{"version": ' + "9" * 5000 + "}", ["a value can't be read"]),
    ("c.yaml", _YAML + "      umask: 022\n", ["in different ways: put it in quotes"]),
    ("c.yaml", "profiles: {web: {drop: no}}\n", ["'no' in different ways"]),
    ("c.yaml", "profiles: {web: {drop: 1_000}}\n", ["'1_000' in different ways"]),
    ("c.yaml", "profiles: {web: {drop: 0x10}}\n", ["'0x10' in different ways"]),
    ("c.yaml", "profiles: {web: {drop: 1:30}}\n", ["'1:30' in different ways"]),
    ("c.yaml", "profiles: {web: {drop: 2026-01-02}}\n", ["'2026-01-02' in different ways"]),
    ("c.yaml", "profiles: &a {b: *a}\n", ["anchors and aliases are not read"]),
    ("c.yaml", "profiles: !!python/name:os.system ''\n", ["is not read: write plain values"]),
    ("c.yaml", "a: 1\na: 2\n", [":2: a: the key stands twice"]),
    ("c.yaml", _YAML + "---\n" + _YAML, ["a second document begins"]),
    ("c.yaml", "a: [\n", ["YAML: "]),
    ("c.yaml", "[" * 3000, ["nested too deeply"]),
]


@pytest.mark.parametrize(
    ("name", "content", "faults"), TABLE, ids=[f"{n}-{row[0]}" for n, row in enumerate(TABLE)]
)
def test_says_each_fault_in_one_line_and_prints_nothing(
    tmp_path: pathlib.Path, name: str, content: str | bytes, faults: list[str]
) -> None:
    """A malformed file is exit status 125, a line a fault, and an empty standard output."""
    file = tmp_path / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    file.chmod(0o644)

    ran = abdicate("explain", "--config", str(file), "--profile", "web", env=PLAIN)

    lines = ran.stderr.decode().splitlines()
    assert (ran.returncode, ran.stdout, len(lines)) == (125, b"", len(faults)), ran
    for line, fault in zip(lines, faults, strict=True):
        assert line.startswith(f"abdicate explain: {file}")
        assert fault in line


@pytest.mark.parametrize("kind", ["fifo", "directory", "device", "sparse"])
def test_refuses_what_is_no_file_of_sane_size_at_once(tmp_path: pathlib.Path, kind: str) -> None:
    """A FIFO, a directory, a device and a sparse 3 GiB are refused before they are read."""
    path = tmp_path / "c.toml"
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "directory":
            path.mkdir()
        case "device":
            path.symlink_to("/dev/zero")
        case _:
            path.touch()
            os.truncate(path, 3 * 2**30)

    ran = abdicate("explain", "--config", str(path), "--profile", "web", env=PLAIN)

    assert (ran.returncode, ran.stdout) == (125, b"")
    assert len(ran.stderr.splitlines()) == 1
    assert b"Traceback" not in ran.stderr


@pytest.mark.needs("root")
def test_root_refuses_a_file_that_others_may_write_to(tmp_path: pathlib.Path) -> None:
    """Root does not take orders from a world-writable file."""
    file = tmp_path / "c.toml"
    file.write_text(_DROP)
    file.chmod(0o666)

    ran = abdicate("run", "--config", str(file), "--profile", "web", "--", "id", env=PLAIN)

    assert (ran.returncode, ran.stdout) == (125, b"")
    assert b"others may write to it (0666)" in ran.stderr
