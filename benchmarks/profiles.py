"""``abdicate check``: reading and judging many profiles."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator

from abdicate.auditing.lint import Surroundings, lint
from abdicate.identity.accounts import Account, StaticAccounts
from abdicate.identity.cached import CachedAccounts
from abdicate.identity.credentials import Credentials
from abdicate.identity.ids import Gid, Uid
from abdicate.specs.config import load_config
from benchmarks.harness import AtMost, AtMostTimes, Contest, Way, timed

__all__ = ["contests"]

_USERS = 50
_ACCOUNTS = StaticAccounts(
    Account(f"user{n}", Uid(n + 1000), Gid(n + 1000), "/", "/sbin/nologin") for n in range(_USERS)
)
_FEW, _MANY = 1000, 10_000


def contests(quick: bool) -> Iterator[Contest]:
    """Yield the rows: a profile's share, and whether it stays the same."""
    rounds = 3 if quick else 5
    with tempfile.TemporaryDirectory() as folder:
        few, many = (_file(folder, count) for count in (_FEW, _MANY))
        yield Contest(
            f"check of {_FEW:,} profiles, each one's share",
            _share("abdicate", few, _FEW),
            [_reading("reading the file alone", few, _FEW)],
            AtMost(1 / 5000, "≥ 5,000 profiles/s (≤ 200 µs)"),
            rounds,
        )
        yield Contest(
            f"check of {_MANY:,} profiles, each one's share",
            _share("abdicate", many, _MANY),
            [_share(f"of {_FEW:,}", few, _FEW), _reading("reading the file alone", many, _MANY)],
            AtMostTimes(1.2, f"of {_FEW:,}"),
            rounds,
        )


def _file(folder: str, count: int) -> str:
    profiles = {
        f"p{n}": {"drop": {"user": f"user{n % _USERS}"}, "pidfile": f"/run/p{n}.pid"}
        for n in range(count)
    }
    path = os.path.join(folder, f"{count}.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"profiles": profiles}, file)
    return path


def _share(name: str, path: str, count: int) -> Way:
    return Way(name, lambda: timed(lambda: _check(path)) / count)


def _reading(name: str, path: str, count: int) -> Way:
    return Way(name, lambda: timed(lambda: load_config(path, environ={})) / count)


def _check(path: str) -> None:
    config = load_config(path, environ={})
    around = Surroundings(CachedAccounts(_ACCOUNTS), Credentials.current())
    for profile in config.profiles.values():
        lint(profile.service(around.accounts), around)
