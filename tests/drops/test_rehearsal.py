"""Rehearsals: the real plan, really applied, in a child; the caller stays as it was."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pwd
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import abdicate.cli.explain
import abdicate.cli.rehearse
import abdicate.kernel.linux
import abdicate.kernel.namespace  # noqa: F401 - loaded while root still can
from abdicate.cli import main
from drops import raw
from drops.cases import FULL, SPELLINGS, as_root_often_starts, in_root
from drops.outside import held_by_threads, surroundings
from harness.child import held_child, in_child
from harness.seccomp import refuse

# setgroups(2), syscalls(2).
_SETGROUPS = {"x86_64": 116, "aarch64": 159, "riscv64": 159}

Data = dict[str, Any]  # the JSON of a rehearsal: looked into, field by field


def _printed(*words: str) -> tuple[int, str]:
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        status = main(words)
    return status, text.getvalue()


def _rehearse(*words: str) -> tuple[int, Data]:
    status, text = _printed("rehearse", "--json", *words)
    data: Data = json.loads(text)
    return status, data


def _in(start: Callable[[], object], *words: str) -> tuple[int, Data]:
    """Rehearse in a child in the state *start*, and see from outside that it stays so."""

    def rehearse() -> tuple[int, Data, list[str], dict[str, str]]:
        start()
        before = sorted(os.listdir("/proc/self/fd"))
        environment = dict(os.environ)
        status, data = _rehearse(*words)
        assert sorted(os.listdir("/proc/self/fd")) == before
        assert dict(os.environ) == environment
        with contextlib.suppress(ChildProcessError):
            raise AssertionError(f"a child is left: {os.waitpid(-1, os.WNOHANG)}")
        return status, data, before, environment

    with held_child(start) as untouched, held_child(rehearse) as child:
        status, data, *_ = child.value
        assert [*held_by_threads(child.pid).values()] == [*held_by_threads(untouched.pid).values()]
        assert surroundings(child.pid) == surroundings(untouched.pid)
    return status, data


def _explained_steps(start: Callable[[], object], *words: str) -> Any:
    def explain() -> str:
        start()
        return _printed("explain", "--json", *words)[1]

    return json.loads(in_child(explain))["steps"]


@pytest.mark.needs("root")
@pytest.mark.parametrize("spelling", ["name", "user:gid", "group"])
def test_root_rehearses_in_a_child_of_its_own_kind(spelling: str) -> None:
    """Every step is made, read back and attacked; and the caller is root as before."""
    words = SPELLINGS[spelling].words
    status, data = _in(as_root_often_starts, *words)
    assert (status, data["ok"], data["stage"], data["obstacles"]) == (0, True, "process", [])
    steps = [outcome["step"] for outcome in data["report"]["outcomes"]]
    assert steps == _explained_steps(as_root_often_starts, *words)
    assert {outcome["result"] for outcome in data["report"]["outcomes"]} == {"done"}
    assert {check["verdict"] for check in data["report"]["checks"]} == {"ok"}


@pytest.mark.needs("root")
def test_root_rehearses_everything(root_directory: str) -> None:
    """Root directory, limits, keyring, securebits: nothing of it reaches the caller."""
    status, data = _in(as_root_often_starts, *in_root(FULL, root_directory).words)
    assert (status, data["ok"], data["stage"]) == (0, True, "process")


@pytest.mark.needs("root")
def test_a_plan_that_fails_in_the_child_is_reported_with_its_step() -> None:
    """Exit 1; the kernel's answer; what the child gave up. The caller is as before."""

    def start() -> None:
        as_root_often_starts()
        refuse(_SETGROUPS[os.uname().machine])

    status, data = _in(start, *SPELLINGS["name"].words)
    assert (status, data["ok"], data["stage"]) == (1, False, "process")
    outcomes = data["report"]["outcomes"]
    assert [outcome["result"] for outcome in outcomes] == ["failed", *["not reached"] * 3]
    assert outcomes[0]["step"]["kind"] == "groups"
    assert "EPERM" in outcomes[0]["error"]
    assert "setresuid: done" in data["report"]["surrendered"]


