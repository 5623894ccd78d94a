"""The drops that the tests make: each as the library takes it and as the command line takes it.

Accounts are the ones that every Debian has: www-data is 33:33, adm is group 4, sudo group 27.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

__all__ = [
    "BESIDES",
    "DEFAULT",
    "FULL",
    "POLICIES",
    "SPELLINGS",
    "START_GROUPS",
    "WITHOUT_ENTRY",
    "Case",
    "as_root_often_starts",
    "combined",
    "in_root",
]

START_GROUPS = (0, 4, 27)


def as_root_often_starts() -> None:
    """Be uid 0 with the groups that a login shell on Debian would have given it."""
    os.setgroups(START_GROUPS)


@dataclass(frozen=True)
class Case:
    """One drop: what `PrivilegeDrop.model_validate` takes, and the words that ask for the same."""

    value: object
    words: tuple[str, ...]

    def besides(self, other: Case) -> Case:
        """Return the case that asks for both; both are mappings."""
        assert isinstance(self.value, dict)
        assert isinstance(other.value, dict)
        return Case({**self.value, **other.value}, (*self.words, *other.words))


DEFAULT = "default"

#: Every group policy.
POLICIES = {
    DEFAULT: Case({}, ()),
    "init": Case({"groups": "init"}, ("--groups", "init")),
    "only": Case({"groups": "only"}, ("--groups", "only")),
    "exactly": Case({"groups": {"exactly": [4, "sudo"]}}, ("--groups", "exactly:4,sudo")),
    "exactly-none": Case({"groups": {"exactly": []}}, ("--groups", "exactly:")),
    "add": Case({"groups": {"add": ["27", 100]}}, ("--groups", "add:27,100")),
    "keep": Case(
        {"groups": "keep", "allow_root_group": True}, ("--groups", "keep", "--allow-root-group")
    ),
}


def _user(text: str) -> Case:
    return Case({"user": text}, ("--user", text))


#: Every spelling of a target with an entry in the database.
SPELLINGS = {
    "name": _user("www-data"),
    "uid": Case({"user": 33}, ("--user", "33")),
    "digits": _user("33"),
    "user:group": _user("www-data:adm"),
    "user:gid": _user("www-data:4"),
    "uid:group": _user("33:adm"),
    "uid:gid": _user("33:4"),
    "user:": _user("www-data:"),
    "user+group": Case(
        {"user": "www-data", "group": "adm"}, ("--user", "www-data", "--group", "adm")
    ),
    "user+gid": Case({"user": "33", "group": 4}, ("--user", "33", "--group", "4")),
    ":group": Case({"user": ":adm", "allow_root": True}, ("--user", ":adm", "--allow-root")),
    ":gid": Case({"user": ":4", "allow_root": True}, ("--user", ":4", "--allow-root")),
    "group": Case({"group": "adm", "allow_root": True}, ("--group", "adm", "--allow-root")),
    "root": Case({"user": "root", "allow_root": True}, ("--user", "root", "--allow-root")),
    "user:root": Case(
        {"user": "www-data:root", "allow_root_group": True},
        ("--user", "www-data:root", "--allow-root-group"),
    ),
}

#: Targets that nobody has entered in the database: they need a group, and have no ``init``.
WITHOUT_ENTRY = {
    "uid:gid": _user("4242:4242"),
    "uid:group": _user("4242:adm"),
    "uid+gid": Case({"user": 4242, "group": 4242}, ("--user", "4242", "--group", "4242")),
    "the last id": _user("4294967294:4294967294"),
    "the 16-bit minus one": _user("65535:65535"),
}


def combined() -> dict[str, Case]:
    """Return every spelling with every policy, and every bare text and number."""
    cases = {
        f"{spelling}-{policy}": who.besides(how)
        for spelling, who in SPELLINGS.items()
        for policy, how in POLICIES.items()
    }
    cases |= {
        f"{spelling}-{policy}": who.besides(how)
        for spelling, who in WITHOUT_ENTRY.items()
        for policy, how in POLICIES.items()
        if policy != "init"
    }
    # Not a mapping, but the text or the number itself.
    for text in ("www-data", "33", "www-data:adm", "www-data:4", "33:4", "www-data:", "4242:4242"):
        cases[f"bare {text}"] = Case(text, ("--user", text))
    cases["bare number"] = Case(33, ("--user", "33"))
    return cases


#: What a drop may do besides. "{root}" is a directory that can be a root directory.
BESIDES = {
    "no_new_privs": Case({"no_new_privs": True}, ("--no-new-privs",)),
    "keep capabilities": Case(
        {"capabilities": ["CAP_NET_BIND_SERVICE", "kill"]},
        ("--keep-capabilities", "CAP_NET_BIND_SERVICE,kill"),
    ),
    "ambient": Case(
        {"capabilities": ["CAP_NET_BIND_SERVICE"], "ambient": True},
        ("--keep-capabilities", "net_bind_service", "--ambient"),
    ),
    "ambient set-id": Case(
        {"capabilities": ["CAP_SETUID", "CAP_SETGID"], "ambient": True},
        ("--keep-capabilities", "setuid,setgid", "--ambient"),
    ),
    "bounding": Case({"bounding": ["CAP_CHOWN", "CAP_KILL"]}, ("--bounding", "CAP_CHOWN,CAP_KILL")),
    "no bounding": Case({"bounding": []}, ("--bounding", "")),
    "securebits": Case({"lock_securebits": True}, ("--lock-securebits",)),
    "securebits and ambient": Case(
        {
            "lock_securebits": True,
            "capabilities": ["CAP_CHOWN"],
            "ambient": True,
            "bounding": ["CAP_CHOWN"],
        },
        (
            *("--lock-securebits", "--keep-capabilities", "chown", "--ambient"),
            *("--bounding", "chown"),
        ),
    ),
    "umask": Case({"umask": "0077"}, ("--umask", "0077")),
    "nice": Case({"nice": 7}, ("--nice", "7")),
    "limits": Case(
        {"limits": {"nofile": "512:1024", "core": 0}},
        ("--limit", "nofile=512:1024", "--limit", "core=0"),
    ),
    "dumpable": Case({"dumpable": True}, ("--dumpable",)),
    "not dumpable": Case({"dumpable": False}, ("--no-dumpable",)),
    "parent-death signal": Case({"parent_death_signal": "TERM"}, ("--parent-death-signal", "TERM")),
    "keyring": Case({"session_keyring": True}, ("--new-session-keyring",)),
    "working directory": Case({"working_directory": "/usr"}, ("--chdir", "/usr")),
    "root directory": Case({"chroot": "{root}"}, ("--chroot", "{root}")),
    "root and working directory": Case(
        {"chroot": "{root}", "working_directory": "/inner"},
        ("--chroot", "{root}", "--chdir", "/inner"),
    ),
    "environment kept": Case({"environment": "keep"}, ("--keep-env",)),
    "environment reset": Case({"environment": "reset"}, ("--reset-env",)),
    "home": Case({"home": "/srv"}, ("--home", "/srv")),
}


#: Everything at once: every kind of step, some of them twice.
FULL = Case({"user": "www-data"}, ("--user", "www-data"))
for _name in (
    "no_new_privs",
    "securebits and ambient",
    "umask",
    "nice",
    "limits",
    "dumpable",
    "parent-death signal",
    "keyring",
    "root and working directory",
    "environment reset",
):
    FULL = FULL.besides(BESIDES[_name])


def in_root(case: Case, root: str) -> Case:
    """Return the case with *root* as its root directory."""
    assert isinstance(case.value, dict)
    value = {k: root if v == "{root}" else v for k, v in case.value.items()}
    return Case(value, tuple(root if word == "{root}" else word for word in case.words))
