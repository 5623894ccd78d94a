"""P10 to P19: the groups that other programs left behind, lost, or took for success."""

from __future__ import annotations

import errno
import grp
import os
import pwd
from pathlib import Path
from typing import NoReturn

import pytest

from abdicate import IncompleteDropError, PreflightError, PrivilegeDrop, UnknownUserError
from drops import raw
from drops.cases import START_GROUPS, as_root_often_starts
from drops.commandline import abdicate_in
from drops.outside import dropped, refused
from harness.child import error_in_child, held_child, in_child
from harness.seccomp import refuse

pytestmark = pytest.mark.needs("root")

# setgroups(2), syscalls(2).
_SETGROUPS = {"x86_64": 116, "aarch64": 159, "riscv64": 159}

_NGROUPS_MAX = os.sysconf("SC_NGROUPS_MAX")


def _drop(**fields: object) -> None:
    PrivilegeDrop.model_validate({"user": "www-data", **fields}).apply()


def test_p10_no_group_of_roots_is_left() -> None:
    held = dropped(as_root_often_starts, _drop)
    assert held.groups == {33}
    assert not held.groups & set(START_GROUPS)


def test_p10_keeping_them_has_to_be_written_out_twice() -> None:
    """``keep`` alone is refused while gid 0 is among the groups."""
    error = refused(as_root_often_starts, lambda: _drop(groups="keep"))
    assert "root's group (gid 0) would be among the groups" in str(error)


@pytest.mark.parametrize("groups", [None, "init", "only", {"add": [4]}, {"exactly": [4]}])
def test_p11_the_gid_is_set_with_the_groups(groups: object) -> None:
    """No gid stays 0: not the real, effective, saved or filesystem one."""
    held = dropped(as_root_often_starts, lambda: _drop(groups=groups))
    assert held.gids == (33,) * 4


@pytest.mark.parametrize("user", ["www-data", 33, "33", "www-data:"])
def test_p12_a_user_without_a_group_gets_the_login_group(user: str | int) -> None:
    """Never the caller's gid, which is root's."""
    held = dropped(as_root_often_starts, lambda: _drop(user=user))
    assert (held.gids, held.groups) == ((33,) * 4, frozenset({33}))


@pytest.mark.parametrize("groups", [None, "only", "keep", {"exactly": []}])
def test_p12_a_uid_without_an_entry_never_keeps_the_callers_gid(groups: object) -> None:
    """It is refused, before any change, until a group is named."""
    error = refused(
        as_root_often_starts, lambda: _drop(user=4242, groups=groups, allow_root_group=True)
    )
    assert isinstance(error, UnknownUserError)
    assert "4242:GROUP" in str(error)
    ended = abdicate_in("run", "--user", "4242", "--", "echo", "it ran")
    assert ended.refused, ended


def test_p13_an_empty_list_is_the_gid_alone_and_not_no_answer() -> None:
    """CVE-2023-6507: subprocess took ``extra_groups=[]`` for "leave them"."""
    assert dropped(as_root_often_starts, lambda: _drop(groups={"exactly": []})).groups == {33}
    assert dropped(as_root_often_starts, lambda: _drop(groups={"add": []})).groups == {33}


def _in_a_small_namespace() -> None:
    """Be root where the gids 0 to 99 exist and no other."""
    raw.enter_user_namespace("0 100000 100", "0 100000 100")
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    os.setgroups([0, 4])


@pytest.mark.needs("user namespace")
@pytest.mark.parametrize("groups", [{"exactly": [4, 5001]}, {"add": [5001]}])
def test_p14_a_group_that_does_not_exist_here_is_not_left_out_in_silence(groups: object) -> None:
    error = refused(_in_a_small_namespace, lambda: _drop(groups=groups))
    assert isinstance(error, PreflightError)
    assert error.reasons == ("gid 5001 does not exist in this user namespace (/proc/self/gid_map)",)


