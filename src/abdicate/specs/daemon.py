"""`DaemonSpec`: the validated model of a daemon."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from abdicate.identity.accounts import AccountDatabase
from abdicate.process.daemon import Daemon, RunningDaemon
from abdicate.request import DropRequest
from abdicate.specs.base import Spec
from abdicate.specs.drop import PrivilegeDrop
from abdicate.specs.fields import AbsolutePath, Mode
from abdicate.specs.pidfile import PidfileSpec

__all__ = ["DaemonSettings", "DaemonSpec"]


class DaemonSettings(Spec, frozen=True):
    """How a program becomes a daemon, whoever it becomes on the way."""

    logfile: AbsolutePath | None = Field(
        default=None, description="Standard output and error, absolute; None: /dev/null."
    )
    umask: Mode = Field(default=0o022, description="The umask.")
    workdir: AbsolutePath = Field(default="/", description="The directory to go to, absolute.")
    detach: bool = Field(default=True, description="False: stay in the foreground.")
    ready: Literal["after set-up", "by hand"] = Field(
        default="after set-up", description="When the starter is told that the daemon started."
    )

    def settings(self, drop: DropRequest | None) -> Daemon:
        """Return the same in the standard library's terms, without a pidfile.

        Args:
            drop: whom to become; None: nobody else.

        Raises:
            SpecError: a field is out of its range, or does not go with the drop.
        """
        return Daemon(
            drop=drop,
            logfile=self.logfile,
            umask=int(self.umask),
            workdir=self.workdir,
            detach=self.detach,
            ready=self.ready,
        )


class DaemonSpec(DaemonSettings, frozen=True):
    """How a program becomes a daemon, and whom it becomes on the way.

    Nothing is looked up or opened before `daemon` or `start`.

    Example:
        >>> from abdicate import DaemonSpec
        >>> DaemonSpec.model_validate({"pidfile": "/run/worker.pid", "drop": "nobody"}).umask
        18
    """

    pidfile: PidfileSpec | None = Field(
        default=None, description="Taken before the drop, held while the daemon runs."
    )
    drop: PrivilegeDrop | None = Field(default=None, description="Whom to become; None: nobody.")

    @model_validator(mode="after")
    def _is_consistent(self) -> DaemonSpec:
        # Daemon has the rules for paths; who owns the pidfile doesn't matter to them.
        self._without_pidfile()
        return self

    def daemon(self, accounts: AccountDatabase | None = None) -> Daemon:
        """Return the same in the standard library's terms, the pidfile's owner looked up.

        Raises:
            UnknownUserError, UnknownGroupError: the pidfile's owner or group does not exist.
        """
        lock = None if self.pidfile is None else self.pidfile.lock(accounts)
        return self._without_pidfile().replace(pidfile=lock)

    def _without_pidfile(self) -> Daemon:
        return self.settings(None if self.drop is None else self.drop.request())

    def start(self, accounts: AccountDatabase | None = None) -> RunningDaemon:
        """Become a daemon: `Daemon.start`. With ``detach``, this returns in the daemon alone.

        Raises:
            AbdicateError: what was asked can't be done from here; nothing is left behind.
            OSError: the log can't be opened, or a process can't be made.
            UnsupportedPlatformError: on Windows.
        """
        return self.daemon(accounts).start()
