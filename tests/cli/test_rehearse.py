"""``abdicate rehearse``: the plan, really carried out in a child; the exit status tells."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.program import BECOME, ROOT, Ran, abdicate, execute, succeeded


@pytest.mark.needs("root")
def test_a_plan_that_works_is_0() -> None:
    """Every step was made, every slot read back, every way back tried."""
    text = succeeded(abdicate("rehearse", "--user", "nobody")).decode()
    assert text.startswith("Rehearsed in a child of this process.\nBecame nobody (uid 65534")
    assert "Set the real, effective and saved uid to 65534." in text
    assert "FAILED" not in text


def test_whoever_it_is_may_rehearse_being_who_they_are() -> None:
    """P42: that needs no privilege, and no user namespace."""
    assert b"Rehearsed in a child" in succeeded(abdicate("rehearse", *BECOME))


def test_json_tells_the_same_to_programs() -> None:
    """With a version, and the report with its own."""
    data = json.loads(succeeded(abdicate("rehearse", *BECOME, "--json")))
    assert data["version"] == 1
    assert data["ok"] is True
    assert data["stage"] == "process"
    assert (data["obstacles"], data["error"]) == ([], None)
    assert data["report"]["version"] == 1
    assert {outcome["result"] for outcome in data["report"]["outcomes"]} == {"done"}
    assert {check["verdict"] for check in data["report"]["checks"]} == {"ok"}


def test_a_plan_that_fails_is_1() -> None:
    """The answer is "no", on stdout: it is an answer, and no failure of ours."""
    ran = abdicate("rehearse", *BECOME, "--chdir", "/no/such")
    assert (ran.returncode, ran.stderr) == (1, b"")
    assert b"/no/such" in ran.stdout


def test_a_plan_that_fails_is_1_in_json_too() -> None:
    """And ``ok`` says it."""
    ran = abdicate("rehearse", *BECOME, "--chdir", "/no/such", "--json")
    assert (ran.returncode, ran.stderr) == (1, b"")
    data = json.loads(ran.stdout)
    assert data["ok"] is False
    assert any("/no/such" in reason for reason in data["obstacles"])


def test_an_ordinary_user_is_told_what_could_not_be_tried(
    as_ordinary_user: Callable[..., Ran],
) -> None:
    """Without privilege and without subordinate ids: the plan, the reasons, and status 1."""
    ran = as_ordinary_user("rehearse", "--user", "daemon:daemon")
    if ran.returncode == 0:
        pytest.skip("needs a user without subordinate ids")
    assert (ran.returncode, ran.stderr) == (1, b"")
    text = ran.stdout.decode()
    assert "Become daemon" in text
    assert "Not rehearsed" in text
    assert "CAP_SETUID" in text


# In a mount namespace of its own, with subordinate ids for nobody, as nobody.
_WITH_SUBORDINATE_IDS = """
set -e
printf '{lines}' > {ids}
mount --bind {ids} /etc/subuid
mount --bind {ids} /etc/subgid
cd /
exec setpriv --reuid 65534 --regid 65534 --clear-groups env PYTHONPATH={package} \
    PYTHONDONTWRITEBYTECODE=1 {python} -m abdicate rehearse {words}