@pytest.mark.needs("user namespace", "mount namespace")
def test_p14_what_initgroups_leaves_out_in_silence_is_an_error(tmp_path: Path) -> None:
    """The same user, the same namespace: libc says "done" with a group fewer."""
    members = tmp_path / "group"
    members.write_text("root:x:0:\nwww-data:x:33:\nadm:x:4:www-data\nfar:x:5001:www-data\n")

    def start() -> None:
        raw.private_mounts()
        raw.bind(str(members), "/etc/group")
        _in_a_small_namespace()

    def with_libc() -> tuple[list[int], set[int]]:
        start()
        wanted = set(os.getgrouplist("www-data", 33))
        os.initgroups("www-data", 33)
        return sorted(os.getgroups()), wanted

    got, wanted = in_child(with_libc)
    assert wanted == {4, 33, 5001}
    assert got == [4, 33]
    error = refused(start, _drop)
    assert isinstance(error, PreflightError)
    assert "gid 5001 does not exist" in str(error)


@pytest.mark.parametrize("groups", [None, "init", "only", {"add": [4]}, {"exactly": [4, 27]}])
@pytest.mark.parametrize("group", [None, "adm", 4242])
def test_p15_the_gid_is_among_the_groups(groups: object, group: object) -> None:
    """CVE-2022-36109: where it is not, a program can lose it, and with it a "no" to the group."""
    held = dropped(as_root_often_starts, lambda: _drop(group=group, groups=groups))
    assert held.gids[0] in held.groups


def test_p15_a_no_to_the_group_stays_a_no_for_a_process_that_changes_its_gid(
    tmp_path: Path,
) -> None:
    """Mode 0604: everyone may read but group 33. The gid may go, the membership does not."""
    file = tmp_path / "secret"
    file.write_text("for everyone else")
    os.chown(file, 0, 33)
    file.chmod(0o604)
    descriptor = os.open(tmp_path, os.O_PATH)

    def read() -> None:
        as_root_often_starts()
        _drop(groups={"exactly": [4]}, capabilities=["CAP_SETGID"])
        os.setresgid(4, 4, 4)
        os.open("secret", os.O_RDONLY, dir_fd=descriptor)

    error = error_in_child(read)
    os.close(descriptor)
    assert isinstance(error, PermissionError)


def test_p16_the_database_is_never_enumerated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Getgrall over LDAP takes minutes: whoever calls it here is found."""

    def enumerate_all() -> NoReturn:
        raise AssertionError("the whole database was asked for")

    monkeypatch.setattr(grp, "getgrall", enumerate_all)
    monkeypatch.setattr(pwd, "getpwall", enumerate_all)
    assert dropped(as_root_often_starts, lambda: _drop(groups="init")).groups == {33}


@pytest.mark.needs("mount namespace")
def test_p16_a_very_long_group_line_is_read_to_its_end(tmp_path: Path) -> None:
    """The user is the last of 40,000 members, in a line of half a megabyte."""
    members = tmp_path / "group"
    crowd = ",".join(f"member{n}" for n in range(40_000))
    members.write_text(f"root:x:0:\nwww-data:x:33:\ncrowd:x:5001:{crowd},www-data\n")

    def start() -> None:
        raw.private_mounts()
        raw.bind(str(members), "/etc/group")
        as_root_often_starts()

    assert dropped(start, lambda: _drop(groups="init")).groups == {33, 5001}


def test_p17_as_many_groups_as_the_kernel_takes() -> None:
    """All of them arrive, and all of them are read back."""
    many = list(range(10_000, 10_000 + _NGROUPS_MAX - 1))
    held = dropped(as_root_often_starts, lambda: _drop(groups={"exactly": many}))
    assert held.groups == {33, *many}


def test_p17_one_group_too_many_is_refused_and_not_truncated() -> None:
    many = list(range(10_000, 10_000 + _NGROUPS_MAX))
    error = refused(as_root_often_starts, lambda: _drop(groups={"exactly": many}))
    assert isinstance(error, PreflightError)
    (reason,) = error.reasons
    assert reason.startswith(f"{_NGROUPS_MAX + 1} groups are asked for")


def _lose(*capabilities: str) -> None:
    as_root_often_starts()
    permitted, effective, inheritable = raw.capget()
    lost = raw.mask(capabilities)
    raw.capset(permitted & ~lost, effective & ~lost, inheritable)


@pytest.mark.parametrize("capability", ["CAP_SETGID", "CAP_SETUID"])
def test_p18_root_without_the_capability_is_told_so_before_anything(capability: str) -> None:
    """A container's root: uid 0 is not what decides."""
    error = refused(lambda: _lose(capability), _drop)
    assert isinstance(error, PreflightError)
    assert all(capability in reason for reason in error.reasons)
    assert len(error.reasons) == (2 if capability == "CAP_SETGID" else 1)


