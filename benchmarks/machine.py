"""Where the figures come from: processor, kernel, interpreter and versions; no name, no path."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version

__all__ = ["described"]

_PEERS = (
    *("abdicate", "pydantic", "celery", "billiard", "python-daemon", "zc.lockfile"),
    *("filelock", "pid", "psutil"),
)


def described() -> list[str]:
    """Return the lines of a Markdown list that name the machine and the versions."""
    load = ", ".join(f"{average:.2f}" for average in os.getloadavg())
    return [
        f"* processor: {_processor()}, {os.cpu_count()} cores, {platform.machine()}",
        f"* kernel: {platform.system()} {_release()}; {' '.join(platform.libc_ver())}",
        f"* interpreter: {platform.python_implementation()} {platform.python_version()}",
        "* packages: " + ", ".join(f"{name} {_version(name)}" for name in _PEERS),
        f"* programs: setpriv {_setpriv()}, gosu {_gosu()}",
        f"* load averages at the start: {load}",
    ]


def _processor() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        found = re.search(r"^model name\s*:\s*(.+)$", file.read(), re.MULTILINE)
    return found[1] if found else "unknown"


def _release() -> str:
    # What follows the number is often the name of whoever built it.
    found = re.match(r"[\d.]+\d", platform.release())
    return found[0] if found else "unknown"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _setpriv() -> str:
    return _said("setpriv", "--version").removeprefix("setpriv from util-linux ")


def _gosu() -> str:
    return _said("gosu", "--version").partition(" (")[0]


def _said(program: str, option: str) -> str:
    path = shutil.which(program)
    if path is None:
        return "not installed"
    words = [path, option]
    found = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    return found.stdout.strip()
