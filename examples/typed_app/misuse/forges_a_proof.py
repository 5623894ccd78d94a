"""Only the executor makes one."""

from abdicate import Dropped
from greeter.server import Settings, bound, serve


def start(settings: Settings) -> None:
    serve(bound(settings), Dropped(None))
