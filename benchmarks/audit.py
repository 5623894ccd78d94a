"""An audit of 2,000 processes, against psutil collecting the same fields.

psutil does not read what takes abdicate most of its time: filesystem ids, supplementary groups,
five capability sets, no_new_privs and the umask.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

from abdicate.auditing.running import audit_process
from abdicate.identity.accounts import SystemAccounts
from abdicate.identity.cached import CachedAccounts
from benchmarks.harness import AtLeastTimesFaster, Contest, Way, absent, installed, timed

__all__ = ["contests"]

_FIELDS = ["pid", "name", "uids", "gids", "num_threads", "status"]


def contests(quick: bool) -> Iterator[Contest]:
    """Yield the row; the processes live as long as it is measured."""
    count = 300 if quick else 2000
    pids = _sleepers(count)

    def way(name: str, work: Callable[[list[int]], int]) -> Way:
        def check() -> None:
            found = work(pids)
            assert found == count, (name, found)

        return Way(name, lambda: timed(check))

    try:
        yield Contest(
            f"audit of {count:,} processes",
            way("abdicate", _by_abdicate),
            [
                way("psutil", _by_psutil) if installed("psutil") else absent("psutil"),
                way("reading the status files", _by_reading),
            ],
            AtLeastTimesFaster(3, "psutil"),
            5 if quick else 9,
        )
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _sleepers(count: int) -> list[int]:
    pids = []
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            # It ends by itself, whatever becomes of this program.
            signal.alarm(600)
            while True:
                signal.pause()
        pids.append(pid)
    return pids


def _by_psutil(pids: list[int]) -> int:
    import psutil

    # It keeps what it has seen; each round is to be like the first.
    psutil.process_iter.cache_clear()
    wanted = set(pids)
    return sum(process.info["pid"] in wanted for process in psutil.process_iter(_FIELDS))


def _by_abdicate(pids: list[int]) -> int:
    accounts = CachedAccounts(SystemAccounts())
    return sum(audit_process(pid, accounts) is not None for pid in pids)


def _by_reading(pids: list[int]) -> int:
    for pid in pids:
        with open(f"/proc/{pid}/status", "rb", buffering=0) as file:
            file.read()
    return len(pids)