def test_p18_who_holds_the_capabilities_need_not_be_root() -> None:
    """A service that was given them drops like root does."""

    def start() -> None:
        held = raw.mask(["CAP_SETGID", "CAP_SETUID"])
        os.setgroups([4, 27])
        os.setresgid(5005, 5005, 5005)
        raw.set_keep_capabilities(True)
        os.setresuid(5005, 5005, 5005)
        raw.set_keep_capabilities(False)
        raw.capset(held, held)

    seen = dropped(start, _drop)
    assert (seen.uids, seen.gids, seen.groups) == ((33,) * 4, (33,) * 4, frozenset({33}))
    assert (seen.permitted, seen.effective) == (0, 0)


def test_p18_groups_come_before_the_uid_that_permits_them() -> None:
    """The other way round is EPERM for everyone, and then root's groups stay (cups#185)."""

    def wrong_way_round() -> None:
        as_root_often_starts()
        os.setresuid(33, 33, 33)
        os.setgroups([33])

    error = error_in_child(wrong_way_round)
    assert isinstance(error, PermissionError)
    assert dropped(as_root_often_starts, _drop).groups == {33}


@pytest.mark.parametrize("number", [errno.EPERM, errno.EINVAL, errno.ENOMEM])
def test_p19_an_error_from_setgroups_is_never_swallowed(number: int) -> None:
    """Celery and circus go on with root's groups."""

    def drop() -> tuple[str, str | None, tuple[int, int, int]]:
        as_root_often_starts()
        refuse(_SETGROUPS[os.uname().machine], number)
        try:
            _drop()
        except IncompleteDropError as error:
            return str(error), error.report.outcomes[0].error, os.getresuid()
        raise AssertionError("it went through")

    message, outcome, uids = in_child(drop)
    assert (
        f"step 1, groups: Set the supplementary groups to 33. {errno.errorcode[number]}" in message
    )
    assert outcome is not None
    assert outcome.startswith(errno.errorcode[number])
    assert uids == (33, 33, 33)


@pytest.mark.needs("user namespace")
def test_p19_a_namespace_that_forbids_setgroups_is_no_success() -> None:
    """``unshare -Ur``: the groups of the caller would stay."""

    def start() -> None:
        as_root_often_starts()
        raw.enter_user_namespace("0 0 100", "0 0 100", setgroups="deny")

    error = refused(start, _drop)
    assert isinstance(error, PreflightError)
    assert "this user namespace forbids setgroups" in str(error)
    assert "the groups 0 4 27 would stay" in str(error)


def test_the_report_of_a_drop_that_the_kernel_refused_tells_what_is_left() -> None:
    """Held from outside: no capability, no uid 0; the groups that could not go are there."""

    def drop() -> tuple[str, ...]:
        as_root_often_starts()
        refuse(_SETGROUPS[os.uname().machine])
        try:
            _drop()
        except IncompleteDropError as error:
            return error.report.surrendered
        raise AssertionError("it went through")

    with held_child(drop) as child:
        surrendered = child.value
    assert "setgroups: EPERM, Operation not permitted" in surrendered
    assert {"setresgid: done", "setresuid: done", "empty capability sets: done"} <= {*surrendered}
