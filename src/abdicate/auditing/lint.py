"""`lint`: a service against every rule. Pure, but for the account database and the files."""

from __future__ import annotations

import os
import stat

from abdicate.auditing.files import Files, can_replace, can_write
from abdicate.auditing.findings import RULES, Finding
from abdicate.errors import AbdicateError
from abdicate.identity.capabilities import Capability
from abdicate.identity.resolve import KeepGroups, resolve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from abdicate.identity.accounts import AccountDatabase
    from abdicate.identity.credentials import Credentials
    from abdicate.identity.resolve import Identity
    from abdicate.service import Service

__all__ = ["ROOT_CAPABILITIES", "ROOT_GROUPS", "Surroundings", "lint"]

#: Groups whose members can become root, and how. Names, since the numbers are the system's.
ROOT_GROUPS = {
    "docker": "a container may mount the whole file system",
    "lxd": "a container may mount the whole file system",
    "incus-admin": "a container may mount the whole file system",
    "libvirt": "a virtual machine may be given the machine's disks",
    "sudo": "its members may execute anything as root",
    "wheel": "its members may execute anything as root",
    "admin": "its members may execute anything as root",
    "disk": "its members read and write the raw disks",
    "kmem": "its members read the kernel's memory",
    "shadow": "its members read the hashed passwords",
    "kvm": "its members reach the kernel through /dev/kvm",
    "staff": "its members write to /usr/local, which root's PATH begins with",
    "adm": "its members read the system's logs",
    "systemd-journal": "its members read the system's logs",
}

#: Capabilities that lead back to root, and how: capabilities(7).
ROOT_CAPABILITIES = {
    Capability.CHOWN: "it can take any file, /etc/shadow too",
    Capability.DAC_OVERRIDE: "it can write to any file",
    Capability.DAC_READ_SEARCH: "it can read any file, and open files by handle",
    Capability.FOWNER: "it can change the mode of any file",
    Capability.SETGID: "it can take any group, and forge its gid",
    Capability.SETUID: "it can become root",
    Capability.SETPCAP: "it can add inheritable capabilities from its bounding set",
    Capability.SYS_MODULE: "it can load code into the kernel",
    Capability.SYS_RAWIO: "it can reach the machine's memory and ports",
    Capability.SYS_CHROOT: "it can give a set-user-ID program a root directory of its own",
    Capability.SYS_PTRACE: "it can take over any process",
    Capability.SYS_ADMIN: "it can mount, and nearly everything else",
    Capability.SYS_BOOT: "it can load another kernel",
    Capability.MKNOD: "it can make a device file of the disk",
    Capability.SETFCAP: "it can give any program any capability",
    Capability.MAC_ADMIN: "it can change the mandatory access control",
    Capability.BPF: "it can load programs into the kernel",
}

_SHARED_ACCOUNTS = frozenset({"nobody", "nogroup", "daemon", "bin", "sys"})
_NO_LOGIN = frozenset({"nologin", "false", "sync", "true"})
_DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"


class Surroundings:
    """What the rules look at, each thing once, however many services are judged.

    Args:
        accounts: where names are looked up; `CachedAccounts` asks once for each.
        current: what a service keeps where nothing else is asked.
        files: the file system.
        subordinate: the ranges of subuid(5), as (first, count, owner).
    """

    def __init__(
        self,
        accounts: AccountDatabase,
        current: Credentials,
        files: Files | None = None,
        subordinate: Sequence[tuple[int, int, str]] = (),
    ) -> None:
        self.accounts = accounts
        self.current = current
        self.files: Files = Files() if files is None else files
        self.subordinate: tuple[tuple[int, int, str], ...] = tuple(subordinate)


def lint(service: Service, around: Surroundings) -> tuple[Finding, ...]:
    """Return what is to be said about a service, without what it accepts with a reason.

    Args:
        service: what is judged.
        around: the accounts and files that it will find.
    """
    found = list(_broken(service, around))
    codes = {code for code, _, _ in found}
    accepted = {suppression.code for suppression in service.suppressed}
    kept = [entry for entry in found if entry[0] not in accepted]
    for code in sorted(accepted):
        if code not in RULES:
            kept.append(("ABD902", f"ignore.{code}", "there is no finding of that code"))
        elif code not in codes:
            kept.append(("ABD901", f"ignore.{code}", f"{code} is not found here: leave it out"))
    return tuple(
        Finding(code, RULES[code].severity, service.name, key, message)
        for code, key, message in sorted(kept)
    )


_Entry = tuple[str, str, str]


def _broken(service: Service, around: Surroundings) -> Iterator[_Entry]:
    drop = service.drop
    yield from _capabilities(service)
    yield from _surroundings(service)
    try:
        identity = resolve(drop.owner, drop.groups, around.accounts, around.current, home=drop.home)
    except AbdicateError as error:
        yield "ABD106", "drop", f"{error}; it will not start here"
        return
    yield from _account(service, identity, around)
    yield from _groups(service, identity, around)
    yield from _places(service, identity, around.files)


