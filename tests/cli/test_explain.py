"""``abdicate explain``: the plan as people read it and as programs do; and `run` keeps it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from abdicate import DropRequest, Plan
from abdicate.identity.ids import parse_owner
from cli.program import BECOME, ROOT, Ran, abdicate, spelt, status_lines, succeeded


def _data(output: bytes) -> dict[str, Any]:  # Any: JSON, looked into by the tests
    data = json.loads(output)
    assert isinstance(data, dict)
    return data


@pytest.mark.needs("root")
def test_the_steps_are_told_in_their_order_each_with_its_reason() -> None:
    """Groups, gid, uid; what is told is what will happen."""
    text = succeeded(abdicate("explain", "--user", "nobody")).decode()
    assert text.startswith("Become nobody (uid 65534, gid 65534, groups 65534).\n")
    assert text.index("[setgroups]") < text.index("[setresgid]") < text.index("[setresuid]")
    assert text.count("Why here: ") == text.count("\n 1. ") + 3
    assert "could not do it" not in text


def test_whoever_has_nothing_to_do_is_told_so() -> None:
    """An empty plan is an answer."""
    words = ["--allow-root"] if ROOT else [*BECOME]
    assert b"Nothing to do" in succeeded(abdicate("explain", *words, "--keep-env"))


def test_an_ordinary_user_gets_the_plan_and_what_stands_in_its_way(
    as_ordinary_user: Callable[..., Ran],
) -> None:
    """Explaining needs no privilege: everybody may read what root would do."""
    text = succeeded(as_ordinary_user("explain", "--user", "daemon:daemon")).decode()
    assert text.startswith("Become daemon (uid 1, gid 1")
    steps, obstacles = text.split("This process could not do it:\n")
    assert "[setresuid]" in steps
    assert "CAP_SETGID" in obstacles
    assert "CAP_SETUID" in obstacles


def test_json_has_a_version_the_kinds_the_goal_and_the_obstacles(
    as_ordinary_user: Callable[..., Ran],
) -> None:
    """What programs read: every key by its name, and the reasons as a list."""
    words = ["explain", "--user", "daemon:daemon", "--groups", "only", "--json"]
    data = _data(succeeded(as_ordinary_user(*words)))
    assert data["version"] == 1
    kinds = [step["kind"] for step in data["steps"]]
    assert [kind for kind in kinds if kind in ("groups", "gid", "uid")] == kinds[:3]
    assert kinds[-1] == "environment"
    assert data["goal"]["uid"] == {"real": 1, "effective": 1, "saved": 1}
    assert data["goal"]["gid"] == {"real": 1, "effective": 1, "saved": 1}
    assert data["goal"]["groups"] == [1]
    assert data["identity"]["user"] == "daemon"
    assert any("CAP_SETUID" in reason for reason in data["obstacles"])


def test_json_without_the_obstacles_is_the_plan_itself() -> None:
    """A stored plan is read back as the value that the library makes here and now."""
    user = "nobody" if ROOT else f"{os.geteuid()}:{os.getegid()}"
    data = _data(succeeded(abdicate("explain", "--user", user, "--json")))
    assert data.pop("obstacles") == []
    plan = Plan.from_json(json.dumps(data))
    assert plan == DropRequest(owner=parse_owner(user)).plan()
    assert json.loads(plan.to_json()) == data


def test_explaining_changes_nothing() -> None:
    """The same words give the same plan again, and prior is what we hold."""
    words = ["explain", *BECOME, "--umask", "0077", "--json"]
    first, second = (_data(succeeded(abdicate(*words))) for _ in range(2))
    assert first == second
    assert first["prior"]["uid"]["real"] == os.getuid()


# What is promised is what is then there.

_SPELLINGS = [
    ["--user", "nobody"],
    ["--user", "65534"],
    ["--user", "nobody:"],
    ["--user", "nobody:nogroup"],
    ["--user", "nobody:daemon"],
    ["--user", "65534:1"],
    ["--user", "nobody", "--group", "adm"],
    ["--user", "54321:54322"],
    ["--user", "daemon", "--umask", "0077", "--no-new-privs"],
    ["--user", "nobody", "--bounding", "kill"],
    ["--user", "nobody", "--keep-capabilities", "kill,net_bind_service", "--ambient"],
    ["--user", "nobody", "--lock-securebits"],
    ["--group", "daemon", "--allow-root"],
    ["--user", ":daemon", "--allow-root"],
    ["--user", "root", "--allow-root"],
    ["--user", "nobody:root", "--allow-root-group"],
]
_POLICIES = [
    ["--groups", "init"],
    ["--groups", "only"],
    ["--groups", "keep", "--allow-root-group"],
    ["--groups", "exactly:adm,27"],
    ["--groups", "exactly:65534,4,4"],
    ["--groups", "exactly:"],
    ["--groups", "add:adm,sudo"],
    ["--groups", "add:"],
]
_PROMISES = [*_SPELLINGS, *(["--user", "nobody", *policy] for policy in _POLICIES)]


def _begin_with_groups() -> None:
    os.setgroups([0, 4, 27])


@pytest.mark.needs("root", "CAP_SETPCAP", "CAP_KILL", "CAP_NET_BIND_SERVICE")
@pytest.mark.parametrize("words", _PROMISES, ids=spelt)
def test_the_command_holds_exactly_what_was_promised(words: list[str]) -> None:
    """P10 to P15, P24: four uids, four gids, the groups, and five capability sets."""
    output = succeeded(abdicate("explain", *words, "--json", before=_begin_with_groups))
    data = _data(output)
    del data["obstacles"]
    goal = Plan.from_data(data).goal
    ran = abdicate("run", *words, "--", "cat", "/proc/self/status", before=_begin_with_groups)
    held = status_lines(succeeded(ran))

    uid, gid, sets = goal.uid, goal.gid, goal.capabilities
    assert sets is not None
    assert list(map(int, held["Uid"].split())) == [
        *(uid.real, uid.effective, uid.saved),
        goal.filesystem_uid,
    ]
    assert list(map(int, held["Gid"].split())) == [
        *(gid.real, gid.effective, gid.saved),
        goal.filesystem_gid,
    ]
    assert sorted(map(int, held["Groups"].split())) == list(goal.groups)
    promised = {
        "CapInh": sets.inheritable,
        "CapPrm": sets.permitted,
        "CapEff": sets.effective,
        "CapBnd": sets.bounding,
        "CapAmb": sets.ambient,
    }
    assert {name: int(held[name], 16) for name in promised} == {
        name: found.mask for name, found in promised.items()
    }
    assert bool(int(held["NoNewPrivs"])) == goal.no_new_privs
    assert int(held["Umask"], 8) == goal.umask
    assert int(held["Seccomp"]) == goal.seccomp
