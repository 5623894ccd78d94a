"""P34, and P28 and P30 with it: user namespaces, and what they show of ids that they lack."""

from __future__ import annotations

import os

import pytest

from abdicate import (
    PreflightError,
    PrivilegeDrop,
)
from drops import raw
from drops.cases import as_root_often_starts
from drops.outside import dropped, held_by_threads, refused
from harness.child import held_child, in_child

pytestmark = pytest.mark.needs("root", "CAP_SETPCAP", "CAP_SYS_CHROOT")


def _drop(**fields: object) -> None:
    PrivilegeDrop.model_validate({"user": "www-data", **fields}).apply()


@pytest.mark.needs("user namespace")
@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"user": 200, "group": 33}, "uid 200 does not exist in this user namespace"),
        ({"user": 33, "group": 200}, "gid 200 does not exist in this user namespace"),
        (
            {"user": 33, "group": 33, "groups": {"exactly": [200]}},
            "gid 200 does not exist in this user namespace",
        ),
    ],
)
def test_p34_an_id_that_is_not_mapped_is_told_before_anything_changes(
    fields: dict[str, object], reason: str
) -> None:
    """EINVAL would come half-way."""

    def start() -> None:
        as_root_often_starts()
        raw.enter_user_namespace("0 0 100", "0 0 100")

    error = refused(start, lambda: _drop(**fields))
    assert isinstance(error, PreflightError)
    assert reason in str(error)


@pytest.mark.needs("user namespace")
def test_p34_a_namespace_with_maps_drops_like_the_first_one() -> None:
    """Seen from outside: the mapped ids, and no capability anywhere."""

    def start() -> None:
        as_root_often_starts()
        raw.enter_user_namespace("0 100000 100\n100 200000 100", "0 100000 100\n100 200000 100")
        os.setgroups([0, 4])
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)

    seen = dropped(start, lambda: _drop(user="150:150", groups={"exactly": [33]}))
    assert seen.uids == (200050,) * 4
    assert seen.gids == (200050,) * 4
    assert seen.groups == {200050, 100033}
    assert (seen.permitted, seen.effective) == (0, 0)


@pytest.mark.needs("user namespace")
def test_p34_groups_that_are_shown_as_nogroup_are_not_taken_for_it() -> None:
    """nsjail#288: 0, 4 and 27 outside are all shown as 65534; asked is 65534 alone."""

    def drop() -> None:
        as_root_often_starts()
        raw.enter_user_namespace("0 100000 65535", "0 100000 65535")
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        assert set(os.getgroups()) == {65534}
        _drop(user=65534, group=65534, groups="only")

    with held_child(drop) as child:
        assert child.value is None
        (seen,) = held_by_threads(child.pid).values()
    assert seen.groups == {165534}


@pytest.mark.needs("user namespace")
def test_p34_what_counts_in_the_first_namespace_only_is_told_before_anything_changes() -> None:
    """Root of a namespace holds CAP_SYS_NICE, and setpriority(2) asks for the machine's."""

    def start() -> None:
        raw.enter_user_namespace("0 100000 100", "0 100000 100")
        os.setgroups([0])
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)

    error = refused(start, lambda: _drop(nice=-5))
    assert isinstance(error, PreflightError)
    assert "nice value" in str(error)


# What the kernel shows of ids that it can't name.


def _unmapped_root(uids: str = "", gids: str = "") -> None:
    """Be the machine's root in a namespace that has no number for it: shown as 65534."""
    as_root_often_starts()
    raw.enter_user_namespace(uids, gids)


_NOBODY_IS_SOMEBODY = "0 100000 65535"


@pytest.mark.needs("root", "user namespace")
@pytest.mark.parametrize("groups", [None, "only", {"exactly": [65534]}])
def test_p28_root_that_is_shown_as_nobody_is_not_nobody_already(groups: object) -> None:
    """P28, P34: 65534 is how an unmapped id is shown; the machine's root hides behind it.

    Here 65534 exists (as 165534 outside), and the process is uid 0 outside, with root's groups.
    """

    def drop() -> list[str]:
        _unmapped_root(_NOBODY_IS_SOMEBODY, _NOBODY_IS_SOMEBODY)
        drop = PrivilegeDrop.model_validate(
            {"user": 65534, "group": 65534, "groups": groups, "environment": "keep"}
        )
        return [step.kind for step in drop.apply().report.plan.steps]

    with held_child(drop) as child:
        kinds = child.value
        (seen,) = held_by_threads(child.pid).values()
    assert (seen.uids, seen.gids, seen.groups) == (
        (165534,) * 4,
        (165534,) * 4,
        frozenset({165534}),
    )
    assert {"groups", "gid", "uid"} <= set(kinds)


@pytest.mark.needs("root", "user namespace")
@pytest.mark.parametrize("maps", ["", "0 100000 100"])
def test_p34_nobody_does_not_exist_where_it_is_not_mapped(maps: str) -> None:
    """P34: ``unshare -U`` shows root as 65534: becoming that can't be promised, nor be proven."""

    def start() -> None:
        _unmapped_root(maps, maps)

    error = refused(start, lambda: _drop(user=65534, group=65534))
    assert isinstance(error, PreflightError)
    assert "uid 65534 does not exist in this user namespace" in str(error)


@pytest.mark.needs("root", "user namespace")
def test_p30_in_a_user_namespace_the_answer_is_einval() -> None:
    """An id that is not mapped can't be asked for: that is a refusal as good as EPERM."""

    def drop() -> list[str]:
        raw.enter_user_namespace("33 100033 10", "33 100033 10")
        proof = PrivilegeDrop(user="33:33").apply()
        return [f"{each.call} {each.detail}" for each in proof.report.attempts]

    attempts = in_child(drop)
    assert any(attempt.startswith("setresuid(") and "EINVAL" in attempt for attempt in attempts)
