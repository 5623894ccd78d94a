"""What a profile is once its parents and the environment have had their say. Pure.

Tables are merged key by key; everything else is replaced. The short forms of ``drop`` and
``pidfile`` are written out first, so that a child may add to them. Who names a user does not
inherit his parent's group: half of an identity is nobody's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from abdicate.errors import SpecError
from abdicate.identity.ids import parse_owner
from abdicate.values import is_list, is_table

__all__ = ["ENVIRONMENT_PREFIX", "Flaw", "Table", "inherited", "overridden", "override_name"]

Table = dict[str, object]

#: ``ABDICATE__WEB__DROP__USER`` sets ``profiles.web.drop.user``.
ENVIRONMENT_PREFIX = "ABDICATE__"


class Flaw(Exception):  # noqa: N818 - becomes a ConfigProblem once the file and line are known
    """What is wrong, and under which key of which profile."""

    def __init__(self, profile: str, key: str, rule: str) -> None:
        super().__init__(profile, key, rule)
        self.profile = profile
        self.key = key
        self.rule = rule


def inherited(profiles: Mapping[str, Table]) -> Iterator[tuple[str, Table | Flaw]]:
    """Yield each profile with what it inherits, without ``extends``; or what is wrong with it.

    Every profile is merged once, however many extend it.
    """
    done: dict[str, Table | Flaw] = {}
    for name in profiles:
        # Not by recursion: a chain may be as long as the file.
        waiting = [name]
        while waiting:
            current = waiting[-1]
            if current in done:
                waiting.pop()
                continue
            found = _parents(current, profiles)
            if isinstance(found, Flaw):
                done[current] = found
                continue
            missing = [parent for parent in found if parent not in done]
            if any(parent in waiting for parent in missing):
                chain = " -> ".join([*waiting[-6:], missing[0]])
                done[current] = Flaw(current, "extends", f"it extends itself: {chain}")
            elif missing:
                waiting += missing
            else:
                done[current] = _merged(current, found, profiles, done)
        yield name, done[name]


def _parents(name: str, profiles: Mapping[str, Table]) -> list[str] | Flaw:
    asked = profiles[name].get("extends", [])
    named = asked if is_list(asked) else [asked]
    parents = [parent for parent in named if isinstance(parent, str)]
    if len(parents) != len(named):
        return Flaw(name, "extends", "the name of a profile, or a list of them, is wanted")
    for parent in parents:
        if parent not in profiles:
            from difflib import get_close_matches

            near = get_close_matches(parent, profiles, 1)
            hint = f"; is {near[0]!r} meant?" if near else ""
            return Flaw(name, "extends", f"there is no profile {parent[:60]!r}{hint}")
    return parents


def _merged(
    name: str, parents: list[str], profiles: Mapping[str, Table], done: dict[str, Table | Flaw]
) -> Table | Flaw:
    whole: Table = {}
    for parent in parents:
        above = done[parent]
        if isinstance(above, Flaw):
            return Flaw(name, "extends", f"its parent {parent!r} has an error of its own")
        whole = _over(whole, above)
    own = {key: value for key, value in profiles[name].items() if key != "extends"}
    # A parent that is only there to be extended does not make its children so.
    whole.pop("abstract", None)
    return _over(whole, _written_out(own)) if parents else own


def _written_out(table: Table) -> Table:
    """Return the table with the short forms of ``drop`` and ``pidfile`` as tables."""
    whole = dict(table)
    drop, pidfile = table.get("drop"), table.get("pidfile")
    if isinstance(drop, str) or (isinstance(drop, int) and not isinstance(drop, bool)):
        try:
            owner = parse_owner(drop)
        except SpecError:
            return whole  # the model says what is wrong with it
        halves = {"user": owner.user, "group": owner.group}
        whole["drop"] = {
            key: int(half) if isinstance(half, int) else str(half)
            for key, half in halves.items()
            if half is not None
        }
    if isinstance(pidfile, str):
        whole["pidfile"] = {"path": pidfile}
    return whole


def _over(below: Table, above: Table) -> Table:
    below = _written_out(below)
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        if is_table(old) and is_table(value):
            if key == "drop" and "user" in value:
                old = {name: kept for name, kept in old.items() if name != "group"}
            value = _over_plain(old, value)
        merged[key] = value
    return merged


def _over_plain(below: Table, above: Table) -> Table:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _over_plain(old, value) if is_table(old) and is_table(value) else value
    return merged


def override_name(profile: str) -> str:
    """Return what stands for a profile's name in the environment: ``web-1`` is ``WEB_1``."""
    return "".join(char if char.isalnum() else "_" for char in profile).upper()


def overridden(
    profiles: Mapping[str, Table], environ: Mapping[str, str]
) -> tuple[dict[str, Table], list[tuple[str, Flaw]]]:
    """Return the profiles with what the environment sets in them, and what it sets in vain.

    ``ABDICATE__PROFILE__KEY`` or ``ABDICATE__PROFILE__TABLE__KEY``. A value is JSON where it
    reads as JSON, else a text. Each flaw comes with the variable that it is about.
    """
    changed = dict(profiles)
    flaws: list[tuple[str, Flaw]] = []
    asked = sorted(name for name in environ if name.startswith(ENVIRONMENT_PREFIX))
    if not asked:
        return changed, flaws
    by_name: dict[str, list[str]] = {}
    for profile in profiles:
        by_name.setdefault(override_name(profile), []).append(profile)
    for variable in asked:
        target, *keys = variable.removeprefix(ENVIRONMENT_PREFIX).split("__")
        found = by_name.get(target, [])
        if len(found) != 1 or not keys or not all(keys):
            rule = (
                f"it could mean any of {', '.join(found[:4])}"
                if len(found) > 1
                else f"no profile's key is named by it; {ENVIRONMENT_PREFIX}PROFILE__KEY is wanted"
            )
            flaws.append((variable, Flaw(target, "", rule)))
            continue
        path = [key.lower() for key in keys]
        # A limit's or a finding's name is a key too, and findings are upper case.
        path = [*path[:1], *(key.upper() for key in path[1:])] if path[0] == "ignore" else path
        nested: Table = {path[-1]: _value(environ[variable])}
        for key in reversed(path[:-1]):
            nested = {key: nested}
        changed[found[0]] = _over(changed[found[0]], nested)
    return changed, flaws


def _value(text: str) -> object:
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value
