"""The ``process`` block of an OCI runtime's config.json: runtime-spec, config.md "Process"."""

from __future__ import annotations

import json

from abdicate.export.intent import Export, Intent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["oci"]

_UNLIMITED = 2**64 - 1  # RLIM_INFINITY, getrlimit(2)
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def oci(intent: Intent) -> Export:
    """Return the block as JSON."""
    kept = list(intent.capabilities.names())
    bounding = kept if intent.bounding is None else list(intent.bounding.names())
    user: dict[str, object] = {"uid": int(intent.uid), "gid": int(intent.gid)}
    # The gid too: without it in the list a negative entry in an ACL is bypassed, CVE-2022-36109.
    user["additionalGids"] = [int(gid) for gid in intent.groups or ()]
    if intent.umask is not None:
        user["umask"] = intent.umask
    process = {
        "terminal": False,
        "user": user,
        "args": list(intent.command),
        "env": [f"PATH={_PATH}", *(f"{name}={value}" for name, value in intent.variables)],
        "cwd": intent.working_directory or "/",
        "capabilities": {
            "bounding": bounding,
            "effective": kept,
            "inheritable": kept,
            "permitted": kept,
            "ambient": kept,
        },
        "rlimits": [
            {
                "type": f"RLIMIT_{limit.resource.upper()}",
                "soft": _UNLIMITED if limit.soft is None else limit.soft,
                "hard": _UNLIMITED if limit.hard is None else limit.hard,
            }
            for limit in intent.limits
        ],
        "noNewPrivileges": intent.no_new_privs,
    }
    return Export(json.dumps({"process": process}, indent=2) + "\n", tuple(_warnings(intent)))


def _warnings(intent: Intent) -> Iterator[str]:
    if intent.groups is None:
        yield "groups: keep: a container has no groups to keep, and gets none"
    if intent.bounding is None:
        yield "bounding: the profile leaves it to the starter; here it is the kept capabilities"
    yield from intent.lost("chroot", why="it is the container's root.path, outside of this block")
    yield from intent.lost(
        "lock_securebits", "nice", "parent_death_signal", why="the block has no such field"
    )
    yield from intent.lost("session_keyring", why="runc joins a new one for each container")
    yield from intent.lost("pidfile", why="runc --pid-file writes one")
    yield from intent.lost("logfile", "title", why="the block has no such field")