"""


_ENOUGH = "nobody:100000:65536\\n"  # as printf(1) takes it


def _with_subordinate_ids(place: Path, package: Path, lines: str, words: str) -> Ran:
    place.chmod(0o755)
    script = _WITH_SUBORDINATE_IDS.format(
        ids=shlex.quote(str(place / "ids")),
        package=shlex.quote(str(package)),
        python=shlex.quote(os.path.realpath(sys.executable)),
        lines=lines,
        words=words,
    )
    return execute(["unshare", "-m", "sh", "-c", script])


@pytest.mark.needs("root", "mount namespace", "user namespace", "newuidmap", "setpriv")
def test_an_ordinary_user_with_subordinate_ids_rehearses_in_a_user_namespace(
    place: Path, readable_package: Path
) -> None:
    """The same steps and checks by the same kernel, with the ids mapped."""
    words = "--user daemon --groups exactly:adm --json"
    ran = _with_subordinate_ids(place, readable_package, _ENOUGH, words)
    data = json.loads(succeeded(ran))
    assert (data["ok"], data["stage"]) == (True, "user namespace")
    assert any("CAP_SETUID" in reason for reason in data["obstacles"])
    after = data["report"]["after"]
    assert after["uid"] == {"real": 1, "effective": 1, "saved": 1}
    assert after["groups"] == [1, 4]
    assert {attempt["result"] for attempt in data["report"]["attempts"]} == {"refused"}


@pytest.mark.needs("root", "mount namespace", "user namespace", "newuidmap", "setpriv")
def test_an_id_that_the_subordinate_ids_don_t_reach_is_told(
    place: Path, readable_package: Path
) -> None:
    """P34: an unmapped id is EINVAL to the kernel, and a plain reason to people."""
    ran = _with_subordinate_ids(place, readable_package, "nobody:100000:10\\n", "--user 33:33")
    assert (ran.returncode, ran.stderr) == (1, b"")
    assert b"33 does not exist in this user namespace" in ran.stdout


@pytest.mark.needs("root", "mount namespace", "user namespace", "newuidmap", "setpriv")
@pytest.mark.parametrize("line", ["j\\374rgen:1:65536", "nobody:\\302\\262:65536", "nobody:1", "#"])
def test_a_line_that_is_no_range_is_passed_over(
    line: str, place: Path, readable_package: Path
) -> None:
    """subuid(5) has lines of other people, whatever they hold and in whatever encoding."""
    lines = f"{line}\\n{_ENOUGH}"
    ran = _with_subordinate_ids(place, readable_package, lines, "--user daemon")
    assert b"Rehearsed in a user namespace" in succeeded(ran)


@pytest.mark.parametrize("words", [[*BECOME]])
def test_children_that_nobody_waits_for_don_t_matter(words: list[str]) -> None:
    """A parent that ignored SIGCHLD passes that on, and the kernel then keeps no status for us."""

    def ignore() -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)

    assert b"Rehearsed in a child" in succeeded(abdicate("rehearse", *words, before=ignore))


@pytest.mark.parametrize("limit", ["nofile=4", "nofile=4:5"])
def test_a_limit_that_leaves_nothing_to_verify_with_is_told_in_time(limit: str) -> None:
    """Reading back needs descriptors: the rehearsal says so, and does not break half-way."""
    ran = abdicate("rehearse", *BECOME, "--limit", limit)
    assert (ran.returncode, ran.stderr) == (1, b"")
    assert b"to verify the drop" in ran.stdout
    assert b"FAILED" not in ran.stdout


@pytest.mark.needs("root")
def test_a_step_that_the_kernel_refuses_is_told_with_its_answer() -> None:
    """What no preflight can know is found in the child, and nothing has changed for us."""
    # Above fs.nr_open even CAP_SYS_RESOURCE does not help; without it, it is an obstacle.
    ran = abdicate("rehearse", "--user", "nobody", "--limit", f"nofile={2**40}")
    assert (ran.returncode, ran.stderr) == (1, b"")
    assert b"nofile" in ran.stdout


def test_only_those_who_may_are_rehearsed_for(as_ordinary_user: Callable[..., Ran]) -> None:
    """JSON says "none" where nothing was tried, and gives no report."""
    ran = as_ordinary_user("rehearse", "--user", "daemon:daemon", "--json")
    data = json.loads(ran.stdout)
    if data["stage"] == "user namespace":
        pytest.skip("needs a user without subordinate ids")
    assert (data["stage"], data["report"], data["ok"]) == ("none", None, False)
    assert ROOT or data["obstacles"]
