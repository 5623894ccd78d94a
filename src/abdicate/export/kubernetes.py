"""A Kubernetes pod: the securityContext of the pod and of its container (core/v1)."""

from __future__ import annotations

import json

from abdicate.export.intent import Export, Intent
from abdicate.values import is_list, is_table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["kubernetes"]

# An example's name by RFC 2606: the image is not the profile's to say.
_IMAGE = "image.invalid/replace-me"


def kubernetes(intent: Intent) -> Export:
    """Return a pod whose process holds what the intent says, with an image to fill in."""
    name = "".join(char if char.isalnum() else "-" for char in intent.name.lower())[:63]
    name = name.strip("-") or "service"
    groups = [int(gid) for gid in intent.groups or () if gid != intent.gid]
    pod: dict[str, object] = {
        "runAsUser": int(intent.uid),
        "runAsGroup": int(intent.gid),
        "runAsNonRoot": intent.uid != 0,
        "supplementalGroups": groups,
        # Strict: not what the image's own /etc/group says besides.
        "supplementalGroupsPolicy": "Strict",
    }
    # Without the CAP_ that the kernel's names have.
    added = [capability.removeprefix("CAP_") for capability in intent.capabilities.names()]
    capabilities = {"drop": ["ALL"]} | ({"add": added} if added else {})
    container: dict[str, object] = {
        "name": name,
        "image": _IMAGE,
        "command": list(map(_literal, intent.command)),
        "securityContext": {
            "allowPrivilegeEscalation": not intent.no_new_privs,
            "capabilities": capabilities,
        },
    }
    if intent.working_directory is not None:
        container["workingDir"] = intent.working_directory
    if intent.variables:
        container["env"] = [
            {"name": key, "value": _literal(value)} for key, value in intent.variables
        ]
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"securityContext": pod, "containers": [container]},
    }
    return Export("\n".join(_yaml(manifest, "")) + "\n", tuple(_warnings(intent)))


def _literal(text: str) -> str:
    # "$(NAME)" is replaced, and "$$" becomes "$", in a command and in env (core/v1 Container).
    return text.replace("$", "$$")


def _warnings(intent: Intent) -> Iterator[str]:
    yield "image: the profile does not name one: fill it in"
    if intent.groups is None:
        yield "groups: keep: a container has no groups to keep, and gets none"
    if intent.capabilities and intent.uid != 0:
        yield (
            "capabilities: Kubernetes gives a user other than root no ambient set: the program "
            "needs file capabilities, capabilities(7)"
        )
    if intent.bounding is None or intent.bounding != intent.capabilities:
        yield "bounding: it is what is added, here the kept capabilities"
    why = "a securityContext has no such field"
    yield from intent.lost(
        "lock_securebits", "limits", "nice", "umask", "chroot", "parent_death_signal", why=why
    )
    yield from intent.lost("session_keyring", why="the container runtime decides on keyrings")
    yield from intent.lost("clear_environment", why="a container starts with the image's variables")
    yield from intent.lost("pidfile", "logfile", "title", why="a container has its own")


def _yaml(value: object, indent: str) -> Iterator[str]:
    """Yield the lines of *value*; every text is quoted, so that none is taken for another type."""
    if is_table(value):
        for key, item in value.items():
            yield from _entry(f"{indent}{key}:", item, indent + "  ")
    elif is_list(value):
        for item in value:
            if is_table(item) and item:
                first, *others = _yaml(item, indent + "  ")
                yield f"{indent}- {first[len(indent) + 2 :]}"
                yield from others
            else:
                yield f"{indent}- {_scalar(item)}"


def _entry(head: str, item: object, indent: str) -> Iterator[str]:
    if (is_table(item) or is_list(item)) and item:
        yield head
        yield from _yaml(item, indent)
    else:
        yield f"{head} {_scalar(item)}"


def _scalar(item: object) -> str:
    # JSON's scalars, and its empty list, are YAML's; but for a pair of surrogates, which YAML
    # reads as two characters.
    text = json.dumps(item, ensure_ascii=False)
    return "".join(char if " " <= char <= "~" else _escaped(ord(char)) for char in text)


def _escaped(code: int) -> str:
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
