"""`abdicate check`: its time for 1,000 and for 10,000 profiles, reading and judging apart.

python3 benchmarks/check_profiles.py
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time

from abdicate.auditing.lint import Surroundings, lint
from abdicate.identity.accounts import Account, StaticAccounts
from abdicate.identity.cached import CachedAccounts
from abdicate.identity.credentials import Credentials
from abdicate.identity.ids import Gid, Uid
from abdicate.specs.config import load_config

_ACCOUNTS = StaticAccounts(
    Account(f"user{n}", Uid(n + 1000), Gid(n + 1000), "/", "/sbin/nologin") for n in range(100_000)
)


def _once(path: str) -> tuple[float, float]:
    begun = time.perf_counter()
    config = load_config(path, environ={})
    read = time.perf_counter()
    around = Surroundings(CachedAccounts(_ACCOUNTS), Credentials.current())
    for profile in config.profiles.values():
        lint(profile.service(around.accounts), around)
    return read - begun, time.perf_counter() - read


def main() -> None:
    """Measure by turns, and print the table."""
    times: dict[int, list[tuple[float, float]]] = {1000: [], 10_000: []}
    with tempfile.TemporaryDirectory() as folder:
        for count in times:
            profiles = {
                f"p{n}": {"drop": {"user": f"user{n % 50 * 1999}"}, "pidfile": f"/run/p{n}.pid"}
                for n in range(count)
            }
            with open(os.path.join(folder, f"{count}.json"), "w", encoding="utf-8") as file:
                json.dump({"profiles": profiles}, file)
        for _ in range(5):
            for count, taken in times.items():
                taken.append(_once(os.path.join(folder, f"{count}.json")))
    print("| profiles | reading | judging | profiles/s |\n|---|---|---|---|")
    for count, taken in times.items():
        reading = statistics.median(pair[0] for pair in taken)
        judging = statistics.median(pair[1] for pair in taken)
        rate = count / (reading + judging)
        print(f"| {count} | {reading * 1000:.0f} ms | {judging * 1000:.0f} ms | {rate:.0f} |")


if __name__ == "__main__":
    main()
