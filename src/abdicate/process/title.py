"""The title that ps(1) shows for this process.

Setting it takes the package ``setproctitle``, the extra ``abdicate[title]``. Without it, the
title is only composed. The package is imported when a title is first set: imported before a
fork, it breaks the child on macOS (py-setproctitle#113).
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["set_mp_process_title", "set_process_title"]

# celery's pool runs its workers as billiard's processes, which multiprocessing doesn't know.
_PROCESS_MODULES = ("billiard.process", "multiprocessing.process")
_MAIN = "MainProcess"


def set_process_title(progname: str, info: str | None = None) -> str:
    """Set the title of this process to ``[progname] info``.

    Args:
        progname: what the process is.
        info: what it does at present; left out where it is None or empty.

    Returns:
        The title, whether or not setproctitle is installed to set it.
    """
    title = f"[{progname}] {info}" if info else f"[{progname}]"
    try:
        # By name, because it is an extra: type checkers need not have it.
        set_title: Callable[[str], None] = __import__("setproctitle").setproctitle
    except (ImportError, OSError):
        # OSError: installed, but not readable by the user that this process has become.
        return title
    # A title is not worth an exception: NUL would end it, and a lone surrogate has no bytes.
    set_title(title.replace("\0", "?").encode(errors="replace").decode())
    return title


def set_mp_process_title(
    progname: str, info: str | None = None, hostname: str | None = None
) -> str | None:
    """Set the title to ``[progname: hostname:process] info``.

    ``process`` is the name that multiprocessing, or billiard, gave this process, and
    ``MainProcess`` where neither has been imported.

    Args:
        progname: what the process is.
        info: what it does at present; left out where it is None or empty.
        hostname: left out, with its colon, where it is None or empty.

    Returns:
        The title; None, with nothing set, where NOSETPS is in the environment and not empty.
    """
    if os.environ.get("NOSETPS"):
        return None
    if hostname:
        progname = f"{progname}: {hostname}"
    return set_process_title(f"{progname}:{_process_name()}", info)


def _process_name() -> str:
    # A child of either module has that module loaded, so there is no need to import one.
    for module in _PROCESS_MODULES:
        if module in sys.modules:
            name = str(sys.modules[module].current_process().name)
            if name != _MAIN:
                return name
    return _MAIN
