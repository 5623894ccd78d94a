"""Profile to export, and back by a parser of the test's own: the same ids and rights."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from abdicate.errors import SpecError
from abdicate.export import FORMATS, Export, export
from abdicate.identity.accounts import Account, Group, StaticAccounts
from abdicate.identity.capabilities import Capability, CapabilitySets
from abdicate.identity.credentials import Credentials, ResGid, ResUid
from abdicate.identity.ids import Gid, Uid
from abdicate.specs.profile import Profile

_ACCOUNTS = StaticAccounts(
    users=[
        Account("web", Uid(500), Gid(501), "/srv/web", "/usr/sbin/nologin"),
        Account("a.b-c_$", Uid(4294967294), Gid(4294967294), "/h o/%m", "/bin/sh"),
    ],
    groups=[Group("web", Gid(501), ()), Group("extra", Gid(700), ("web",))],
)
_STARTER = Credentials(
    ResUid.all(Uid(0)), ResGid.all(Gid(0)), (Gid(0), Gid(4)), capabilities=CapabilitySets()
)
_NAMES = [str(capability) for capability in Capability]
_RESOURCES = ["nofile", "core", "nproc", "memlock", "stack", "fsize"]
_IDS = st.integers(1, 2**32 - 2).filter(lambda number: number != 65535)
_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0\n\r"), max_size=12)


@st.composite
def _limits(draw: st.DrawFn) -> dict[str, str]:
    found = {}
    for resource in draw(st.lists(st.sampled_from(_RESOURCES), unique=True, max_size=3)):
        hard = draw(st.none() | st.integers(0, 2**62))
        soft = draw(st.integers(0, 2**62 if hard is None else hard))
        found[resource] = f"{soft}:{'unlimited' if hard is None else hard}"
    return found


@st.composite
def _profiles(draw: st.DrawFn) -> Profile:
    kept = draw(st.lists(st.sampled_from(_NAMES), unique=True, max_size=4))
    drop: dict[str, object] = {
        "user": draw(st.sampled_from(["web", "a.b-c_$"]) | _IDS),
        "group": draw(st.sampled_from(["web", "extra"]) | _IDS),
        "groups": draw(
            st.sampled_from(["only", "keep"])
            | st.lists(_IDS, max_size=5).map(lambda groups: {"exactly": groups})
        ),
        "capabilities": kept,
        "ambient": bool(kept),
        "no_new_privs": draw(st.booleans()),
        "limits": draw(_limits()),
    }
    if draw(st.booleans()):
        more = draw(st.lists(st.sampled_from(_NAMES), max_size=4))
        drop["bounding"] = sorted({*kept, *more})
    if draw(st.booleans()):
        drop["umask"] = draw(st.integers(0, 0o777))
    if draw(st.booleans()):
        drop["working_directory"] = "/srv/" + draw(st.sampled_from(["a", "b c", "100%", "d$e"]))
    words = draw(st.lists(_TEXT, max_size=4))
    return Profile.model_validate({"name": "web", "drop": drop, "exec": ["/bin/echo", *words]})


class Back(dict[str, object]):
    """What a parser found: a field that its target has no place for is missing."""


def _numbers(kind: str) -> Callable[[str], int]:
    known = {"web": 500, "a.b-c_$": 4294967294} if kind == "user" else {}
    return lambda text: known[text] if text in known else int(text)


def _unquoted(line: str) -> list[str]:
    """Return the words of a systemd line: systemd.syntax(7), systemd.service(5)."""
    words, word, quoted, escaped = [], "", False, ""
    for char in line:
        if escaped:
            escaped += char
            if escaped[1] != "x" or len(escaped) == 4:
                word += chr(int(escaped[2:], 16)) if escaped[1] == "x" else escaped[1]
                escaped = ""
        elif char == "\\":
            escaped = char
        elif char == '"':
            quoted = not quoted
            if not quoted:
                words.append(word)
                word = ""
        elif quoted:
            word += char
    return [word.replace("%%", "%") for word in words]


def _systemd(text: str) -> Back:
    found: dict[str, list[str]] = {}
    for line in text.split("\n"):
        name, equals, value = line.partition("=")
        if equals:
            found.setdefault(name, []).append(value)
    back = Back(
        uid=_numbers("user")(found["User"][0]),
        gid=int(found["Group"][0]),
        groups=sorted({int(found["Group"][0]), *map(int, found.get("SupplementaryGroups", []))}),
        capabilities=found["AmbientCapabilities"][0].split(),
        no_new_privs=found["NoNewPrivileges"] == ["yes"],
        limits={
            name[5:].lower(): value[0].replace("infinity", "unlimited")
            for name, value in found.items()
            if name.startswith("Limit")
        },
        command=[
            word.replace("$$", "$") if place else word
            for place, word in enumerate(_unquoted(found["ExecStart"][0]))
        ],
    )
    if "CapabilityBoundingSet" in found:
        back["bounding"] = found["CapabilityBoundingSet"][0].split()
    if "UMask" in found:
        back["umask"] = int(found["UMask"][0], 8)
    if "WorkingDirectory" in found:
        back["working_directory"] = found["WorkingDirectory"][0].replace("%%", "%")
    return back


def _kubernetes(text: str) -> Back:
    spec = yaml.safe_load(text)["spec"]
    pod, (container,) = spec["securityContext"], spec["containers"]
    inside = container["securityContext"]
    back = Back(
        uid=pod["runAsUser"],
        gid=pod["runAsGroup"],
        groups=sorted({pod["runAsGroup"], *pod["supplementalGroups"]}),
        capabilities=["CAP_" + name for name in inside["capabilities"].get("add", [])],
        no_new_privs=not inside["allowPrivilegeEscalation"],
        command=[word.replace("$$", "$") for word in container["command"]],
    )
    assert inside["capabilities"]["drop"] == ["ALL"]
    back["bounding"] = back["capabilities"]
    if "workingDir" in container:
        back["working_directory"] = container["workingDir"]
    return back


def _oci(text: str) -> Back:
    process = json.loads(text)["process"]
    user, sets = process["user"], process["capabilities"]
    assert sets["effective"] == sets["permitted"] == sets["inheritable"] == sets["ambient"]
    back = Back(
        uid=user["uid"],
        gid=user["gid"],
        groups=sorted({user["gid"], *user["additionalGids"]}),
        capabilities=sets["ambient"],
        bounding=sets["bounding"],
        no_new_privs=process["noNewPrivileges"],
        limits={
            limit["type"].removeprefix("RLIMIT_").lower(): ":".join(
                "unlimited" if limit[half] == 2**64 - 1 else str(limit[half])
                for half in ("soft", "hard")
            )
            for limit in process["rlimits"]
        },
        command=process["args"],
        working_directory=process["cwd"],
    )
    if "umask" in user:
        back["umask"] = user["umask"]
    return back


def _docker(text: str) -> Back:
    words = shlex.split(text)
    here = words.index("IMAGE")
    flags: dict[str, list[str]] = {}
    for word in words[2:here]:
        name, _, value = word.partition("=")
        flags.setdefault(name, []).append(value)
    uid, _, gid = flags["--user"][0].partition(":")
    back = Back(
        uid=int(uid),
        gid=int(gid),
        groups=sorted({int(gid), *map(int, flags.get("--group-add", []))}),
        capabilities=flags.get("--cap-add", []),
        no_new_privs=flags.get("--security-opt") == ["no-new-privileges"],
        limits={
            name: value.replace("-1", "unlimited")
            for name, _, value in (limit.partition("=") for limit in flags.get("--ulimit", []))
        },
        command=words[here + 1 :],
    )
    assert flags["--cap-drop"] == ["ALL"]
    back["bounding"] = back["capabilities"]
    if "--umask" in flags:
        back["umask"] = int(flags["--umask"][0], 8)
    if "--workdir" in flags:
        back["working_directory"] = flags["--workdir"][0]
    return back


def _setpriv(text: str) -> Back:
    words = shlex.split(text)
    here = words.index("setpriv")
    limits = dict(word.removeprefix("--").split("=") for word in words[1:here])
    end = words.index("--", here)
    flags = dict(word.partition("=")[::2] for word in words[here + 1 : end])
    rest = words[end + 1 :]
    if rest[0] == "env":
        rest = rest[1:]
        while "=" in rest[0] and not rest[0].startswith("/"):
            rest = rest[1:]
    back = Back(uid=int(flags["--reuid"]), gid=int(flags["--regid"]), limits=limits)
    if rest[0] == "sh":
        for part in rest[2].split(" && ")[:-1]:
            word, value = shlex.split(part)
            if word == "umask":
                back["umask"] = int(value, 8)
            else:
                back["working_directory"] = value
        rest = rest[4:]
    groups = flags.get("--groups", "")
    back.update(
        groups=sorted(map(int, groups.split(","))) if groups else [],
        capabilities=_listed(flags["--inh-caps"]),
        no_new_privs="--no-new-privs" in flags,
        command=rest,
        **({"bounding": _listed(flags["--bounding-set"])} if "--bounding-set" in flags else {}),
    )
    return back


def _listed(changes: str) -> list[str]:
    none, *added = changes.split(",")
    assert none == "-all"
    return ["CAP_" + name.removeprefix("+").upper() for name in added]


_READERS = {
    "systemd": _systemd,
    "kubernetes": _kubernetes,
    "oci": _oci,
    "docker": _docker,
    "podman": _docker,
    "setpriv": _setpriv,
}


@pytest.mark.parametrize("target", FORMATS)
@settings(max_examples=500, suppress_health_check=[HealthCheck.too_slow])
@given(profile=_profiles())
def test_what_was_written_is_read_back(target: str, profile: Profile) -> None:
    """Each field is the same, or its loss is a warning by its name."""
    if target == "docker" and _has_an_id_above(2**31 - 1, profile):
        with pytest.raises(SpecError, match="Docker takes ids up to 2147483647"):
            export(profile.service(_ACCOUNTS), "docker", _ACCOUNTS, _STARTER)
        return
    made = export(profile.service(_ACCOUNTS), target, _ACCOUNTS, _STARTER)  # type: ignore[arg-type]  # one of FORMATS
    back = _READERS[target](made.text)
    drop = profile.drop.request()
    identity = profile.drop.resolve(_ACCOUNTS) if drop.owner.user is not None else None
    assert identity is not None
    policy = drop.policy
    asked: dict[str, object] = {
        "uid": int(identity.uid),
        "gid": int(identity.gid),
        "capabilities": list((policy.capabilities or CapabilitySets().ambient).names()),
        "no_new_privs": policy.no_new_privs,
        "limits": {limit.resource: str(limit) for limit in policy.limits},
        "command": list(profile.exec),
    }
    if profile.drop.groups != "keep":
        asked["groups"] = sorted({int(identity.gid), *map(int, identity.groups)})
    if policy.bounding is not None:
        asked["bounding"] = list(policy.bounding.names())
    if policy.umask is not None:
        asked["umask"] = policy.umask
    if policy.working_directory is not None:
        asked["working_directory"] = policy.working_directory
    for field, value in asked.items():
        if back.get(field) != value and not (field == "limits" and not value):
            assert _warned(made, field), (field, value, back.get(field), made)


def _has_an_id_above(highest: int, profile: Profile) -> bool:
    identity = profile.drop.resolve(_ACCOUNTS)
    return max(identity.uid, identity.gid, *identity.groups) > highest


def _warned(made: Export, field: str) -> bool:
    return any(warning.startswith(f"{field}: ") for warning in made.warnings)
