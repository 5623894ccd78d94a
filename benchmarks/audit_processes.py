"""`abdicate audit --all` against psutil, collecting the same fields of many processes, in one run.

    python3 benchmarks/audit_processes.py [PROCESSES]

Starts that many sleepers (2,000), asks both by turns, and prints medians and their ratio as
Markdown. psutil does not read what takes abdicate most of its time: supplementary groups,
filesystem ids, five capability sets, no_new_privs and the umask.
"""

from __future__ import annotations

import os
import platform
import signal
import statistics
import sys
import time
from collections.abc import Callable

import psutil

from abdicate.auditing.running import audit_process
from abdicate.identity.accounts import SystemAccounts
from abdicate.identity.cached import CachedAccounts

_ROUNDS = 7
_FIELDS = ["pid", "name", "uids", "gids", "num_threads", "status"]


def _sleepers(count: int) -> list[int]:
    pids = []
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            # It ends by itself, whatever becomes of this program.
            signal.alarm(300)
            while True:
                signal.pause()
        pids.append(pid)
    return pids


def _by_psutil(pids: list[int]) -> int:
    wanted = set(pids)
    return sum(process.info["pid"] in wanted for process in psutil.process_iter(_FIELDS))


def _by_abdicate(pids: list[int]) -> int:
    accounts = CachedAccounts(SystemAccounts())
    return sum(audit_process(pid, accounts) is not None for pid in pids)


def _by_reading(pids: list[int]) -> int:
    for pid in pids:
        with open(f"/proc/{pid}/status", "rb") as file:
            file.read()
    return len(pids)


def main() -> None:
    """Measure by turns, and print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    pids = _sleepers(count)
    ways: dict[str, Callable[[list[int]], int]] = {
        "abdicate audit": _by_abdicate,
        "psutil, 6 fields": _by_psutil,
        "reading the status files": _by_reading,
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    try:
        for _ in range(_ROUNDS):
            for name, way in ways.items():
                begun = time.perf_counter()
                found = way(pids)
                times[name].append(time.perf_counter() - begun)
                assert found == count, (name, found)
            # psutil keeps what it has seen; each round is to be like the first.
            psutil.process_iter.cache_clear()
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    ours = statistics.median(times["abdicate audit"])
    print(f"{count} processes, {_ROUNDS} rounds by turns; Python {platform.python_version()}, ")
    print(f"psutil {psutil.__version__}, {platform.machine()}, {os.cpu_count()} cores\n")
    print("| what | median | times ours |\n|---|---|---|")
    for name, taken in times.items():
        median = statistics.median(taken)
        print(f"| {name} | {median * 1000:.1f} ms | {median / ours:.2f} |")


if __name__ == "__main__":
    main()
