"""What ``explain --json`` promises is what the process holds afterwards, seen from outside.

From root with the groups 0, 4 and 27: every policy and every spelling of the target, and all that
a drop may do besides. `/proc/<pid>/task/*/status` is read by the parent, with a parser of its own.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from abdicate import AbdicateError, PrivilegeDrop, SpecError
from abdicate.cli import main
from drops import raw
from drops.cases import (
    BESIDES,
    POLICIES,
    SPELLINGS,
    START_GROUPS,
    WITHOUT_ENTRY,
    Case,
    as_root_often_starts,
    combined,
    in_root,
)
from drops.outside import Held, explained, held_by_threads, promised, surroundings
from harness.child import error_in_child, held_child

pytestmark = pytest.mark.needs("root", "CAP_SETPCAP", "CAP_SYS_CHROOT")

COMBINED = combined()


def _drop(case: Case) -> dict[str, Any]:  # Any: what the child saw of itself, by name
    """Be the child: start, drop, and tell what only the process itself can read."""
    as_root_often_starts()
    keyring = raw.session_keyring()
    proof = PrivilegeDrop.model_validate(case.value).apply()
    return {
        "ok": proof.report.ok,
        "unverified": [str(check) for check in proof.report.unverified],
        "securebits": raw.securebits(),
        "dumpable": raw.dumpable(),
        "signal": raw.armed_signal(),
        "new keyring": raw.session_keyring() != keyring,
        "environment": dict(os.environ),
    }


def _check(case: Case) -> tuple[Held, dict[str, Any], dict[str, str]]:
    """Make the drop, hold the promise against what is seen, and return what is seen."""
    promise = explained(as_root_often_starts, list(case.words))
    assert promise["obstacles"] == []
    with held_child(lambda: _drop(case)) as child:
        own = child.value
        assert own["ok"]
        assert own["unverified"] == []
        seen = held_by_threads(child.pid)
        assert set(seen.values()) == {promised(promise)}
        return promised(promise), own, surroundings(child.pid)


@pytest.mark.parametrize("name", COMBINED)
def test_every_spelling_and_policy_ends_as_explained(name: str) -> None:
    """Four uids, four gids, the groups and the five sets are what was promised."""
    _check(COMBINED[name])


@pytest.mark.parametrize(
    ("case", "uid", "gid", "groups"),
    [
        (Case("www-data", ("--user", "www-data")), 33, 33, {33}),
        (Case("33:4", ("--user", "33:4")), 33, 4, {4}),
        (SPELLINGS["user+group"].besides(POLICIES["only"]), 33, 4, {4}),
        (SPELLINGS["name"].besides(POLICIES["exactly"]), 33, 33, {33, 4, 27}),
        (SPELLINGS["name"].besides(POLICIES["exactly-none"]), 33, 33, {33}),
        (SPELLINGS["name"].besides(POLICIES["add"]), 33, 33, {33, 27, 100}),
        (SPELLINGS["name"].besides(POLICIES["keep"]), 33, 33, {0, 4, 27}),
        (SPELLINGS[":group"], 0, 4, {4}),
        (WITHOUT_ENTRY["uid:gid"], 4242, 4242, {4242}),
        (WITHOUT_ENTRY["the last id"], 2**32 - 2, 2**32 - 2, {2**32 - 2}),
        (WITHOUT_ENTRY["the 16-bit minus one"], 65535, 65535, {65535}),
    ],
    ids=lambda value: " ".join(value.words) if isinstance(value, Case) else None,
)
def test_the_promise_itself_is_what_was_asked(
    case: Case, uid: int, gid: int, groups: set[int]
) -> None:
    """The promise and the kernel could agree on something else; so a few are spelled out."""
    seen, _, _ = _check(case)
    assert (seen.uids, seen.gids) == ((uid,) * 4, (gid,) * 4)
    assert seen.groups == groups
    if uid:
        assert (seen.permitted, seen.effective, seen.inheritable, seen.ambient) == (0, 0, 0, 0)


@pytest.mark.needs("mount namespace")
@pytest.mark.parametrize(
    ("policy", "groups"),
    [
        ("default", {4400, 5001, 5002}),
        ("init", {4400, 5001, 5002}),
        ("only", {4400}),
        ("exactly", {4400, 4, 27}),
        ("exactly-none", {4400}),
        ("add", {4400, 5001, 5002, 27, 100}),
        ("keep", set(START_GROUPS)),
    ],
)
def test_memberships_come_from_the_database(policy: str, groups: set[int], tmp_path: Path) -> None:
    """``init`` and ``add`` take what getgrouplist says; the others do not look."""
    users, members = tmp_path / "passwd", tmp_path / "group"
    users.write_text("root:x:0:0::/root:/bin/sh\nworker:x:4400:4400::/srv:/bin/false\n")
    members.write_text(
        "root:x:0:\nsudo:x:27:\nworker:x:4400:\none:x:5001:worker,root\ntwo:x:5002:worker\n"
    )

    def start() -> None:
        raw.private_mounts()
        raw.bind(str(users), "/etc/passwd")
        raw.bind(str(members), "/etc/group")
        as_root_often_starts()

    case = Case({"user": "worker"}, ("--user", "worker")).besides(POLICIES[policy])
    promise = explained(start, list(case.words))

    def drop() -> None:
        start()
        PrivilegeDrop.model_validate(case.value).apply()

    with held_child(drop) as child:
        assert child.value is None
        (seen,) = held_by_threads(child.pid).values()
    assert seen == promised(promise)
    assert seen.groups == groups


@pytest.mark.parametrize("name", WITHOUT_ENTRY)
def test_a_uid_without_an_entry_has_no_groups_to_initialise(name: str) -> None:
    """``init`` for a uid that nobody entered is refused before anything changes."""
    error = error_in_child(lambda: _drop(WITHOUT_ENTRY[name].besides(POLICIES["init"])))
    assert isinstance(error, SpecError)


def _check_besides(name: str, root: str) -> tuple[Held, dict[str, Any], dict[str, str]]:
    return _check(in_root(SPELLINGS["name"].besides(BESIDES[name]), root))


@pytest.mark.parametrize("name", BESIDES)
def test_what_a_drop_does_besides_ends_as_explained(name: str, root_directory: str) -> None:
    """The ids and the sets are as promised whatever else the drop does."""
    _check_besides(name, root_directory)


def test_no_new_privs_is_on(root_directory: str) -> None:
    seen, _, _ = _check_besides("no_new_privs", root_directory)
    assert seen.no_new_privs


def test_kept_capabilities_are_permitted_and_effective_only(root_directory: str) -> None:
    seen, _, _ = _check_besides("keep capabilities", root_directory)
    kept = raw.mask(["CAP_NET_BIND_SERVICE", "CAP_KILL"])
    assert (seen.permitted, seen.effective) == (kept, kept)
    assert (seen.inheritable, seen.ambient) == (0, 0)


def test_ambient_capabilities_are_in_four_sets(root_directory: str) -> None:
    seen, own, _ = _check_besides("ambient", root_directory)
    kept = raw.mask(["CAP_NET_BIND_SERVICE"])
    assert (seen.permitted, seen.effective, seen.inheritable, seen.ambient) == (kept,) * 4
    assert not own["securebits"] & raw.Securebit.KEEP_CAPS


def test_the_bounding_set_keeps_what_was_asked(root_directory: str) -> None:
    seen, _, _ = _check_besides("bounding", root_directory)
    assert seen.bounding == raw.mask(["CAP_CHOWN", "CAP_KILL"])


def test_the_bounding_set_can_be_emptied(root_directory: str) -> None:
    seen, _, _ = _check_besides("no bounding", root_directory)
    assert seen.bounding == 0


@pytest.mark.parametrize("name", ["securebits", "securebits and ambient"])
def test_the_securebits_are_locked(name: str, root_directory: str) -> None:
    """Every flag of capabilities(7) with its lock; keep-capabilities locked off."""
    _, own, _ = _check_besides(name, root_directory)
    assert own["securebits"] & 0xFF == 0b11101111


def test_the_umask_is_set(root_directory: str) -> None:
    seen, _, _ = _check_besides("umask", root_directory)
    assert seen.umask == 0o077


def test_the_nice_value_is_set(root_directory: str) -> None:
    _, _, around = _check_besides("nice", root_directory)
    assert around["nice"] == "7"


def test_the_limits_are_set(root_directory: str) -> None:
    _, _, around = _check_besides("limits", root_directory)
    assert (around["Max open files"], around["Max core file size"]) == ("512:1024", "0:0")


@pytest.mark.parametrize(("name", "expected"), [("dumpable", 1), ("not dumpable", 0)])
def test_dumpable_is_chosen(name: str, expected: int, root_directory: str) -> None:
    _, own, _ = _check_besides(name, root_directory)
    assert own["dumpable"] == expected


def test_the_parent_death_signal_is_armed(root_directory: str) -> None:
    _, own, _ = _check_besides("parent-death signal", root_directory)
    assert own["signal"] == 15


def test_the_session_keyring_is_another(root_directory: str) -> None:
    _, own, _ = _check_besides("keyring", root_directory)
    assert own["new keyring"]


def test_the_working_directory_is_changed(root_directory: str) -> None:
    _, _, around = _check_besides("working directory", root_directory)
    assert around["working directory"] == "/usr"


def test_the_root_directory_is_changed_and_entered(root_directory: str) -> None:
    _, _, around = _check_besides("root directory", root_directory)
    assert (around["root"], around["working directory"]) == (root_directory, root_directory)


def test_the_working_directory_is_seen_from_the_new_root(root_directory: str) -> None:
    _, _, around = _check_besides("root and working directory", root_directory)
    assert around["root"] == root_directory
    assert around["working directory"] == f"{root_directory}/inner"


def test_the_environment_can_be_kept(root_directory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/root")
    _, own, _ = _check_besides("environment kept", root_directory)
    assert own["environment"] == dict(os.environ)


def test_the_environment_can_be_reset(root_directory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("LD_PRELOAD", "")
    _, own, _ = _check_besides("environment reset", root_directory)
    assert own["environment"] == {
        "HOME": "/var/www",
        "USER": "www-data",
        "LOGNAME": "www-data",
        "SHELL": "/usr/sbin/nologin",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "TERM": "dumb",
    }


@pytest.mark.parametrize("name", ["no_new_privs", "ambient", "bounding", "securebits", "umask"])
def test_the_executed_command_holds_what_the_promise_makes_of_it(
    name: str, root_directory: str
) -> None:
    """execve(2) of an ordinary file: permitted and effective become the ambient set."""
    case = in_root(SPELLINGS["name"].besides(BESIDES[name]), root_directory)
    goal = promised(explained(as_root_often_starts, list(case.words)))
    command = [sys.executable, "-m", "abdicate", "run", *case.words, "--", "cat"]
    with subprocess.Popen(
        command, extra_groups=START_GROUPS, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"+")
        process.stdin.flush()
        # The answer comes from the command: the same process, after the drop and the exec.
        assert process.stdout.read(1) == b"+"
        seen = held_by_threads(process.pid)
        process.stdin.close()
    assert process.returncode == 0
    (held,) = seen.values()
    assert (held.uids, held.gids, held.groups) == (goal.uids, goal.gids, goal.groups)
    assert (held.inheritable, held.bounding, held.ambient) == (
        goal.inheritable,
        goal.bounding,
        goal.ambient,
    )
    assert (held.permitted, held.effective) == (goal.ambient, goal.ambient)
    assert (held.umask, held.no_new_privs) == (goal.umask, goal.no_new_privs)


@pytest.mark.parametrize("value", ["root", 0, "0", "0:4", ":adm", "www-data:root", "www-data:0"])
def test_root_must_be_asked_for_in_writing(value: object) -> None:
    """Whoever would stay root, or keep its group, is told so while nothing has changed."""

    def attempt() -> tuple[str, list[int], tuple[int, int, int], tuple[int, int, int]]:
        as_root_often_starts()
        try:
            PrivilegeDrop.model_validate(value).apply()
        except AbdicateError as error:
            return str(error), sorted(os.getgroups()), os.getresuid(), os.getresgid()
        raise AssertionError("it went through")

    with held_child(attempt) as child:
        message, groups, uids, gids = child.value
    assert "allow_root" in message
    assert (groups, uids, gids) == ([0, 4, 27], (0, 0, 0), (0, 0, 0))


def test_explaining_changes_nothing() -> None:
    """The promise is made by a process that stays as it was."""

    def explain() -> None:
        as_root_often_starts()
        with redirect_stdout(io.StringIO()):
            main(["explain", "--user", "www-data", "--no-new-privs", "--umask", "0077"])

    with held_child(as_root_often_starts) as untouched, held_child(explain) as child:
        assert child.value is None
        assert [*held_by_threads(child.pid).values()] == [*held_by_threads(untouched.pid).values()]
