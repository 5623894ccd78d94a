"""The flags of ``docker run`` and ``podman run``."""

from __future__ import annotations

import shlex

from abdicate.errors import SpecError
from abdicate.export.intent import Export, Intent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from abdicate.identity.situation import ResourceLimit

__all__ = ["docker"]

_IMAGE = "IMAGE"
_HIGHEST_ID = 2**31 - 1


def docker(intent: Intent, program: str) -> Export:
    """Return a command line for *program*, ``docker`` or ``podman``, with an image to fill in.

    Raises:
        SpecError: an id that Docker does not take.
    """
    if program == "docker":
        _refuse("user", intent.uid)
        _refuse("group", intent.gid)
        for gid in intent.groups or ():
            _refuse("groups", gid)
    words = [program, "run", *_flags(intent, program), _IMAGE, *intent.command]
    return Export(shlex.join(words) + "\n", tuple(_warnings(intent, program)))


def _refuse(field: str, number: int) -> None:
    # dockerd: "uids and gids must be in range 0-2147483647".
    if number > _HIGHEST_ID:
        raise SpecError(field, number, f"Docker takes ids up to {_HIGHEST_ID}")


def _flags(intent: Intent, program: str) -> Iterator[str]:
    yield f"--user={intent.uid}:{intent.gid}"
    for gid in intent.groups or ():
        if gid != intent.gid:
            yield f"--group-add={gid}"
    yield "--cap-drop=ALL"
    for capability in intent.capabilities.names():
        yield f"--cap-add={capability}"
    if intent.no_new_privs:
        yield "--security-opt=no-new-privileges"
    for limit in _limits(intent):
        # -1 is "unlimited" to both.
        soft, hard = (-1 if n is None else n for n in (limit.soft, limit.hard))
        yield f"--ulimit={limit.resource}={soft}:{hard}"
    if intent.umask is not None and program == "podman":
        yield f"--umask={intent.umask:04o}"
    if intent.working_directory is not None:
        yield f"--workdir={intent.working_directory}"
    for name, value in intent.variables:
        yield f"--env={name}={value}"
    if intent.pidfile is not None and program == "podman":
        yield f"--pidfile={intent.pidfile}"


def _limits(intent: Intent) -> list[ResourceLimit]:
    # "docker run --ulimit" knows every name but this one: "invalid ulimit type: as".
    return [limit for limit in intent.limits if limit.resource != "as"]


def _warnings(intent: Intent, program: str) -> Iterator[str]:
    yield "image: the profile does not name one: put it in the place of IMAGE"
    if intent.groups is None:
        yield "groups: keep: a container has no groups to keep, and gets none"
    if intent.capabilities and intent.uid != 0 and program == "docker":
        yield (
            "capabilities: Docker gives a user other than root no ambient set: the program needs "
            "file capabilities, capabilities(7)"
        )
    if intent.bounding is None or intent.bounding != intent.capabilities:
        yield "bounding: it is what is added, here the kept capabilities"
    if len(_limits(intent)) < len(intent.limits):
        yield f"limits: as: {program} run --ulimit does not know it"
    if program == "docker":
        yield from intent.lost("umask", why="docker run has no such flag")
        yield from intent.lost("pidfile", why="docker has --cidfile, which is something else")
    why = f"{program} run has no such flag"
    yield from intent.lost("lock_securebits", "nice", "chroot", "parent_death_signal", why=why)
    yield from intent.lost("session_keyring", why="the container runtime decides on keyrings")
    yield from intent.lost("clear_environment", why="a container starts with the image's variables")
    yield from intent.lost("logfile", "title", why="a container has its own")
