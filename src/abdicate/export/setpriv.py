"""A command line for setpriv(1), with prlimit(1), env(1) and sh(1) for what it does not do."""

from __future__ import annotations

import shlex

from abdicate.errors import SpecError
from abdicate.export.intent import Export, Intent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from abdicate.identity.capabilities import CapabilitySet

__all__ = ["setpriv"]

_LOCKED = "+noroot,+noroot_locked,+no_setuid_fixup,+no_setuid_fixup_locked,+keep_caps_locked"


def setpriv(intent: Intent) -> Export:
    """Return the command line: limits while root, setpriv, then what the user may do himself.

    Raises:
        SpecError: env(1) would take the program's name for a variable.
    """
    if "=" in intent.command[0]:
        raise SpecError("exec", intent.command[0], "env(1) takes a name with = for a variable")
    words = [*_limits(intent), "setpriv", *_flags(intent), "--", *_environment(intent)]
    words += [*_shell(intent), *intent.command]
    return Export(shlex.join(words) + "\n", tuple(_warnings(intent)))


def _limits(intent: Intent) -> Iterator[str]:
    if intent.limits:
        yield "prlimit"
    for limit in intent.limits:
        soft, hard = ("unlimited" if n is None else n for n in (limit.soft, limit.hard))
        yield f"--{limit.resource}={soft}:{hard}"


def _flags(intent: Intent) -> Iterator[str]:
    yield f"--reuid={intent.uid}"
    yield f"--regid={intent.gid}"
    if intent.groups is None:
        yield "--keep-groups"
    elif intent.groups:
        yield f"--groups={','.join(map(str, intent.groups))}"
    else:
        yield "--clear-groups"
    yield f"--inh-caps={_changes(intent.capabilities)}"
    if intent.capabilities:
        yield f"--ambient-caps={_changes(intent.capabilities)}"
    if intent.bounding is not None:
        yield f"--bounding-set={_changes(intent.bounding)}"
    if intent.lock_securebits:
        yield f"--securebits={_LOCKED}"
    if intent.no_new_privs:
        yield "--no-new-privs"
    if intent.parent_death_signal is not None:
        yield f"--pdeathsig={intent.parent_death_signal}"


def _changes(kept: CapabilitySet) -> str:
    names = (f"+{name.removeprefix('CAP_').lower()}" for name in kept.names())
    return ",".join(("-all", *names))


def _environment(intent: Intent) -> Iterator[str]:
    if intent.variables or intent.clear_environment:
        yield "env"
    if intent.clear_environment:
        yield "-i"
        yield "PATH=/usr/local/bin:/usr/bin:/bin"
    for name, value in intent.variables:
        yield f"{name}={value}"


def _shell(intent: Intent) -> Iterator[str]:
    script: list[str] = []
    if intent.umask is not None:
        script.append(f"umask {intent.umask:04o}")
    if intent.working_directory is not None:
        script.append(f"cd {shlex.quote(intent.working_directory)}")
    if script:
        yield from ("sh", "-c", " && ".join([*script, 'exec "$@"']), "sh")


def _warnings(intent: Intent) -> Iterator[str]:
    if intent.bounding is None:
        yield "bounding: the profile leaves it to the starter, and it stays the shell's"
    yield from intent.lost("lock_securebits", why="setpriv does not know no_cap_ambient_raise")
    yield from intent.lost("nice", why="nice(1) adds to what the starter has: no value can be set")
    yield from intent.lost("chroot", why="setpriv would have to be in the new root itself")
    yield from intent.lost("session_keyring", why="keyctl(1) session has to be put in front")
    yield from intent.lost("pidfile", "logfile", "title", why="setpriv has no such flag")
