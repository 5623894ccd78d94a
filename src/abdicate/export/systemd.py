"""A systemd service unit: systemd.exec(5), systemd.service(5)."""

from __future__ import annotations

from abdicate.errors import SpecError
from abdicate.export.intent import Export, Intent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["systemd"]

_LOCKED = "noroot noroot-locked no-setuid-fixup no-setuid-fixup-locked keep-caps-locked"


def systemd(intent: Intent) -> Export:
    """Return a unit whose process holds what the intent says.

    Raises:
        SpecError: a text that systemd would read as something else.
    """
    _refuse(intent)
    lines = ["[Unit]", f"Description={_plain(intent.title or intent.name)}", "", "[Service]"]
    lines += _settings(intent)
    return Export("\n".join(lines) + "\n", tuple(_warnings(intent)))


def _settings(intent: Intent) -> Iterator[str]:
    # exec: the unit has started once the program was executed, and not before.
    yield "Type=exec"
    # The program is not searched for variables, so a "$" in it stands for itself.
    words = (_word(intent.command[0], dollars=False), *map(_word, intent.command[1:]))
    yield f"ExecStart={' '.join(words)}"
    yield f"User={intent.user or intent.uid}"
    yield f"Group={intent.gid}"
    for gid in intent.groups or ():
        if gid != intent.gid:
            yield f"SupplementaryGroups={gid}"
    # Empty: none. Left out, systemd would leave what its own default is.
    yield f"AmbientCapabilities={' '.join(intent.capabilities.names())}"
    if intent.bounding is not None:
        yield f"CapabilityBoundingSet={' '.join(intent.bounding.names())}"
    yield f"NoNewPrivileges={'yes' if intent.no_new_privs else 'no'}"
    if intent.lock_securebits:
        yield f"SecureBits={_LOCKED}"
    for limit in intent.limits:
        soft, hard = ("infinity" if n is None else n for n in (limit.soft, limit.hard))
        yield f"Limit{limit.resource.upper()}={soft}:{hard}"
    if intent.nice is not None:
        yield f"Nice={intent.nice}"
    if intent.umask is not None:
        yield f"UMask={intent.umask:04o}"
    if intent.chroot is not None:
        yield f"RootDirectory={_plain(intent.chroot)}"
    if intent.working_directory is not None:
        yield f"WorkingDirectory={_plain(intent.working_directory)}"
    for name, value in intent.variables:
        yield f"Environment={_word(f'{name}={value}', dollars=False)}"
    yield f"KeyringMode={'private' if intent.session_keyring else 'inherit'}"
    if intent.logfile is not None:
        yield f"StandardOutput=append:{_plain(intent.logfile)}"
        yield f"StandardError=append:{_plain(intent.logfile)}"


def _warnings(intent: Intent) -> Iterator[str]:
    surplus = sorted(set(intent.initgroups) - set(intent.groups or intent.initgroups))
    if surplus:
        text = " ".join(map(str, surplus))
        yield f"groups: systemd adds those of the account database, here {text}"
    if intent.groups is None:
        yield "groups: keep: systemd gives those of the account database instead"
    if intent.bounding is None:
        yield "bounding: the profile leaves it to the starter, which is systemd's default here"
    if intent.user is None:
        yield f"user: systemd starts nothing for uid {intent.uid}, which has no account here"
    if not intent.command[0].startswith("/"):
        yield f"exec: systemd looks for {intent.command[0]} in its own search path"
    yield from intent.lost("lock_securebits", why="systemd does not know no-cap-ambient-raise")
    yield from intent.lost("parent_death_signal", why="systemd stops its processes by itself")
    yield from intent.lost("pidfile", why="systemd knows the main process without one")
    yield from intent.lost("title", why="the program has to set it; it is the description here")


def _refuse(intent: Intent) -> None:
    # "+" and "!" would start it with all privileges, systemd.service(5) "Command lines".
    if intent.command[0][:1] in set("@-:+!|"):
        rule = "systemd takes its first character for a prefix: write the program's path"
        raise SpecError("exec", intent.command[0], rule)
    for field in ("title", "name", "chroot", "working_directory", "logfile"):
        text = getattr(intent, field)
        # Outside of quotes: systemd.syntax(7) joins the next line, and strips blanks.
        if text is not None and (text.endswith("\\") or text != text.strip()):
            rule = "a backslash at the end, or a blank at an end, has no place in a unit"
            raise SpecError(field, text, rule)


def _plain(text: str) -> str:
    # "%" begins a specifier, systemd.unit(5).
    return text.replace("%", "%%")


def _word(text: str, *, dollars: bool = True) -> str:
    """Return a word as systemd reads it back: systemd.syntax(7) "Quoting"."""
    escaped = _plain(text).replace("\\", "\\\\").replace('"', '\\"')
    escaped = "".join(c if " " <= c != "\x7f" else f"\\x{ord(c):02x}" for c in escaped)
    return f'"{escaped.replace("$", "$$") if dollars else escaped}"'
