"""`load_config`: the profiles of a TOML, JSON or YAML file, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Mapping

from pydantic import Field, PrivateAttr, ValidationError

from abdicate.errors import ConfigError, ConfigProblem, shown
from abdicate.specs.base import Spec
from abdicate.specs.daemon import DaemonSettings
from abdicate.specs.drop import PrivilegeDrop
from abdicate.specs.inherit import Flaw, Table, inherited, overridden
from abdicate.specs.pidfile import PidfileSpec
from abdicate.specs.profile import Profile
from abdicate.specs.reading import Lines, read_config_file
from abdicate.values import is_table

__all__ = ["CONFIG_VERSION", "Config", "load_config"]

#: The version of the format. It goes up when a reader of the old one would misread the new.
CONFIG_VERSION = 1

_MODELS: dict[str, type[Spec]] = {
    "": Profile,
    "drop": PrivilegeDrop,
    "pidfile": PidfileSpec,
    "daemon": DaemonSettings,
}


class Config(Spec, frozen=True):
    """The profiles of one file.

    Attributes:
        path: the file, as it was named.
        profiles: what may be run, by name; without those that are only there to be extended.
    """

    path: str = Field(description="The file.")
    profiles: Mapping[str, Profile] = Field(description="Profiles by name.")
    _lines: dict[tuple[str, ...], int] = PrivateAttr(default_factory=dict[tuple[str, ...], int])

    def _placed(self, lines: Lines) -> Config:
        self._lines.update(lines)
        return self

    def line_of(self, profile: str, key: str = "") -> int | None:
        """Return the line in which a profile's key stands, counted from 1.

        Args:
            profile: the profile's name.
            key: a path of keys, as ``"drop.user"``; where it does not stand in the file (a
                default, a parent's), the line of what stands above it.
        """
        return _line_of(self._lines, profile, key)

    def profile(self, name: str) -> Profile:
        """Return the profile of that name.

        Raises:
            ConfigError: there is none; it suggests the nearest name.
        """
        found = self.profiles.get(name)
        if found is None:
            rule = f"there is no profile {shown(name)}{_suggestion(name, self.profiles)}"
            raise ConfigError(ConfigProblem(self.path, None, "", rule))
        return found


def load_config(
    path: str | os.PathLike[str],
    *,
    environ: Mapping[str, str] | None = None,
    any_owner: bool = False,
) -> Config:
    """Return the profiles of a config file: TOML, JSON or YAML, by its suffix.

    Nothing is looked up: a profile may name users that do not exist here.

    Args:
        path: the file.
        environ: where overrides are looked for, ``ABDICATE__PROFILE__KEY``; None: `os.environ`.
        any_owner: read a file that others may write to, though this process is root: to judge
            it, not to obey it.

    Raises:
        ConfigError: with every fault that was found.
        OSError: it can't be opened or read.
    """
    name = os.fspath(path)
    data, lines = read_config_file(name, any_owner=any_owner)
    problems = _Problems(name, lines)
    tables, variables = overridden(
        _tables(data, problems), os.environ if environ is None else environ
    )
    for variable, flaw in variables:
        problems.add(None, f"environment variable {variable}", flaw.rule)
    profiles: dict[str, Profile] = {}
    for profile, whole in inherited(tables):
        if isinstance(whole, Flaw):
            problems.at(profile, whole.key, whole.rule)
        elif abstract := whole.get("abstract", False):
            if abstract is not True:
                problems.at(profile, "abstract", "true or false is wanted")
        elif read := _profile(profile, whole, problems):
            profiles[profile] = read
    problems.raise_any()
    config = Config(path=name, profiles=profiles)
    # The lines are of this file: they are no field, which somebody could give.
    return config._placed(lines)  # pyright: ignore[reportPrivateUsage]


class _Problems:
    """Collects what is wrong, each with the line of its key."""

    def __init__(self, path: str, lines: Lines) -> None:
        self._path = path
        self._lines = lines
        self._found: list[ConfigProblem] = []

    def add(self, line: int | None, key: str, rule: str) -> None:
        self._found.append(ConfigProblem(self._path, line, key, rule))

    def at(self, profile: str, key: str, rule: str) -> None:
        whole = f"profiles.{profile}{key and '.' + key}"
        self.add(_line_of(self._lines, profile, key), whole, rule)

    def raise_any(self) -> None:
        if self._found:
            raise ConfigError(*self._found)


def _line_of(lines: Lines, profile: str, key: str) -> int | None:
    path = ("profiles", profile, *(key.split(".") if key else ()))
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return None


def _tables(data: Mapping[str, object], problems: _Problems) -> dict[str, Table]:
    """Return the profiles' tables, and note everything else that stands at the top."""
    for key in data:
        if key not in ("version", "profiles"):
            rule = f"there is no such key at the top{_suggestion(key, ('version', 'profiles'))}"
            problems.add(None, key, rule)
    version = data.get("version", CONFIG_VERSION)
    # type(), since true and 1.0 are equal to 1.
    if type(version) is not int or version != CONFIG_VERSION:
        rule = f"{shown(version)}: version {CONFIG_VERSION} is read here"
        problems.add(None, "version", rule)
    found = data.get("profiles")
    if not is_table(found) or not found:
        problems.add(None, "profiles", "tables of profiles are wanted, as in [profiles.web]")
        problems.raise_any()
        return {}
    tables: dict[str, Table] = {}
    for name, table in found.items():
        if not _is_name(name):
            rule = f"{shown(name)}: letters, digits, '.', '_' and '-' make a profile's name"
            problems.add(None, "profiles", rule)
        elif not is_table(table):
            problems.at(name, "", f"{shown(table)}: a table is wanted")
        else:
            tables[name] = table
    return tables


def _is_name(name: str) -> bool:
    plain = name.isascii() and len(name) <= 100 and name[:1].isalnum()
    return plain and all(char.isalnum() or char in "._-" for char in name)


def _profile(name: str, table: Table, problems: _Problems) -> Profile | None:
    if "name" in table:
        problems.at(name, "name", "a profile's name is the key under which it stands")
        return None
    fields = {key: value for key, value in table.items() if key != "abstract"}
    try:
        return Profile.model_validate({"name": name, **fields})
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_context=False):
            problems.at(name, *_told(fault["loc"], fault["type"], fault["msg"], fault["input"]))
        return None


def _told(place: tuple[int | str, ...], kind: str, message: str, value: object) -> tuple[str, str]:
    """Return the key's path and the rule, from what pydantic says of one fault."""
    key = ".".join(map(str, place))
    if kind == "extra_forbidden":
        parent = str(place[0]) if len(place) > 1 else ""
        model = _MODELS.get(parent)
        known = () if model is None else tuple(n for n in model.model_fields if n != "name")
        return key, f"there is no such key{_suggestion(key.rpartition('.')[2], known)}"
    if kind == "missing":
        return key, "the key is missing"
    said = message.removeprefix("Value error, ")
    # Our own rules show the value; pydantic's do not.
    return key, said if message != said else f"{shown(value)}: {said[:1].lower()}{said[1:]}"


def _suggestion(word: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(word, known, 1)
    return f"; is {near[0]!r} meant?" if near else ""
