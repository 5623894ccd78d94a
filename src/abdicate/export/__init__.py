"""The same service for other starters: systemd, Kubernetes, OCI, Docker, Podman, setpriv.

What a target can't express is a warning, by the name of the field; nothing is lost in silence.
"""

from __future__ import annotations

from abdicate.errors import SpecError
from abdicate.export.intent import Export, Intent, intent_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    from abdicate.identity.accounts import AccountDatabase
    from abdicate.identity.credentials import Credentials
    from abdicate.service import Service

    Format = Literal["systemd", "kubernetes", "oci", "docker", "podman", "setpriv"]

__all__ = ["FORMATS", "Export", "Intent", "export", "intent_of"]

#: The targets.
FORMATS = ("systemd", "kubernetes", "oci", "docker", "podman", "setpriv")


def export(
    service: Service, target: Format, accounts: AccountDatabase, current: Credentials
) -> Export:
    """Return what *target* needs to start the service as its profile says.

    Args:
        service: what is exported.
        target: one of `FORMATS`.
        accounts: where names are looked up; numbers are what is written, except for systemd.
        current: what the service keeps where nothing else is asked.

    Raises:
        SpecError: an id that targets take for "none", root that is not allowed, or a command
            that can't be written there.
        AbdicateError: a name does not exist here.
    """
    if target not in FORMATS:
        raise SpecError("format", target, f"one of {', '.join(FORMATS)} is wanted")
    intent = intent_of(service, accounts, current)
    # Only the one that is asked for is loaded.
    if target == "systemd":
        from abdicate.export.systemd import systemd

        return systemd(intent)
    if target == "kubernetes":
        from abdicate.export.kubernetes import kubernetes

        return kubernetes(intent)
    if target == "oci":
        from abdicate.export.oci import oci

        return oci(intent)
    if target == "setpriv":
        from abdicate.export.setpriv import setpriv

        return setpriv(intent)
    from abdicate.export.docker import docker

    return docker(intent, target)