def _account(service: Service, identity: Identity, around: Surroundings) -> Iterator[_Entry]:
    if identity.uid == 0:
        yield "ABD101", "drop.user", "uid 0 is root: name a user of its own"
        return
    if identity.user is None:
        what = f"uid {identity.uid} has no entry: the next account that is made may get it"
        yield "ABD107", "drop.user", what
    if identity.user in _SHARED_ACCOUNTS:
        what = f"{identity.user} may be other services' user too, which it can signal and trace"
        yield "ABD105", "drop.user", what
    shell = identity.shell.rpartition("/")[2]
    if identity.user is not None and shell not in _NO_LOGIN:
        yield "ABD109", "drop.user", f"the shell of {identity.user} is {identity.shell}: nologin(8)"
    for first, count, owner in around.subordinate:
        if first <= identity.uid < first + count and owner != identity.user:
            what = f"uid {identity.uid} is among the subordinate ids of {owner}, subuid(5)"
            yield "ABD108", "drop.user", what


def _groups(service: Service, identity: Identity, around: Surroundings) -> Iterator[_Entry]:
    if isinstance(service.drop.groups, KeepGroups):
        if identity.uid not in around.current.uid:
            what = "keep leaves it in the starter's groups: init, only or exactly"
            yield "ABD103", "drop.groups", what
        groups = [identity.gid]
    else:
        groups = sorted({identity.gid, *identity.groups})
    if 0 in groups and identity.uid != 0:
        yield "ABD102", "drop.group", "gid 0 is root's group, which many files trust"
    for gid in groups:
        entry = around.accounts.group_by_gid(gid)
        if entry is not None and entry.name in ROOT_GROUPS:
            key = "drop.group" if gid == identity.gid else "drop.groups"
            yield "ABD104", key, f"group {entry.name} (gid {gid}): {ROOT_GROUPS[entry.name]}"


def _capabilities(service: Service) -> Iterator[_Entry]:
    policy = service.drop.policy
    for capability in policy.capabilities or ():
        known = ROOT_CAPABILITIES.get(Capability(capability)) if capability in _NUMBERS else None
        if known is not None:
            yield "ABD301", "drop.capabilities", f"{Capability(capability)}: {known}"
    if not policy.no_new_privs:
        what = "set-user-ID programs still give it a user: no_new_privs = true"
        yield "ABD302", "drop.no_new_privs", what


_NUMBERS = frozenset(map(int, Capability))


def _surroundings(service: Service) -> Iterator[_Entry]:
    policy, daemon = service.drop.policy, service.daemon
    masks = [("drop.umask", policy.umask)]
    if daemon is not None and policy.umask is None:
        masks.append(("daemon.umask", daemon.umask))
    for key, mask in masks:
        if mask is not None and not mask & stat.S_IWOTH:
            yield "ABD303", key, f"umask {mask:04o} lets everybody write: 0022, or 0027"
    if policy.chroot is None:
        return
    kept: list[tuple[str, str]] = []
    if service.pidfile is not None:
        kept.append(("pidfile", f"the pidfile {service.pidfile.path}"))
    if daemon is not None:
        kept += [("daemon.logfile", f"the log {daemon.logfile}")] if daemon.logfile else []
        kept += [("daemon", f"descriptor {number}") for number in daemon.keep]
    for key, what in kept:
        yield "ABD401", key, f"{what} stays open, from outside of {policy.chroot}"


def _places(service: Service, identity: Identity, files: Files) -> Iterator[_Entry]:
    if identity.uid == 0:
        return
    who = f"{identity.user or 'uid'} ({identity.uid})"
    lock, daemon = service.pidfile, service.daemon
    if lock is not None:
        if lock.owner == identity.uid:
            what = f"{lock.path} is given to {who}, who can aim the signals of root's tools"
            yield "ABD201", "pidfile.owner", what
        if place := can_replace(lock.path, identity, files):
            what = f"{who} can write to {place}, and so replace {lock.path}"
            yield "ABD202", "pidfile.path", what
    log = None if daemon is None else daemon.logfile
    if log is not None and (place := can_replace(log, identity, files)):
        yield "ABD203", "daemon.logfile", f"{who} can write to {place}, where root opens {log}"
    home = files.status(identity.home)
    if home is not None and home.st_mode & stat.S_IWOTH and stat.S_ISDIR(home.st_mode):
        yield "ABD204", "drop.home", f"everybody can write to the home {identity.home}"
    if chroot := service.drop.policy.chroot:
        root = files.status(chroot)
        if root is not None and can_write(root, identity):
            yield "ABD402", "drop.chroot", f"{who} can write to {chroot}, and make an /etc in it"
    yield from _program(service, identity, files, who)


def _program(service: Service, identity: Identity, files: Files, who: str) -> Iterator[_Entry]:
    # In another root directory it is another program, which is found when it starts.
    if not service.command or service.drop.policy.chroot is not None:
        return
    name = service.command[0]
    folders = _DEFAULT_PATH.split(":") if "/" not in name else ["/"]
    paths = [os.path.join(folder, name) for folder in folders]
    for path in paths:
        found = files.status(path)
        if found is None:
            continue
        if can_write(found, identity):
            yield "ABD205", "exec", f"{who} can write to {path}, which root starts"
        elif place := can_replace(path, identity, files):
            yield "ABD205", "exec", f"{who} can write to {place}, and so replace {path}"
        return
    yield "ABD206", "exec", f"there is no {name} here"
