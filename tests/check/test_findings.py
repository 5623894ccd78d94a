"""Each rule fires on what it is about, and not on what stands next to it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from abdicate.auditing.files import Files
from abdicate.auditing.findings import RULES
from abdicate.auditing.lint import Surroundings, lint
from abdicate.identity.accounts import Account, Group, StaticAccounts
from abdicate.identity.capabilities import CapabilitySets
from abdicate.identity.credentials import Credentials, ResGid, ResUid
from abdicate.identity.ids import Gid, Uid
from abdicate.specs.profile import Profile


class _Status:
    """A file as stat(2) would show it."""

    def __init__(self, mode: int, uid: int = 0, gid: int = 0) -> None:
        self.st_mode = mode
        self.st_uid = uid
        self.st_gid = gid


class _Tree(Files):
    """Files that are in the test alone; root's directories lie above them."""

    def __init__(self, files: dict[str, _Status]) -> None:
        super().__init__()
        self._files = {"/": _DIRECTORY, "/srv": _DIRECTORY, "/run": _DIRECTORY} | files

    def _look(self, path: str) -> _Status | None:
        return self._files.get(path)


_DIRECTORY = _Status(stat.S_IFDIR | 0o755)
_PROGRAM = _Status(stat.S_IFREG | 0o755)
_WEB = Account("web", Uid(500), Gid(500), "/srv/home", "/usr/sbin/nologin")
_ACCOUNTS = StaticAccounts(
    users=[
        _WEB,
        Account("root", Uid(0), Gid(0), "/root", "/bin/bash"),
        Account("nobody", Uid(65534), Gid(65534), "/nonexistent", "/usr/sbin/nologin"),
        Account("person", Uid(1000), Gid(1000), "/srv/home", "/bin/bash"),
        Account("builder", Uid(501), Gid(501), "/srv/home", "/bin/false"),
    ],
    groups=[
        Group("web", Gid(500), ()),
        Group("docker", Gid(900), ("builder",)),
        Group("harmless", Gid(901), ("web",)),
    ],
)
_STARTER = Credentials(
    ResUid.all(Uid(0)), ResGid.all(Gid(0)), (Gid(0),), capabilities=CapabilitySets()
)
_CLEAN: dict[str, object] = {"drop": {"user": "web", "no_new_privs": True, "umask": "0027"}}


def _codes(
    fields: dict[str, object],
    files: dict[str, _Status] | None = None,
    subordinate: tuple[tuple[int, int, str], ...] = (),
) -> list[str]:
    """Return the codes that are found for the clean profile with these fields changed."""
    whole = _CLEAN | fields
    if isinstance(fields.get("drop"), dict):
        clean, changed = _CLEAN["drop"], fields["drop"]
        assert isinstance(clean, dict)
        assert isinstance(changed, dict)
        whole["drop"] = clean | changed
    profile = Profile.model_validate({"name": "web", **whole})
    around = Surroundings(_ACCOUNTS, _STARTER, _Tree(files or {}), subordinate)
    return [finding.code for finding in lint(profile.service(_ACCOUNTS), around)]


def test_a_clean_profile_has_no_finding() -> None:
    """The neighbour of all that follow."""
    assert _codes({}) == []


