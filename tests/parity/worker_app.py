"""A worker as it is written for celery.platforms: the import is all that is ever changed in it.

Usage: worker_app.py DIRECTORY [--foreground] [--user USER] [--group GROUP]
"""

from __future__ import annotations

import argparse
import importlib
import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from celery import platforms
else:
    # So that a test can say which.
    platforms = importlib.import_module(os.environ["PLATFORMS"])


class Worker:
    """Works until it is told to stop, and tells its log what it was told."""

    def __init__(self, logfile: str) -> None:
        self.logfile = logfile
        self.running = True

    def log(self, text: str) -> None:
        """Append a line to the log."""
        with open(self.logfile, "a") as file:
            file.write(text + "\n")

    def on_hup(self, number: int, _frame: object) -> None:
        """Read the configuration again."""
        self.log(f"{platforms.signal_name(number)}: reloaded")
        platforms.set_process_title("worker", "reloaded")

    def on_stop(self, number: int, _frame: object) -> None:
        """Stop after the present task."""
        self.log(f"{platforms.signal_name(number)}: stopping")
        self.running = False

    def run(self) -> None:
        """Work."""
        platforms.signals.update(HUP=self.on_hup, TERM=self.on_stop, INT=self.on_stop)
        platforms.signals.ignore("USR1")
        platforms.set_process_title("worker", "ready")
        self.log("ready")
        while self.running:
            time.sleep(0.02)
        self.log("stopped")


def main() -> None:
    """Start the worker."""
    parser = argparse.ArgumentParser()
    parser.add_argument("directory")
    parser.add_argument("--foreground", action="store_true")
    parser.add_argument("--user")
    parser.add_argument("--group")
    options = parser.parse_args()
    logfile = os.path.join(options.directory, "worker.log")
    pidfile = os.path.join(options.directory, "worker.pid")
    platforms.set_process_title("worker", "starting")
    with platforms.detached(
        logfile=logfile,
        pidfile=pidfile,
        uid=options.user,
        gid=options.group,
        umask="022",
        workdir=options.directory,
        fake=options.foreground,
    ):
        platforms.create_pidlock(pidfile)
        Worker(logfile).run()
    raise SystemExit(platforms.EX_OK)


if __name__ == "__main__":
    main()
