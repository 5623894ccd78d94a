"""Processes as they look from outside, and plans as `explain --json` promises them.

Both become one `Held`, by readers of their own: abdicate's parser takes no part in it.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from abdicate.cli import main
from drops import raw
from harness.child import held_child, in_child, thread_statuses

__all__ = [
    "Held",
    "dropped",
    "explained",
    "held_by_threads",
    "promised",
    "refused",
    "surroundings",
]

Data = dict[str, Any]  # JSON of the plan: looked into, field by field


@dataclass(frozen=True)
class Held:
    """Four uids, four gids (real, effective, saved, filesystem), the groups, the five sets."""

    uids: tuple[int, ...]
    gids: tuple[int, ...]
    groups: frozenset[int]
    inheritable: int
    permitted: int
    effective: int
    bounding: int
    ambient: int
    no_new_privs: bool
    umask: int


def held_by_threads(pid: int) -> dict[int, Held]:
    """Return what each thread of a process holds, from /proc/<pid>/task/*/status."""
    return {thread: _of_status(status) for thread, status in thread_statuses(pid).items()}


def _of_status(status: dict[str, str]) -> Held:
    return Held(
        uids=tuple(map(int, status["Uid"].split())),
        gids=tuple(map(int, status["Gid"].split())),
        groups=frozenset(map(int, status["Groups"].split())),
        inheritable=int(status["CapInh"], 16),
        permitted=int(status["CapPrm"], 16),
        effective=int(status["CapEff"], 16),
        bounding=int(status["CapBnd"], 16),
        ambient=int(status["CapAmb"], 16),
        no_new_privs=status["NoNewPrivs"] == "1",
        umask=int(status["Umask"], 8),
    )


def promised(plan: Data) -> Held:
    """Return what a plan's JSON says that the process will hold."""
    goal = plan["goal"]
    sets = goal["capabilities"]
    return Held(
        uids=_four(goal["uid"], goal["filesystem_uid"]),
        gids=_four(goal["gid"], goal["filesystem_gid"]),
        groups=frozenset(goal["groups"]),
        inheritable=raw.mask(sets["inheritable"]),
        permitted=raw.mask(sets["permitted"]),
        effective=raw.mask(sets["effective"]),
        bounding=raw.mask(sets["bounding"]),
        ambient=raw.mask(sets["ambient"]),
        no_new_privs=goal["no_new_privs"],
        umask=goal["umask"],
    )


def _four(ids: Data, filesystem: int) -> tuple[int, ...]:
    return (*(ids[name] for name in ("real", "effective", "saved")), filesystem)


def explained(start: Callable[[], object], words: list[str]) -> Data:
    """Return what ``abdicate explain --json`` prints in a child that is in the state *start*."""

    def explain() -> str:
        start()
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            status = main(["explain", "--json", *words])
        assert status == 0, status
        return printed.getvalue()

    data: Data = json.loads(in_child(explain))
    return data


def refused(start: Callable[[], object], attempt: Callable[[], object]) -> BaseException:
    """Return what *attempt* raises in a child in the state *start*, which it leaves as it was."""

    def try_it() -> None:
        start()
        attempt()

    with held_child(start) as untouched, held_child(try_it) as child:
        assert untouched.value is None
        error = child.error
        assert [*held_by_threads(child.pid).values()] == [*held_by_threads(untouched.pid).values()]
        assert surroundings(child.pid) == surroundings(untouched.pid)
    return error


def dropped(start: Callable[[], object], drop: Callable[[], object]) -> Held:
    """Return what every thread of a child holds that started as *start* and made the *drop*."""

    def make_it() -> None:
        start()
        drop()

    with held_child(make_it) as child:
        assert child.value is None
        (seen,) = set(held_by_threads(child.pid).values())
    return seen


def surroundings(pid: int) -> dict[str, str]:
    """Return what /proc tells of a process besides its credentials."""
    with open(f"/proc/{pid}/stat") as file:
        # proc_pid_stat(5): the name may hold anything, and ends with the last parenthesis.
        nice = file.read().rpartition(")")[2].split()[16]
    return {
        "nice": nice,
        "root": os.readlink(f"/proc/{pid}/root"),
        "working directory": os.readlink(f"/proc/{pid}/cwd"),
        **dict(_limits(pid)),
    }


def _limits(pid: int) -> Iterator[tuple[str, str]]:
    with open(f"/proc/{pid}/limits") as file:
        for line in file.read().splitlines()[1:]:
            # proc_pid_limits(5): columns of fixed width.
            soft, hard = line[26:].split()[:2]
            yield line[:26].strip(), f"{soft}:{hard}"
