"""A default drop inside a program: its time, and its system calls.

Each sample is a program of its own, since a drop happens once in a process, and early: what
would be warm in a loop is not warm there. It has loaded its modules and made one plan.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from benchmarks.harness import AtMost, Contest, Way, absent, installed, plain_environment

__all__ = ["contests"]

# What `execute` loads before its first step, and what the account database brings.
_LOAD_OURS = (
    "import pwd, grp; from abdicate.identity.ids import Owner, UserName; "
    "from abdicate.kernel import system_kernel; from abdicate.request import DropRequest; "
    "drop = DropRequest(Owner(UserName('nobody'))); drop.plan(); "
    "kernel = system_kernel(); kernel.prepare(); kernel.finish()"
)
_LOAD_PLATFORMS = f"{_LOAD_OURS}; from abdicate.platforms import maybe_drop_privileges"
_LOAD_CELERY = "from celery.platforms import maybe_drop_privileges"
_LOAD_PYTHON_DAEMON = "from daemon.daemon import change_process_owner"


def contests(quick: bool) -> Iterator[Contest]:
    """Yield the rows: seconds, and calls."""
    what = "default drop in process: plan, execute, verify, attack; one thread"
    if os.geteuid() != 0:
        yield Contest(what, absent("abdicate", "needs root"), [], None, 0)
        return
    nobody = pwd.getpwnam("nobody")
    uid, gid = nobody.pw_uid, nobody.pw_gid
    calls = f"os.setgroups([{gid}]); os.setgid({gid}); os.setuid({uid})"
    owner = f"change_process_owner({uid}, {gid}, initgroups=True)"
    by_name = "maybe_drop_privileges(uid='nobody')"
    yield Contest(
        what,
        _seconds("abdicate", _LOAD_OURS, "drop.apply()"),
        [
            _seconds("abdicate.platforms", _LOAD_PLATFORMS, by_name),
            _seconds("three os calls", "import os", calls),
            _seconds("celery", _LOAD_CELERY, by_name, "celery"),
            _seconds("python-daemon", _LOAD_PYTHON_DAEMON, owner, "python-daemon"),
        ],
        AtMost(0.0005, "≤ 0.5 ms"),
        7 if quick else 25,
    )
    yield Contest(
        "the same: system calls",
        _calls("abdicate", _LOAD_OURS, "drop.apply()"),
        [
            _calls("three os calls", "import os", calls),
            _calls("celery", _LOAD_CELERY, by_name, "celery"),
            _calls("python-daemon", _LOAD_PYTHON_DAEMON, owner, "python-daemon"),
        ],
        None,
        1,
        unit="calls",
    )


def _seconds(name: str, load: str, drop: str, *needs: str) -> Way:
    if not installed(*needs):
        return absent(name)
    program = (
        f"{load}; import time; begun = time.perf_counter(); {drop}; "
        "print(time.perf_counter() - begun)"
    )
    return Way(name, lambda: float(_printed([sys.executable, "-c", program])))


def _calls(name: str, load: str, drop: str, *needs: str) -> Way:
    strace = shutil.which("strace")
    if strace is None or not installed(*needs):
        return absent(name, "strace is not installed" if strace is None else "not installed")
    marked = f"{load}; import os; os.path.exists('/begin'); {drop}; os.path.exists('/end')"
    return Way(name, lambda: _counted(strace, marked))


def _counted(strace: str, program: str) -> float:
    with tempfile.NamedTemporaryFile("r", encoding="utf-8", errors="replace") as trace:
        _printed([strace, "-f", "-o", trace.name, sys.executable, "-c", program])
        _, _, rest = trace.read().partition('"/begin"')
    between, mark, _ = rest.partition('"/end"')
    assert mark, "the trace has no end"
    # Two lines are the marks' own: the end of the first, the beginning of the last.
    return between.count("\n") - 1


def _printed(words: list[str]) -> str:
    done = subprocess.run(  # noqa: S603 - our own words
        words, check=True, stdout=subprocess.PIPE, text=True, env=plain_environment()
    )
    return done.stdout
