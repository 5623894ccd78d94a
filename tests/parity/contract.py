"""The names of the contract, and the deviations that the migration page lists."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["MIGRATION", "NAMES", "deviations"]

MIGRATION = Path(__file__).parents[2] / "docs" / "migration.md"

_NAMES = """
pyimplementation
EX_OK EX_FAILURE EX_UNAVAILABLE EX_USAGE EX_CANTCREAT
SYSTEM IS_macOS IS_WINDOWS SIGNAMES SIGMAP DAEMON_WORKDIR
PIDFILE_FLAGS PIDFILE_MODE PIDLOCKED ROOT_DISALLOWED ROOT_DISCOURAGED
LockFailed SecurityError SecurityWarning
get_fdmax close_open_fds fd_by_path
Pidfile PIDFile create_pidlock _create_pidlock
DaemonContext detached
parse_uid parse_gid setgroups initgroups setgid setuid maybe_drop_privileges
Signals signals get_signal install_signal_handler reset_signal ignore_signal signal_name
set_process_title set_mp_process_title
get_errno_name ignore_errno isatty set_pdeathsig check_privileges strargv
"""
NAMES = frozenset(_NAMES.split())


def deviations() -> dict[int, str]:
    """Return the numbered deviations of the migration page, each with its first line."""
    text = MIGRATION.read_text(encoding="utf-8")
    return {int(number): line for number, line in re.findall(r"^(\d+)\. (.+)$", text, re.MULTILINE)}