@pytest.mark.needs("root")
def test_what_stands_in_the_way_of_root_is_said(tmp_path: Path) -> None:
    """A root directory that is not there can't be tried anywhere."""
    words = (*SPELLINGS["name"].words, "--chroot", str(tmp_path / "absent"))
    status, data = _in(as_root_often_starts, *words)
    assert (status, data["ok"], data["report"]) == (1, False, None)
    assert any("absent" in reason for reason in data["obstacles"])


# An ordinary user, www-data, in a mount namespace with files of its own.


def _as_www_data(*groups: int, gid: int = 33) -> None:
    os.setgroups(groups)
    os.setresgid(gid, gid, gid)
    os.setresuid(33, 33, 33)


def _with_subordinate_ids(folder: Path, text: str = "www-data:200000:65536\n") -> None:
    raw.private_mounts()
    for name in ("subuid", "subgid"):
        file = folder / name
        file.write_text(text)
        file.chmod(0o644)
        raw.bind(str(file), f"/etc/{name}")


user_namespace = pytest.mark.needs("root", "mount namespace", "user namespace", "newuidmap")


@user_namespace
@pytest.mark.parametrize(
    "words",
    [
        ("--user", "daemon"),
        ("--user", "nobody"),
        ("--user", "4242:4242"),
        ("--user", "daemon", "--groups", "exactly:adm,sudo", "--no-new-privs"),
        ("--user", "daemon", "--keep-capabilities", "kill", "--ambient", "--lock-securebits"),
        ("--user", "daemon", "--bounding", "", "--umask", "0077", "--new-session-keyring"),
    ],
    ids=" ".join,
)
def test_an_ordinary_user_rehearses_in_a_user_namespace(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    """With subordinate ids: the same steps by the same kernel, and no privilege outside."""

    def start() -> None:
        _with_subordinate_ids(tmp_path)
        _as_www_data(4, 27)

    status, data = _in(start, *words)
    assert (status, data["ok"], data["stage"]) == (0, True, "user namespace"), data
    assert any("CAP_SETUID" in reason for reason in data["obstacles"])
    report = data["report"]
    assert {outcome["result"] for outcome in report["outcomes"]} == {"done"}
    assert "succeeded" not in {attempt["result"] for attempt in report["attempts"]}
    # It is a rehearsal only if it goes through what root would have to do.
    kinds = [outcome["step"]["kind"] for outcome in report["outcomes"]]
    promised = _explained_steps(as_root_often_starts, *words)
    assert [kind for kind in kinds if kind in ("groups", "gid", "uid")] == ["groups", "gid", "uid"]
    assert kinds == [step["kind"] for step in promised]


@user_namespace
def test_the_user_namespace_takes_a_root_directory_too(
    public_directory: Path, tmp_path: Path
) -> None:
    """CAP_SYS_CHROOT is held in the namespace."""
    (public_directory / "inner").mkdir(mode=0o755)
    root = str(public_directory)

    def start() -> None:
        _with_subordinate_ids(tmp_path)
        _as_www_data()

    status, data = _in(start, "--user", "daemon", "--chroot", root, "--chdir", "/inner")
    assert (status, data["ok"], data["stage"]) == (0, True, "user namespace"), data


@user_namespace
def test_the_user_namespace_says_what_it_can_not_try(tmp_path: Path) -> None:
    """CAP_SYS_NICE counts in the first user namespace only: that is no fault of the plan's."""

    def start() -> None:
        _with_subordinate_ids(tmp_path)
        _as_www_data()

    status, data = _in(start, "--user", "daemon", "--nice", "-5")
    assert status == 1
    said = " ".join((*data["obstacles"], data["error"] or ""))
    assert "nice value" in said
    assert "CAP_SYS_NICE" in said


@pytest.mark.needs("root", "mount namespace")
def test_without_subordinate_ids_nothing_is_tried_and_it_says_so(tmp_path: Path) -> None:
    """Exit 1, the plan, and each reason."""

    def start() -> None:
        _with_subordinate_ids(tmp_path, "somebody:200000:65536\n")
        _as_www_data()

    status, data = _in(start, "--user", "daemon")
    assert (status, data["ok"], data["stage"], data["report"]) == (1, False, "none", None)
    assert (
        "www-data has no subordinate ids (/etc/subuid, /etc/subgid) to rehearse with"
        in (data["obstacles"])
    )
    assert any("CAP_SETUID" in reason for reason in data["obstacles"])

    def read() -> tuple[int, str]:
        start()
        return _printed("rehearse", "--user", "daemon")

    status, text = in_child(read)
    assert status == 1
    assert text.startswith("Become daemon (uid 1, gid 1, groups 1).\n")
    assert "Not rehearsed: nothing could be tried from here." in text
    assert "not as this process would do it: www-data has no subordinate ids" in text


@pytest.mark.needs("ordinary user", "linux")
def test_this_very_user_is_told_what_could_not_be_tried() -> None:
    """Whatever ids it has: either it was rehearsed, or there is a reason."""
    status, data = _rehearse("--user", "root", "--allow-root")
    assert data["obstacles"]
    assert status == (0 if data["ok"] else 1)
    assert data["ok"] or data["report"] is None or data["report"]["failure"]


@user_namespace
def test_without_newuidmap_it_names_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/share")

    def start() -> None:
        _with_subordinate_ids(tmp_path)
        _as_www_data()

    status, data = _in(start, "--user", "daemon")
    assert (status, data["stage"]) == (1, "none")
    assert any("newuidmap is not installed" in reason for reason in data["obstacles"])


@user_namespace
def test_what_newuidmap_refuses_is_said(tmp_path: Path) -> None:
    """shadow-utils' programs serve a user in his login group only."""

    def start() -> None:
        _with_subordinate_ids(tmp_path)
        _as_www_data(gid=4)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # its own words

    def rehearse() -> tuple[int, Data]:
        start()
        return _rehearse("--user", "daemon")

    status, data = in_child(rehearse)
    assert (status, data["stage"]) == (1, "none")
    assert any("map refused with status 1" in reason for reason in data["obstacles"])


@pytest.mark.needs("root", "mount namespace")
def test_where_user_namespaces_are_forbidden_it_says_that_none_was_entered(tmp_path: Path) -> None:
    """What was not tried is not called a rehearsal."""
    unshare = {"x86_64": 272, "aarch64": 97, "riscv64": 97}[os.uname().machine]

    def start() -> None:
        _with_subordinate_ids(tmp_path)
        _as_www_data()
        refuse(unshare)

    status, data = _in(start, "--user", "daemon")
    assert (status, data["ok"], data["report"]) == (1, False, None)
    assert data["stage"] == "none"


@pytest.mark.needs("root")
def test_whoever_is_that_already_rehearses_it_in_place() -> None:
    """P42: nothing stands in the way of a plan that changes no ids."""
    status, data = _in(lambda: _as_www_data(33), "--user", "www-data", "--umask", "0077")
    assert (status, data["ok"], data["stage"]) == (0, True, "process")


@pytest.mark.needs("root", "mount namespace")
def test_p43_a_user_without_an_entry_is_told_by_number(tmp_path: Path) -> None:
    """P43: there is no name to look up in /etc/subuid, and that is no crash."""

    def start() -> None:
        _with_subordinate_ids(tmp_path)
        os.setgroups([])
        os.setresgid(54321, 54321, 54321)
        os.setresuid(54321, 54321, 54321)

    with pytest.raises(KeyError):
        pwd.getpwuid(54321)
    status, data = _in(start, "--user", "daemon")
    assert (status, data["stage"]) == (1, "none")
    assert any(reason.startswith("54321 has no subordinate ids") for reason in data["obstacles"])


@pytest.mark.needs("root")
def test_a_caller_that_ignores_sigchld_gets_its_report_all_the_same() -> None:
    """Daemons do: the kernel reaps the child, and waitpid has nobody left to wait for."""

    def rehearse() -> tuple[int, Data]:
        as_root_often_starts()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        return _rehearse("--user", "www-data")

    status, data = in_child(rehearse)
    assert (status, data["ok"]) == (0, True)


@pytest.mark.needs("root")
def test_beside_other_threads_root_is_told_the_reason_and_no_other() -> None:
    """What this process could not do is said; subordinate ids are nothing that root lacks."""

    def rehearse() -> tuple[int, Data]:
        as_root_often_starts()
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        return _rehearse("--user", "www-data", "--no-new-privs")

    status, data = in_child(rehearse)
    assert status == 1
    (reason,) = data["obstacles"]
    assert "2 threads run" in reason
