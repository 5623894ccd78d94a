"""The command: what it prints, in which form, and its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from abdicate.auditing.lint import Surroundings, lint
from abdicate.identity.accounts import Account, AccountDatabase, Group, SystemAccounts
from abdicate.identity.cached import CachedAccounts
from abdicate.identity.credentials import Credentials
from abdicate.identity.ids import Gid, GroupName, Uid, UserName
from abdicate.specs.config import load_config
from cli.program import abdicate

_GOOD = '[profiles.web]\ndrop = { user = "1234567:1234567", no_new_privs = true }\n'
_BAD = '[profiles.web]\ndrop = { user = "nobody", no_new_privs = true }\n'


def _written(folder: Path, text: str, name: str = "abdicate.toml") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_finding_has_its_place_code_and_severity(tmp_path: Path) -> None:
    """In the form that editors jump to; exit status 1."""
    path = _written(tmp_path, _BAD)
    ran = abdicate("check", path)
    assert ran.returncode == 1
    assert ran.stdout.decode().startswith(f"{path}:2: ABD105 warning: web.drop.user: nobody ")
    assert ran.stderr == b""


def test_information_alone_is_no_failure(tmp_path: Path) -> None:
    """A uid without an entry may well be meant."""
    ran = abdicate("check", _written(tmp_path, _GOOD))
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert b"ABD107 info" in ran.stdout


def test_several_files_are_all_judged(tmp_path: Path) -> None:
    """An error in one does not hide the findings of the other."""
    broken = _written(tmp_path, "x = =\n", "broken.toml")
    ran = abdicate("check", broken, _written(tmp_path, _BAD), str(tmp_path / "missing.toml"))
    assert ran.returncode == 1
    assert b"ABD105" in ran.stdout
    errors = ran.stderr.decode().splitlines()
    assert len(errors) == 2
    assert f"{broken}:1: TOML: " in errors[0]
    assert "No such file" in errors[1]


def test_json_has_a_version_and_everything(tmp_path: Path) -> None:
    """Errors and findings both, with file and line."""
    path = _written(tmp_path, _BAD)
    data = json.loads(
        abdicate("check", "--json", path, _written(tmp_path, "x = =\n", "b.toml")).stdout
    )
    assert data["version"] == 1
    (finding,) = data["findings"]
    assert finding["file"] == path
    assert (finding["line"], finding["code"], finding["profile"]) == (2, "ABD105", "web")
    (error,) = data["errors"]
    assert error["line"] == 1


def test_sarif_names_every_rule_and_points_at_the_line(tmp_path: Path) -> None:
    """OASIS SARIF 2.1.0: what code review tools ask for."""
    path = _written(tmp_path, _BAD)
    log = json.loads(abdicate("check", "--sarif", path).stdout)
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    (result,) = run["results"]
    assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == "ABD105"
    assert result["level"] == "warning"
    (location,) = result["locations"]
    assert location["physicalLocation"]["artifactLocation"]["uri"] == path
    assert location["physicalLocation"]["region"]["startLine"] == 2


def test_a_code_can_be_left_out(tmp_path: Path) -> None:
    """On the command line, for all profiles."""
    ran = abdicate("check", "--ignore", "ABD105", _written(tmp_path, _BAD))
    assert (ran.returncode, ran.stdout) == (0, b"")


@pytest.mark.parametrize("words", [(), ("--ignore", "ABD1", "x.toml"), ("--json", "--sarif", "x")])
def test_wrong_usage_is_2(words: tuple[str, ...]) -> None:
    """As everywhere but in run and daemon."""
    ran = abdicate("check", *words)
    assert (ran.returncode, ran.stdout) == (2, b"")


class _Counting:
    """An account database of 100,000 lines that counts what it is asked."""

    def __init__(self, lines: int) -> None:
        text = "\n".join(f"user{n}:x:{n + 1000}:{n + 1000}::/:/sbin/nologin" for n in range(lines))
        self._users = {}
        for line in text.splitlines():
            name, _, uid, gid, _, home, shell = line.split(":")
            self._users[name] = Account(name, Uid(int(uid)), Gid(int(gid)), home, shell)
        self.asked = 0

    def user_by_name(self, name: UserName) -> Account | None:
        self.asked += 1
        return self._users.get(name)

    def user_by_uid(self, uid: Uid) -> Account | None:
        raise AssertionError("no profile names a uid")

    def group_by_name(self, name: GroupName) -> Group | None:
        return None

    def group_by_gid(self, gid: Gid) -> Group | None:
        return None

    def groups_of(self, user: str, gid: Gid) -> tuple[Gid, ...]:
        return (gid,)


def test_each_account_is_looked_up_once_however_many_profiles_name_it(tmp_path: Path) -> None:
    """10,000 profiles, 50 accounts, a database of 100,000: 50 look-ups."""
    profiles = {
        f"p{n}": {"drop": {"user": f"user{n % 50 * 1999}", "no_new_privs": True}}
        for n in range(10_000)
    }
    path = _written(tmp_path, json.dumps({"profiles": profiles}), "many.json")
    database: AccountDatabase = _Counting(100_000)
    assert isinstance(database, _Counting)
    around = Surroundings(CachedAccounts(database), Credentials.current())
    found = [
        finding
        for profile in load_config(path, environ={}).profiles.values()
        for finding in lint(profile.service(around.accounts), around)
    ]
    assert found == []
    assert database.asked == 50


def test_remembered_answers_are_those_of_the_database() -> None:
    """That there is none is an answer too."""
    real = SystemAccounts()
    cached = CachedAccounts(real)
    for _ in range(2):
        assert cached.user_by_name(UserName("root")) == real.user_by_name(UserName("root"))
        assert cached.user_by_uid(Uid(4000000000)) is None
        assert cached.group_by_gid(Gid(0)) == real.group_by_gid(Gid(0))
        assert cached.group_by_name(GroupName("no-such-group")) is None
        assert cached.groups_of("root", Gid(0)) == real.groups_of("root", Gid(0))
