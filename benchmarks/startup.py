"""What stands in front of every start: imports, and the command line, as whole processes."""

from __future__ import annotations

import os
import pwd
import shutil
import sys
from collections.abc import Iterator

from benchmarks.harness import (
    BARE,
    AtMostTimes,
    Contest,
    Way,
    absent,
    installed,
    program_time,
    python_time,
)

__all__ = ["contests"]

# What `abdicate run` can't do without, and no line of ours.
_STANDARD = "import argparse, ctypes, enum, re, signal"


def contests(quick: bool) -> Iterator[Contest]:
    """Yield the rows: two imports, and two commands."""
    rounds = 11 if quick else 41
    bare = Way(BARE, lambda: python_time("pass"))
    yield Contest(
        '`python -c "import abdicate"`',
        _python("abdicate", "import abdicate"),
        [bare],
        AtMostTimes(1.1, BARE),
        rounds,
    )
    yield Contest(
        '`python -c "from abdicate.platforms import maybe_drop_privileges"`',
        _python("abdicate", "from abdicate.platforms import maybe_drop_privileges"),
        [
            bare,
            _python("enum alone", "import enum"),
            _importing("celery", "from celery.platforms import maybe_drop_privileges"),
            _importing("python-daemon", "import daemon"),
        ],
        AtMostTimes(2, BARE),
        rounds,
    )
    yield _run(bare, rounds)
    yield Contest(
        "`abdicate explain --user nobody`, no terminal",
        _program("abdicate", _script(), "explain", "--user", "nobody"),
        [
            bare,
            _python("its standard modules alone", _STANDARD),
            _program("setpriv --dump", shutil.which("setpriv"), "--dump"),
        ],
        AtMostTimes(3, BARE),
        rounds,
    )


def _run(bare: Way, rounds: int) -> Contest:
    what = "`abdicate run --user nobody -- true`, whole process"
    if os.geteuid() != 0:
        return Contest(what, absent("abdicate", "needs root"), [], None, 0)
    nobody = pwd.getpwnam("nobody")
    own = f"{nobody.pw_uid}:{nobody.pw_gid}"
    calls = (
        f"import os; os.setgroups([{nobody.pw_gid}]); os.setgid({nobody.pw_gid}); "
        f"os.setuid({nobody.pw_uid}); os.execvp('true', ['true'])"
    )
    setpriv = ("--reuid", "nobody", "--regid", str(nobody.pw_gid), "--init-groups", "true")
    return Contest(
        what,
        _program("abdicate", _script(), "run", "--user", "nobody", "--", "true"),
        [
            bare,
            _python("python -c with three os calls", calls),
            _python("its standard modules alone", _STANDARD),
            _program("gosu", shutil.which("gosu"), own, "true"),
            _program("setpriv", shutil.which("setpriv"), *setpriv),
        ],
        AtMostTimes(2.5, BARE),
        rounds,
    )


def _script() -> str | None:
    # Beside the interpreter, as it was installed: what a user starts, its first lines included.
    return shutil.which("abdicate", path=os.path.dirname(sys.executable))


def _python(name: str, program: str) -> Way:
    return Way(name, lambda: python_time(program))


def _importing(package: str, program: str) -> Way:
    return _python(package, program) if installed(package) else absent(package)


def _program(name: str, path: str | None, *words: str) -> Way:
    return absent(name) if path is None else Way(name, lambda: program_time(path, *words))
