"""P42, P43: who is that already, and who has no entry in the database."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import pytest

import abdicate.cli.show  # noqa: F401 - loaded while root still can
from abdicate import (
    PreflightError,
    PrivilegeDrop,
)
from drops import raw
from drops.cases import as_root_often_starts
from drops.commandline import abdicate_in
from drops.outside import dropped, held_by_threads, promised
from harness.child import error_in_child, held_child, in_child

root = pytest.mark.needs("root")

Trace = Callable[[FrameType, str, Any], Any]  # sys.settrace's own type

# syscalls(2).
_SETRESUID = {"x86_64": 117, "aarch64": 147, "riscv64": 147}

WWW_DATA = ((33,) * 4, (33,) * 4, frozenset({33}))


def _drop(**fields: object) -> None:
    PrivilegeDrop.model_validate({"user": "www-data", **fields}).apply()


# P42, P43: who is that already, and who has no entry.


@root
@pytest.mark.parametrize("groups", [(33,), ()])
@pytest.mark.parametrize("user", ["www-data", "33:33", "www-data:", ":33"])
def test_p42_the_same_user_unprivileged_is_a_no_op(user: str, groups: Sequence[int]) -> None:
    """Not EPERM: a service that starts as its own user has nothing to give up."""
    drop = PrivilegeDrop.model_validate(user)
    seen = dropped(lambda: raw.become(33, 33, *groups), drop.apply)
    assert (seen.uids, seen.gids, seen.groups) == ((33,) * 4, (33,) * 4, frozenset(groups))


@pytest.mark.needs("linux", "ordinary user")
def test_p42_this_very_user_drops_to_itself() -> None:
    """The suite's own user, with whatever groups it has."""

    def drop() -> int:
        user, group = os.getuid(), os.getgid()
        proof = PrivilegeDrop(user=user, group=group, groups="keep", environment="keep").apply()
        return len(proof.report.plan.steps)

    with held_child(drop) as child:
        assert child.value == 0
        (held,) = held_by_threads(child.pid).values()
    assert held.uids == (os.getuid(),) * 4


@pytest.mark.needs("linux", "ordinary user")
def test_p42_another_user_is_refused_with_every_reason() -> None:
    """And the command line says it in one line, with exit 125."""
    error = error_in_child(lambda: PrivilegeDrop(user=4242, group=4242).apply())
    assert isinstance(error, PreflightError)
    assert len(error.reasons) == 3
    ended = abdicate_in("run", "--user", "4242:4242", "--", "echo", start=lambda: None)
    assert ended.refused, ended


@root
@pytest.mark.parametrize("value", ["54321:54321", ":54321", {"umask": "0022"}])
def test_p43_a_uid_without_an_entry_can_be_what_it_is(value: object) -> None:
    """OpenShift's arbitrary uids: expanduser and getpwuid fail, and nothing here asks them."""
    seen = dropped(
        lambda: raw.become(54321, 54321, 54321), lambda: PrivilegeDrop.model_validate(value).apply()
    )
    assert (seen.uids, seen.gids, seen.groups) == (
        (54321,) * 4,
        (54321,) * 4,
        frozenset({54321}),
    )


@root
@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("run", "--user", "54321:54321", "--", "id", "-u"), 0),
        (("explain", "--user", "54321:54321"), 0),
        (("rehearse", "--user", "54321:54321"), 0),
        (("show",), 0),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_p43_no_command_needs_the_current_user_to_have_an_entry(
    words: tuple[str, ...], status: int
) -> None:
    ended = abdicate_in(*words, start=lambda: raw.become(54321, 54321, 54321))
    assert (ended.exit_code, ended.err) == (status, "")
    assert "54321" in ended.out


@root
def test_p43_its_home_is_the_root_directory_unless_given() -> None:
    def drop(home: str | None) -> tuple[str | None, ...]:
        as_root_often_starts()
        os.environ.update(HOME="/root", USER="root", LOGNAME="root")
        PrivilegeDrop(user="54321:54321", home=home).apply() if home else PrivilegeDrop(
            user="54321:54321"
        ).apply()
        return tuple(os.environ.get(name) for name in ("HOME", "USER", "LOGNAME", "SHELL"))

    assert in_child(lambda: drop(None)) == ("/", None, None, "/bin/sh")
    assert in_child(lambda: drop("/srv")) == ("/srv", None, None, "/bin/sh")


@root
def test_the_promise_of_the_library_is_the_promise_of_the_command() -> None:
    """One goal, by whichever way it is read."""

    def goal() -> object:
        as_root_often_starts()
        return PrivilegeDrop(user="www-data").plan().to_data()

    data = in_child(goal)
    assert isinstance(data, dict)
    assert promised(data) == dropped(as_root_often_starts, _drop)
