"""A rehearsal was done by another process."""

from abdicate import rehearse
from greeter.server import Settings, bound, serve


def start(settings: Settings) -> None:
    serve(bound(settings), rehearse(settings.drop.plan()))
