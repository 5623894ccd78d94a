"""The account database: asked once, never enumerated, and the same through either adapter."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
import sys
import types
from collections import Counter
from collections.abc import Callable

import pytest

from abdicate.identity.accounts import (
    Account,
    AccountDatabase,
    Group,
    StaticAccounts,
    SystemAccounts,
)
from abdicate.identity.ids import Gid, GroupName, Uid, UserName
from harness.child import in_child
from unit.making import gids

_ZOE = Account("zoe", Uid(1000), Gid(1000), "/home/zoe", "/bin/zsh")
_ALIAS = Account("alias", Uid(1000), Gid(27))
_GROUPS = (
    Group("zoe", Gid(1000)),
    Group("adm", Gid(4), ("syslog", "zoe")),
    Group("admin", Gid(4), ("alias",)),
    Group("web", Gid(33), ("zoe", "www-data")),
)


def _static() -> StaticAccounts:
    return StaticAccounts((_ZOE, _ALIAS), _GROUPS)


def _somebody() -> pwd.struct_passwd:
    """Return an account that every machine has."""
    return pwd.getpwuid(0)


def test_both_adapters_are_account_databases() -> None:
    """For the type checker, which reads these assignments; and for callers, who ask both alike."""
    databases: list[AccountDatabase] = [SystemAccounts(), StaticAccounts()]
    for database in databases:
        assert database.user_by_name(UserName("no-such-user.")) is None
        assert database.user_by_uid(Uid(2**32 - 2)) is None
        assert database.group_by_name(GroupName("no-such-group.")) is None
        assert database.group_by_gid(Gid(2**32 - 2)) is None


class TestSystemAccounts:
    """The system's own."""

    def test_a_user_is_found_by_name_and_by_uid(self) -> None:
        """As pwd has it."""
        entry = _somebody()
        accounts = SystemAccounts()
        account = accounts.user_by_name(UserName(entry.pw_name))
        assert account == Account(
            entry.pw_name, Uid(entry.pw_uid), Gid(entry.pw_gid), entry.pw_dir, entry.pw_shell
        )
        assert accounts.user_by_uid(Uid(0)) == account
        assert account is not None
        assert (type(account.uid), type(account.gid)) == (Uid, Gid)

    def test_a_group_is_found_by_name_and_by_gid(self) -> None:
        """As grp has it."""
        entry = grp.getgrgid(0)
        accounts = SystemAccounts()
        group = accounts.group_by_gid(Gid(0))
        assert group == Group(entry.gr_name, Gid(0), tuple(entry.gr_mem))
        assert accounts.group_by_name(GroupName(entry.gr_name)) == group

    @pytest.mark.parametrize("name", ["root", "nobody", "daemon", "bin"])
    def test_the_groups_of_a_user_are_those_of_id(self, name: str) -> None:
        """P16: getgrouplist, which id(1) asks too."""
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            pytest.skip(f"there is no {name} here")
        told = subprocess.run(["id", "-G", name], capture_output=True, text=True, check=True)
        found = SystemAccounts().groups_of(name, Gid(entry.pw_gid))
        assert list(found) == sorted(map(int, told.stdout.split()))

    def test_the_given_gid_is_among_the_groups(self) -> None:
        """P15: whether or not the database has it."""
        found = SystemAccounts().groups_of(_somebody().pw_name, Gid(987654))
        assert Gid(987654) in found
        assert list(found) == sorted(set(found))
        assert SystemAccounts().groups_of("no-such-user.", Gid(5)) == (5,)

    def test_an_empty_home_and_shell_are_those_of_the_manual(self) -> None:
        """passwd(5): an empty shell is /bin/sh."""

        def ask() -> Account | None:
            entry = ("zoe", "x", 1000, 1000, "", "", "")
            _stand_in("pwd", getpwnam=lambda name: pwd.struct_passwd(entry))
            return SystemAccounts().user_by_name(UserName("zoe"))

        assert in_child(ask) == Account("zoe", Uid(1000), Gid(1000), "/", "/bin/sh")

    def test_each_question_is_asked_once(self) -> None:
        """Ten thousand profiles that name one user cost one look-up; "no such user" counts too."""

        def ask() -> dict[tuple[str, object], int]:
            asked: Counter[tuple[str, object]] = Counter()
            _count(asked)
            accounts = SystemAccounts()
            for _ in range(100):
                for user in ("root", "no-such-user."):
                    accounts.user_by_name(UserName(user))
                    accounts.group_by_name(GroupName(user))
                for number in (0, 2**32 - 2):
                    accounts.user_by_uid(Uid(number))
                    accounts.group_by_gid(Gid(number))
                accounts.groups_of("root", Gid(0))
                accounts.groups_of("root", Gid(5))
            return dict(asked)

        assert in_child(ask) == {
            ("getpwnam", "root"): 1,
            ("getpwnam", "no-such-user."): 1,
            ("getgrnam", "root"): 1,
            ("getgrnam", "no-such-user."): 1,
            ("getpwuid", 0): 1,
            ("getpwuid", 2**32 - 2): 1,
            ("getgrgid", 0): 1,
            ("getgrgid", 2**32 - 2): 1,
            ("getgrouplist", ("root", 0)): 1,
            ("getgrouplist", ("root", 5)): 1,
        }

    def test_each_instance_asks_for_itself(self) -> None:
        """A long-running program sees a new account by making a new one."""

        def ask() -> int:
            asked: Counter[tuple[str, object]] = Counter()
            _count(asked)
            for _ in range(3):
                SystemAccounts().user_by_name(UserName("root"))
            return asked["getpwnam", "root"]

        assert in_child(ask) == 3

    def test_the_database_is_never_enumerated(self) -> None:
        """P16: getgrall over LDAP takes minutes. A whole plan is made where it can't be called."""

        def make_a_plan() -> int:
            def refuse() -> None:
                raise AssertionError("the database is enumerated")

            for module in (pwd, grp):
                for call in ("getpwall", "getgrall"):
                    if hasattr(module, call):
                        setattr(module, call, refuse)
            # After the names have been replaced, so that none is bound to the real ones.
            from abdicate import PrivilegeDrop

            drop = PrivilegeDrop.model_validate(
                {"user": "root", "group": "root", "groups": {"add": ["root"]}, "allow_root": True}
            )
            return drop.plan().identity.uid

        assert in_child(make_a_plan) == 0


