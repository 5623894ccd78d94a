"""Steps onto the port: which call makes which step, and what is given up after a failure."""

from __future__ import annotations

import errno
import os

from abdicate.identity.capabilities import CapabilitySet
from abdicate.plan.plan import Plan
from abdicate.plan.steps import (
    ChangeDirectory,
    ChangeRoot,
    DropBounding,
    KeepCapabilities,
    NewSessionKeyring,
    SetAmbient,
    SetCapabilities,
    SetDumpable,
    SetEnvironment,
    SetGid,
    SetGroups,
    SetNice,
    SetNoNewPrivs,
    SetParentDeathSignal,
    SetResourceLimit,
    SetSecurebits,
    SetUid,
    SetUmask,
    Step,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from abdicate.kernel.port import Kernel

__all__ = ["apply", "named", "surrender"]


def apply(kernel: Kernel, step: Step) -> None:
    """Make *step* happen.

    Raises:
        OSError: with the kernel's answer, where it refused.
    """
    match step:
        case SetResourceLimit(limit):
            kernel.set_resource_limit(limit)
        case SetNice(value):
            kernel.set_thread_nice(value)
        case NewSessionKeyring():
            kernel.join_thread_session_keyring()
        case ChangeRoot(path):
            kernel.change_root(path)
        case DropBounding(capabilities):
            for capability in capabilities:
                kernel.drop_thread_bounding(capability)
        case KeepCapabilities(on):
            kernel.set_thread_keep_capabilities(on)
        case SetGroups(groups):
            kernel.set_groups(groups)
        case SetGid(gid):
            kernel.set_resgid(gid, gid, gid)
        case SetUid(uid):
            kernel.set_resuid(uid, uid, uid)
        case SetCapabilities(permitted, effective, inheritable):
            kernel.set_thread_capabilities(permitted, effective, inheritable)
        case SetAmbient(capabilities):
            kernel.clear_thread_ambient()
            for capability in capabilities:
                kernel.raise_thread_ambient(capability)
        case SetSecurebits(bits):
            kernel.set_thread_securebits(bits)
        case SetParentDeathSignal(signal):
            kernel.set_thread_parent_death_signal(signal)
        case SetDumpable(on):
            kernel.set_dumpable(on)
        case SetNoNewPrivs():
            kernel.set_thread_no_new_privs()
        case ChangeDirectory(path):
            kernel.change_directory(path)
        case SetUmask(mask):
            kernel.set_umask(mask)
        case SetEnvironment(assign, remove, retain):
            kernel.set_environment(assign, remove, retain)
        case _:
            raise TypeError(f"the executor knows no step {step!r}")


def surrender(kernel: Kernel, plan: Plan) -> tuple[str, ...]:
    """Give up what can still be given up, in the order that works; report each call's answer.

    There is no way back to a good state from here. What remains is to leave whoever catches the
    error, in spite of everything, with as little as possible.
    """
    identity, none = plan.identity, CapabilitySet.EMPTY
    calls: list[tuple[str, Callable[[], None]]] = [
        ("keep-capabilities off", lambda: kernel.set_thread_keep_capabilities(False)),
        ("setgroups", lambda: kernel.set_groups([identity.gid])),
        ("setresgid", lambda: kernel.set_resgid(identity.gid, identity.gid, identity.gid)),
        ("setresuid", lambda: kernel.set_resuid(identity.uid, identity.uid, identity.uid)),
    ]
    if identity.uid != 0:
        calls += [
            ("empty capability sets", lambda: kernel.set_thread_capabilities(none, none, none)),
            ("no_new_privs", kernel.set_thread_no_new_privs),
        ]
    return tuple(_answer(name, call) for name, call in calls)


# Times that a call is made again, where one interrupt comes after the other.
_TRIES = 100


def _answer(name: str, call: Callable[[], None]) -> str:
    for _ in range(_TRIES):
        try:
            call()
        except OSError as error:
            return f"{name}: {named(error)}"
        except BaseException:  # noqa: BLE001, S112 - an interrupt is no reason to keep root
            # It may have come in the place of the call. Again, now: after the next one it would
            # not be permitted any more.
            continue
        return f"{name}: done"
    return f"{name}: interrupted"


def named(error: BaseException) -> str:
    """Return what an error says, in one line: the kernel's own name for it, where it is one."""
    if isinstance(error, OSError) and error.errno is not None:
        said = error.strerror or os.strerror(error.errno)
        return f"{errno.errorcode.get(error.errno, error.errno)}, {said}"
    return f"{type(error).__name__}: {error}"
