"""Users and groups in the shape of ``celery.platforms``; the work is the planner's and executor's.

What is added here is only what that shape asks for: warnings where root is what was asked for,
and the exceptions that a caller of the original expects.
"""

from __future__ import annotations

import errno
import os
import sys
import warnings

from abdicate.errors import PreflightError, SecurityError, SecurityWarning, UnknownUserError
from abdicate.identity.accounts import SystemAccounts
from abdicate.identity.capabilities import Capability
from abdicate.identity.ids import Gid, Owner, Uid, parse_group, parse_user
from abdicate.identity.resolve import KeepGroups, resolve_gid, resolve_uid
from abdicate.kernel import system_kernel
from abdicate.plan.policy import DropPolicy
from abdicate.request import DropRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from abdicate.identity.credentials import Credentials
    from abdicate.identity.resolve import GroupPolicy

__all__ = [
    "ROOT_DISALLOWED",
    "ROOT_DISCOURAGED",
    "check_privileges",
    "initgroups",
    "maybe_drop_privileges",
    "parse_gid",
    "parse_uid",
    "setgid",
    "setgroups",
    "setuid",
]

ROOT_DISALLOWED = """\
This process is root (uid={uid} euid={euid} gid={gid} egid={egid}), and accepts messages that can
make it execute anything (pickle). It does not start like this. Give it a user of its own; to
accept the danger all the same, set C_FORCE_ROOT in its environment."""
"""What `check_privileges` raises where messages are dangerous."""

ROOT_DISCOURAGED = """\
This process is root (uid={uid} euid={euid} gid={gid} egid={egid}). Give it a user of its own."""
"""What `check_privileges` warns of otherwise."""

_GROUPS_LIKE_ROOT = frozenset({"sudo", "wheel"})

# Nothing but the identity changes, as with celery's; what is root by request is allowed.
_POLICY = DropPolicy(environment="keep", allow_root=True, allow_root_group=True)


def parse_uid(uid: int | str) -> Uid:
    """Return the uid of a user's name or number; a number needs no entry.

    Raises:
        KeyError: there is no user of that name.
        ValueError: it is neither a name nor an id: empty, a bool, a float, below 0, "1_000", …
    """
    return resolve_uid(parse_user(uid, field="uid"), SystemAccounts())


def parse_gid(gid: int | str) -> Gid:
    """Return the gid of a group's name or number; a number needs no entry.

    Raises:
        KeyError: there is no group of that name.
        ValueError: it is neither a name nor an id.
    """
    return resolve_gid(parse_group(gid, field="gid"), SystemAccounts())


def setgroups(groups: Iterable[int | str]) -> None:
    """Make these the supplementary groups, by name or gid, and no others; setgroups(2).

    Raises:
        KeyError: there is no group of that name.
        ValueError: one is neither a name nor an id.
        OSError: the kernel refused: EPERM, or EINVAL for too many. Nothing is cut off.
    """
    system_kernel().set_groups([parse_gid(group) for group in groups])


def initgroups(uid: int | str, gid: int | str) -> None:
    """Set the supplementary groups to those of the user in the database, and *gid*.

    The real, effective and saved gid stay as they are: `setgid`.

    Raises:
        KeyError: there is no such user or group; a uid needs an entry here.
        ValueError: one is neither a name nor an id.
        OSError: the kernel refused; a group that it does not take is not left out in silence.
    """
    accounts = SystemAccounts()
    account = accounts.user_by_uid(parse_uid(uid))
    if account is None:
        raise UnknownUserError(uid, "its groups are not known without an entry")
    own = parse_gid(gid)
    others = [group for group in accounts.groups_of(account.name, own) if group != own]
    system_kernel().set_groups([own, *others])


def setgid(gid: int | str) -> None:
    """Change the gid, by name or number; for root all three of them, setgid(2).

    Raises:
        KeyError, ValueError: as `parse_gid`.
        OSError: the kernel refused.
    """
    system_kernel().set_gid(parse_gid(gid))


def setuid(uid: int | str) -> None:
    """Change the uid, by name or number; for root all three of them, setuid(2).

    Raises:
        KeyError, ValueError: as `parse_uid`.
        OSError: the kernel refused.
    """
    system_kernel().set_uid(parse_uid(uid))