def _stand_in(module: str, **calls: Callable[..., object]) -> None:
    """In a child: have ``import pwd`` give a module with these calls and no others."""
    replacement = types.ModuleType(module)
    vars(replacement).update(calls)
    sys.modules[module] = replacement


def _count(asked: Counter[tuple[str, object]]) -> None:
    """In a child: count every question that reaches the system's database."""

    def counting(call: str, real: Callable[..., object]) -> Callable[..., object]:
        def ask(*key: object) -> object:
            asked[call, key[0] if len(key) == 1 else key] += 1
            return real(*key)

        return ask

    _stand_in(
        "pwd", **{name: counting(name, getattr(pwd, name)) for name in ("getpwnam", "getpwuid")}
    )
    _stand_in(
        "grp", **{name: counting(name, getattr(grp, name)) for name in ("getgrnam", "getgrgid")}
    )
    os.getgrouplist = counting("getgrouplist", os.getgrouplist)  # type: ignore[assignment]  # a spy


class TestStaticAccounts:
    """A fixed database."""

    def test_a_user_is_found_by_name_and_by_uid(self) -> None:
        """Of two names with one uid, the first is that uid's."""
        accounts = _static()
        assert accounts.user_by_name(UserName("zoe")) == _ZOE
        assert accounts.user_by_name(UserName("alias")) == _ALIAS
        assert accounts.user_by_uid(Uid(1000)) == _ZOE
        assert accounts.user_by_name(UserName("ZOE")) is None
        assert accounts.user_by_uid(Uid(0)) is None

    def test_a_group_is_found_by_name_and_by_gid(self) -> None:
        """Of two names with one gid, the first is that gid's."""
        accounts = _static()
        assert accounts.group_by_name(GroupName("admin")) == _GROUPS[2]
        assert accounts.group_by_gid(Gid(4)) == _GROUPS[1]
        assert accounts.group_by_name(GroupName("root")) is None
        assert accounts.group_by_gid(Gid(0)) is None

    @pytest.mark.parametrize(
        ("user", "gid", "groups"),
        [
            ("zoe", 1000, gids(4, 33, 1000)),
            ("zoe", 0, gids(0, 4, 33)),
            ("alias", 27, gids(4, 27)),
            ("nobody", 65534, gids(65534)),
        ],
    )
    def test_the_groups_of_a_user(self, user: str, gid: int, groups: tuple[Gid, ...]) -> None:
        """Where the user is a member, and the given gid; each once, ascending."""
        assert _static().groups_of(user, Gid(gid)) == groups

    def test_it_may_be_made_from_any_iterable(self) -> None:
        """And asked more than once."""
        accounts = StaticAccounts((each for each in (_ZOE,)), (each for each in _GROUPS))
        for _ in range(2):
            assert accounts.user_by_name(UserName("zoe")) == _ZOE
            assert accounts.groups_of("zoe", Gid(1000)) == gids(4, 33, 1000)
