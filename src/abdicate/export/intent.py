"""What every target is told from: one value, in numbers, with nothing left to look up."""

from __future__ import annotations

from abdicate.errors import SpecError
from abdicate.identity.capabilities import CapabilitySet
from abdicate.identity.ids import Gid, Uid
from abdicate.identity.resolve import KeepGroups, resolve
from abdicate.identity.situation import ResourceLimit
from abdicate.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from abdicate.identity.accounts import AccountDatabase
    from abdicate.identity.credentials import Credentials
    from abdicate.service import Service

__all__ = ["Export", "Intent", "intent_of"]

# The "-1" of 16-bit ids, which some file systems and tools still take for "no id".
_SIXTEEN_BIT_NONE = 65535


class Export(Value):
    """What a target is given.

    Attributes:
        text: the unit, manifest, block or command line.
        warnings: what it can't express, each beginning with the field's name.
    """

    text: str
    warnings: tuple[str, ...]


class Intent(Value):
    """What a service is to be, wherever it is started.

    None in a field means that the profile leaves it to the starter. ``groups`` are the
    supplementary groups, the gid among them; None: the starter's are kept. ``initgroups`` is
    what the account database would give: the targets that ask it can't give less.
    ``capabilities`` are the ambient ones, which an exec leaves. ``variables`` are set in the
    environment; ``clear_environment`` says that no others are.
    """

    name: str
    user: str | None
    uid: Uid
    gid: Gid
    groups: tuple[Gid, ...] | None
    initgroups: tuple[Gid, ...]
    command: tuple[str, ...]
    capabilities: CapabilitySet
    bounding: CapabilitySet | None
    no_new_privs: bool
    lock_securebits: bool
    limits: tuple[ResourceLimit, ...]
    nice: int | None
    umask: int | None
    chroot: str | None
    working_directory: str | None
    variables: tuple[tuple[str, str], ...]
    clear_environment: bool
    parent_death_signal: int | None
    session_keyring: bool
    pidfile: str | None
    logfile: str | None
    title: str | None

    def lost(self, *fields: str, why: str) -> tuple[str, ...]:
        """Return a warning for each of the *fields* that is asked for, with the reason."""
        # By identity: a umask of 0 and a nice value of 0 are asked for, and equal to False.
        left_out = (None, False)
        return tuple(
            f"{field}: {why}"
            for field in fields
            if (value := getattr(self, field)) != () and not any(value is no for no in left_out)
        )


def intent_of(service: Service, accounts: AccountDatabase, current: Credentials) -> Intent:
    """Return the intent of *service*, its names looked up.

    Raises:
        SpecError: uid 0 or gid 0 that is not allowed, the id 65535, no command, a line break or
            bytes that are not UTF-8 in any text, or what an exec undoes.
        AbdicateError: a name does not exist here.
    """
    drop, policy = service.drop, service.drop.policy
    identity = resolve(drop.owner, drop.groups, accounts, current, home=drop.home)
    keeps = isinstance(drop.groups, KeepGroups)
    _refuse(service, (identity.uid, "user"), policy.allow_root)
    for gid in sorted({identity.gid, *(() if keeps else identity.groups)}):
        _refuse(service, (gid, "group"), policy.allow_root_group or identity.uid == 0)
    daemon = service.daemon
    variables: list[tuple[str, str]] = []
    if policy.environment != "keep":
        name = identity.user or str(identity.uid)
        variables = [("HOME", identity.home), ("LOGNAME", name), ("SHELL", identity.shell)]
        variables.append(("USER", name))
    return Intent(
        name=service.name,
        user=identity.user,
        uid=identity.uid,
        gid=identity.gid,
        groups=None if keeps else identity.groups,
        initgroups=_of_the_database(identity.user, identity.gid, accounts),
        command=service.command,
        capabilities=policy.capabilities or CapabilitySet.EMPTY,
        bounding=policy.bounding,
        no_new_privs=policy.no_new_privs,
        lock_securebits=policy.lock_securebits,
        limits=policy.limits,
        nice=policy.nice,
        umask=policy.umask if policy.umask is not None or daemon is None else daemon.umask,
        chroot=policy.chroot,
        working_directory=policy.working_directory or (daemon.workdir if daemon else None),
        variables=tuple(variables),
        clear_environment=policy.environment == "reset",
        parent_death_signal=policy.parent_death_signal or None,
        session_keyring=policy.session_keyring,
        pidfile=None if service.pidfile is None else service.pidfile.path,
        logfile=None if daemon is None else daemon.logfile,
        title=service.title,
    )


def _texts(service: Service) -> Iterator[tuple[str, str]]:
    """Yield every text that a target's own would hold, by the name of its field."""
    policy, daemon = service.drop.policy, service.daemon
    yield "name", service.name
    for word in service.command:
        yield "exec", word
    for name, text in (
        ("title", service.title),
        ("home", service.drop.home),
        ("chroot", policy.chroot),
        ("working_directory", policy.working_directory or (daemon.workdir if daemon else None)),
        ("pidfile", None if service.pidfile is None else service.pidfile.path),
        ("logfile", None if daemon is None else daemon.logfile),
    ):
        if text is not None:
            yield name, text


def _of_the_database(user: str | None, gid: Gid, accounts: AccountDatabase) -> tuple[Gid, ...]:
    if user is None:
        return (gid,)
    return tuple(sorted({gid, *accounts.groups_of(user, gid)}))


def _refuse(service: Service, asked: tuple[int, str], root_is_allowed: bool) -> None:
    number, field = asked
    policy = service.drop.policy
    if number == 0 and not root_is_allowed:
        rule = "it is root's; where that is meant, allow_root or allow_root_group says so"
        raise SpecError(field, number, rule)
    if number == _SIXTEEN_BIT_NONE:
        raise SpecError(field, number, "it is the 16-bit -1, which some targets take for no id")
    if not service.command:
        raise SpecError("exec", [], "a command is wanted: what the target is to start")
    for name, text in _texts(service):
        # A line break would begin a line of its own in a unit, as "User=root".
        if any(mark in text for mark in "\n\r\0"):
            raise SpecError(name, text, "a line break can't be written for every target")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise SpecError(name, text, "it is not UTF-8, as every target's text is") from None
    if policy.capabilities and not policy.ambient:
        rule = "what is kept ends at the exec, capabilities(7): ambient = true, or leave it"
        raise SpecError("capabilities", list(policy.capabilities.names()), rule)
    if policy.dumpable is not None:
        raise SpecError("dumpable", policy.dumpable, "an exec undoes it, prctl(2): limits, core 0")