_OWN = _Status(stat.S_IFDIR | 0o755, uid=500)
_OPEN = _Status(stat.S_IFDIR | 0o1777)
_CAP = {"capabilities": ["CAP_SYS_ADMIN"], "ambient": True}
_CASES: list[tuple[str, dict[str, object], dict[str, _Status]]] = [
    ("ABD101", {"drop": {"user": "root", "allow_root": True}}, {}),
    ("ABD102", {"drop": {"group": 0, "allow_root_group": True}}, {}),
    ("ABD103", {"drop": {"groups": "keep"}}, {}),
    ("ABD104", {"drop": {"user": "builder"}}, {}),
    ("ABD104", {"drop": {"groups": {"add": [900]}}}, {}),
    ("ABD105", {"drop": {"user": "nobody"}}, {}),
    ("ABD106", {"drop": {"user": "nosuchuser"}}, {}),
    ("ABD106", {"drop": {"group": "nosuchgroup"}}, {}),
    ("ABD107", {"drop": {"user": 7777, "group": 7777}}, {}),
    ("ABD109", {"drop": {"user": "person"}}, {}),
    ("ABD201", {"pidfile": {"path": "/run/web.pid", "owner": "web"}}, {}),
    ("ABD202", {"pidfile": "/run/web.pid"}, {"/run": _OWN}),
    ("ABD202", {"pidfile": "/run/web.pid"}, {"/run": _OPEN}),
    ("ABD203", {"daemon": {"logfile": "/srv/web.log"}}, {"/srv": _OWN}),
    ("ABD204", {}, {"/srv/home": _Status(stat.S_IFDIR | 0o777)}),
    ("ABD205", {"exec": ["/srv/web"]}, {"/srv/web": _Status(stat.S_IFREG | 0o755, uid=500)}),
    ("ABD205", {"exec": ["/srv/web"]}, {"/srv/web": _PROGRAM, "/srv": _OWN}),
    ("ABD206", {"exec": ["/srv/web"]}, {}),
    ("ABD301", {"drop": _CAP}, {}),
    ("ABD302", {"drop": {"no_new_privs": False}}, {}),
    ("ABD303", {"drop": {"umask": "0"}}, {}),
    ("ABD401", {"drop": {"chroot": "/srv"}, "pidfile": "/run/web.pid"}, {}),
    ("ABD402", {"drop": {"chroot": "/srv"}}, {"/srv": _OWN}),
    ("ABD901", {"ignore": {"ABD105": "it was nobody once"}}, {}),
    ("ABD902", {"ignore": {"ABD000": "there never was one"}}, {}),
]
_NEIGHBOURS: list[tuple[dict[str, object], dict[str, _Status]]] = [
    ({"drop": {"groups": {"add": ["harmless"]}}}, {}),
    ({"pidfile": "/run/web.pid"}, {}),
    # Under the sticky bit another user's file can't be replaced, unlink(2).
    ({"pidfile": "/run/web.pid"}, {"/run": _OPEN, "/run/web.pid": _Status(stat.S_IFREG | 0o644)}),
    ({"daemon": {"logfile": "/srv/web.log"}}, {}),
    ({}, {"/srv/home": _OWN}),
    ({"exec": ["/srv/web"]}, {"/srv/web": _PROGRAM}),
    ({"drop": {"capabilities": ["CAP_NET_BIND_SERVICE"], "ambient": True}}, {}),
    ({"drop": {"chroot": "/srv"}}, {}),
]


@pytest.mark.parametrize(("code", "fields", "files"), _CASES)
def test_the_rule_fires(code: str, fields: dict[str, object], files: dict[str, _Status]) -> None:
    """And no other one does."""
    assert _codes(fields, files) == [code]


@pytest.mark.parametrize(("fields", "files"), _NEIGHBOURS)
def test_the_neighbour_is_left_alone(fields: dict[str, object], files: dict[str, _Status]) -> None:
    """What looks alike, and is right."""
    assert _codes(fields, files) == []


def test_a_group_that_equals_root_is_found_where_the_others_are_kept() -> None:
    """What is named is judged, though what is kept cannot be."""
    assert _codes({"drop": {"group": "docker", "groups": "keep"}}) == ["ABD103", "ABD104"]


def test_a_uid_of_somebodys_containers_is_found() -> None:
    """subuid(5): who has the range is root over it in a user namespace of his."""
    assert _codes({}, subordinate=((400, 200, "person"),)) == ["ABD108"]
    assert _codes({}, subordinate=((400, 100, "person"), (400, 200, "web"))) == []


def test_every_rule_has_a_case() -> None:
    """No rule that can't fire."""
    assert {code for code, _, _ in _CASES} | {"ABD108"} == set(RULES)


def test_an_accepted_finding_is_silent() -> None:
    """With its reason, in the profile."""
    assert _codes({"drop": {"user": "nobody"}, "ignore": {"ABD105": "a sandbox"}}) == []


def test_a_finding_is_not_accepted_without_a_reason() -> None:
    """Blank is no reason."""
    with pytest.raises(ValueError, match="a reason is wanted"):
        _codes({"ignore": {"ABD105": " "}})


def test_there_is_a_page_for_each_code_and_for_no_other() -> None:
    """The index lists them all with their severity."""
    folder = Path(__file__).parents[2] / "docs" / "findings"
    assert {page.stem for page in folder.glob("ABD*.md")} == set(RULES)
    index = (folder / "index.md").read_text(encoding="utf-8")
    for rule in RULES.values():
        assert f"| [{rule.code}]({rule.code}.md) | {rule.severity} | {rule.title} |" in index
        page = (folder / f"{rule.code}.md").read_text(encoding="utf-8")
        assert page.startswith(f"# {rule.code}: {rule.title}\n")
