"""A plan says what would be done."""

from greeter.server import Settings, bound, serve


def start(settings: Settings) -> None:
    serve(bound(settings), settings.drop.plan())
