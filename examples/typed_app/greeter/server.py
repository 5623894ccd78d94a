"""Bind as root, drop, serve. The order is not a convention here: the types say it."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from abdicate import Dropped, PrivilegeDrop


@dataclass(frozen=True)
class Settings:
    """What the server is told: where it listens, and whom it becomes."""

    host: str
    port: int
    drop: PrivilegeDrop


def bound(settings: Settings) -> socket.socket:
    """Return the listening socket. Below port 1024 this needs root, or CAP_NET_BIND_SERVICE."""
    return socket.create_server((settings.host, settings.port))


def serve(listening: socket.socket, proof: Dropped, *, greetings: int | None = None) -> None:
    """Greet whoever connects; *proof* says that this process gave up root before.

    Args:
        listening: from `bound`.
        proof: what `PrivilegeDrop.apply()` returned.
        greetings: how many, and then no more; None: for ever.
    """
    identity = proof.report.plan.identity
    name = identity.user or f"uid {identity.uid}"
    while greetings is None or greetings > 0:
        connection, _ = listening.accept()
        with connection:
            connection.sendall(f"hello from {name}\n".encode())
        if greetings is not None:
            greetings -= 1


def start(settings: Settings, *, greetings: int | None = None) -> None:
    """Bind, drop, serve.

    Raises:
        AbdicateError: the drop is refused. Nothing has changed, and nobody was greeted.
        IncompleteDropError: the drop failed half-way. Not an `Exception`: leave the process.
        OSError: the port can't be bound.
    """
    with bound(settings) as listening:
        proof = settings.drop.apply()
        serve(listening, proof, greetings=greetings)
