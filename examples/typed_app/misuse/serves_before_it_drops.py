"""There is no proof yet."""

from greeter.server import Settings, bound, serve


def start(settings: Settings) -> None:
    serve(bound(settings))
    settings.drop.apply()
