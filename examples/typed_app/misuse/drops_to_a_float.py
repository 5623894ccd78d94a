"""3.9 is no uid, and int(3.9) is somebody else's."""

from abdicate.platforms import maybe_drop_privileges


def start() -> None:
    maybe_drop_privileges(uid=3.9)
