"""Trying to regain: each id, the groups and the capabilities that the process gave up.

Reading back shows what the kernel says that it holds; these calls show what it would let through.
"Setuid Demystified" found the difference in practice, and openssh's permanently_set_uid made the
attempt a habit. A call that succeeds leaves the process privileged: whoever asks for attempts
must stop at the first success, and never go on from there.
"""

from __future__ import annotations

import errno

from abdicate.identity.capabilities import Capability, CapabilitySet
from abdicate.identity.credentials import Credentials
from abdicate.plan.report import Attempt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from abdicate.kernel.port import Kernel

    Attack = tuple[str, str, Callable[[], None]]

__all__ = ["attempts"]


def attempts(kernel: Kernel, before: Credentials, goal: Credentials) -> Iterator[Attempt]:
    """Make each attempt and yield what came of it. Stop at one that succeeded.

    An attempt that the plan itself leaves possible (CAP_SETUID is kept, the process stays root)
    is not made, and says so.
    """
    for call, reason, attack in _attacks(kernel, before, goal):
        if reason:
            yield Attempt(call, "not tried", reason)
            continue
        try:
            attack()
        except OSError as error:
            # EPERM; EINVAL for an id that a user namespace does not map.
            yield Attempt(call, "refused", errno.errorcode.get(error.errno or 0, "?"))
        else:
            yield Attempt(call, "succeeded")


def _attacks(kernel: Kernel, before: Credentials, goal: Credentials) -> Iterator[Attack]:
    uids = (before.uid.real, before.uid.effective, before.uid.saved, before.filesystem_uid)
    reason = _possible_by_plan(Capability.SETUID, goal)
    for uid in sorted({uid for uid in uids if uid is not None and uid not in goal.uid}):
        yield f"setresuid(-1, {uid}, -1)", reason, _call(kernel.set_resuid, None, uid, None)
        yield f"setreuid(-1, {uid})", reason, _call(kernel.set_reuid, None, uid)
        yield f"setuid({uid})", reason, _call(kernel.set_uid, uid)
    gids = (before.gid.real, before.gid.effective, before.gid.saved, before.filesystem_gid)
    reason = _possible_by_plan(Capability.SETGID, goal)
    for gid in sorted({gid for gid in gids if gid is not None and gid not in goal.gid}):
        yield f"setresgid(-1, {gid}, -1)", reason, _call(kernel.set_resgid, None, gid, None)
        yield f"setregid(-1, {gid})", reason, _call(kernel.set_regid, None, gid)
        yield f"setgid({gid})", reason, _call(kernel.set_gid, gid)
    if set(before.groups) - set(goal.groups):
        yield "setgroups(as before)", reason, _call(kernel.set_groups, before.groups)
    held, left = _permitted(before), _permitted(goal)
    if held - left:
        attack = _call(kernel.set_thread_capabilities, held, held, _inheritable(goal))
        yield "capset(as before)", "", attack


def _call(function: Callable[..., None], *arguments: object) -> Callable[[], None]:
    return lambda: function(*arguments)


def _possible_by_plan(capability: Capability, goal: Credentials) -> str:
    if goal.capabilities is not None and capability in goal.capabilities.effective:
        return f"{capability} is kept, as the plan says"
    if goal.capabilities is None and goal.uid.effective == 0:
        return "the process stays root, as the plan says"
    return ""


def _permitted(credentials: Credentials) -> CapabilitySet:
    sets = credentials.capabilities
    return CapabilitySet.EMPTY if sets is None else sets.permitted


def _inheritable(credentials: Credentials) -> CapabilitySet:
    sets = credentials.capabilities
    return CapabilitySet.EMPTY if sets is None else sets.inheritable
