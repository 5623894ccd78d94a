"""Telling a service manager that a service is ready: sd_notify(3), without its library."""

from __future__ import annotations

import os
import sys

from abdicate.errors import SpecError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket

__all__ = ["Notifier"]


class Notifier:
    """A line to the service manager that NOTIFY_SOCKET names; none where it is not set.

    The socket is connected when this is made: after a chroot or a drop its address may be out
    of reach, and the module that speaks to it too.

    Raises:
        SpecError: NOTIFY_SOCKET is neither an absolute path nor an abstract name, unix(7), or
            nobody listens there.
    """

    def __init__(self, address: str | None = None) -> None:
        address = os.environ.get("NOTIFY_SOCKET") if address is None else address
        self._socket: socket | None = None
        if not address:
            return
        if address[0] not in "/@" or len(address) < 2:
            rule = "an absolute path, or @ and an abstract name, is what sd_notify(3) knows"
            raise SpecError("NOTIFY_SOCKET", address, rule)
        if sys.platform == "win32":
            raise SpecError("NOTIFY_SOCKET", address, "Windows has no service manager of that kind")
        import socket as sockets

        line = sockets.socket(sockets.AF_UNIX, sockets.SOCK_DGRAM)
        try:
            line.connect("\0" + address[1:] if address[0] == "@" else address)
        except OSError as error:
            line.close()
            rule = f"nobody can be told there: {error.strerror or error}"
            raise SpecError("NOTIFY_SOCKET", address, rule) from error
        self._socket = line

    def descriptors(self) -> tuple[int, ...]:
        """Return what must stay open for `ready`."""
        return () if self._socket is None else (self._socket.fileno(),)

    def ready(self) -> None:
        """Send ``READY=1`` and this process's id, as the main one, once.

        A manager that has gone meanwhile is not waited for, and not an error.
        """
        line, self._socket = self._socket, None
        if line is None:
            return
        try:
            # A manager whose queue is full is not waited for either.
            line.setblocking(False)
            line.send(f"READY=1\nMAINPID={os.getpid()}\n".encode())
        except OSError:
            return
        finally:
            line.close()