def maybe_drop_privileges(uid: int | str | None = None, gid: int | str | None = None) -> None:
    """Become *uid* and *gid*, wholly, or raise. Neither: nothing happens, nor on Windows.

    With *uid* alone the group becomes the user's login group. The supplementary groups become
    those of the database. With *gid* alone the user stays, and the supplementary groups become
    that one where the process may set them. Everything is read back, and what was given up is
    tried to be regained.

    Root (``uid=0``) and its group are given where they are asked for, with a `SecurityWarning`;
    root alone leaves the groups as they are.

    Args:
        uid: a user's name or number; None: the user stays.
        gid: a group's name or number; None: see above.

    Raises:
        KeyError: there is no such user or group; or *uid* has no entry, and *gid* is not given.
        ValueError: one is neither a name nor an id; empty text does not mean "none".
        SecurityError: root would remain in one of this process's uids. Nothing has changed.
        PermissionError: this process may not become that. Nothing has changed.
        IncompleteDropError: it failed after the first change. Not an `Exception`: leave.

    Warns:
        SecurityWarning: root, or root's group, is what the process is now.
    """
    if sys.platform == "win32" or (uid is None and gid is None):
        return
    kernel = system_kernel()
    held = kernel.credentials()
    owner = Owner(
        None if uid is None else parse_user(uid, field="uid"),
        None if gid is None else parse_group(gid, field="gid"),
    )
    request = DropRequest(owner, _groups(owner, held), policy=_POLICY)
    try:
        proof = request.apply(kernel=kernel)
    except PreflightError as refused:
        if 0 in held.uid:
            raise SecurityError(f"root would remain: {refused}") from refused
        raise PermissionError(errno.EPERM, str(refused)) from refused
    identity = proof.report.plan.identity
    if uid is not None and identity.uid == 0:
        warnings.warn("nothing was dropped: root was asked for", SecurityWarning, stacklevel=2)
    elif 0 in (identity.gid, *identity.groups):
        warnings.warn(
            f"gid 0, root's group, is among the groups of {identity}", SecurityWarning, stacklevel=2
        )


def _groups(owner: Owner, held: Credentials) -> GroupPolicy | None:
    # Root without a group is what the process has. And a group alone, in a process that may not
    # set its list, leaves that as it is.
    sets = held.capabilities
    may_set = held.uid.effective == 0 if sets is None else Capability.SETGID in sets.effective
    stays = owner.group is None and owner.user in (0, "root")
    return KeepGroups() if stays or (owner.user is None and not may_set) else None


def check_privileges(accept_content: Collection[str]) -> None:
    """Refuse to run as root where messages can execute anything, and warn of root otherwise.

    Root is uid or effective uid 0, a gid whose members may become root (sudo, wheel), and a gid
    without an entry, of which nothing is known. C_FORCE_ROOT in the environment turns the
    refusal into the warning.

    Args:
        accept_content: the kinds of messages that the program accepts, by name or media type.

    Raises:
        SecurityError: it is root, and accepts pickle.

    Warns:
        SecurityWarning: it is root.
    """
    if sys.platform == "win32":
        return
    ids = {"uid": os.getuid(), "euid": os.geteuid(), "gid": os.getgid(), "egid": os.getegid()}
    accounts = SystemAccounts()
    groups = [accounts.group_by_gid(Gid(ids[kind])) for kind in ("gid", "egid")]
    named = {group.name for group in groups if group is not None}
    if None in groups:
        warnings.warn(
            f"the gid {ids['gid']} or {ids['egid']} has no entry: it is taken for root's",
            SecurityWarning,
            stacklevel=2,
        )
    elif 0 not in (ids["uid"], ids["euid"]) and not named & _GROUPS_LIKE_ROOT:
        return
    dangerous = "pickle" in accept_content or "application/group-python-serialize" in accept_content
    if dangerous and not os.environ.get("C_FORCE_ROOT"):
        raise SecurityError(ROOT_DISALLOWED.format(**ids))
    warnings.warn(ROOT_DISCOURAGED.format(**ids), SecurityWarning, stacklevel=2)
