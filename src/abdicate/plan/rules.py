"""The kernel's rules, as far as a plan depends on them: what a step makes of the credentials.

Pure functions from credentials to credentials. The planner uses them to know what a step leaves
to do, the preflight to know what each step will be allowed. They are held against the real
kernel by the tests, through the model in `abdicate.testing`.
"""

from __future__ import annotations

from abdicate.identity.capabilities import CapabilitySet, CapabilitySets, Securebits
from abdicate.identity.credentials import Credentials, ResGid, ResUid
from abdicate.plan.steps import (
    DropBounding,
    KeepCapabilities,
    SetAmbient,
    SetCapabilities,
    SetDumpable,
    SetGid,
    SetGroups,
    SetNoNewPrivs,
    SetSecurebits,
    SetUid,
    SetUmask,
    Step,
)

__all__ = ["after", "after_uid_change"]


def after(step: Step, now: Credentials) -> Credentials:
    """Return what *now* becomes when *step* succeeds."""
    sets = now.capabilities
    match step:
        case SetGroups(groups):
            return now.replace(groups=groups)
        case SetGid(gid):
            filesystem_gid = None if now.filesystem_gid is None else gid
            return now.replace(gid=ResGid.all(gid), filesystem_gid=filesystem_gid)
        case SetUid():
            return _after_set_uid(step, now)
        case SetUmask(mask):
            return now.replace(umask=mask)
        case SetNoNewPrivs():
            return now.replace(no_new_privs=True)
        case SetDumpable(on):
            return now.replace(dumpable=int(on))
        case SetSecurebits(bits):
            return now.replace(securebits=bits)
        case KeepCapabilities(on) if now.securebits is not None:
            off = now.securebits.without(Securebits.KEEP_CAPS)
            return now.replace(securebits=off | Securebits.KEEP_CAPS if on else off)
        case DropBounding(capabilities) if sets is not None:
            return now.replace(capabilities=sets.replace(bounding=sets.bounding - capabilities))
        case SetCapabilities(permitted, effective, inheritable) if sets is not None:
            return now.replace(
                capabilities=sets.replace(
                    permitted=permitted,
                    effective=effective,
                    inheritable=inheritable,
                    # cap_capset: the ambient set stays within permitted and inheritable.
                    ambient=sets.ambient & permitted & inheritable,
                )
            )
        case SetAmbient(capabilities) if sets is not None:
            return now.replace(capabilities=sets.replace(ambient=capabilities))
        case _:  # it changes no credential, or one that this kernel does not have
            return now


def _after_set_uid(step: SetUid, now: Credentials) -> Credentials:
    uid = ResUid.all(step.uid)
    sets = now.capabilities
    if sets is not None:
        sets = after_uid_change(sets, now.securebits or Securebits(0), now.uid, uid)
    return now.replace(
        uid=uid,
        filesystem_uid=None if now.filesystem_uid is None else step.uid,
        capabilities=sets,
    )


def after_uid_change(
    sets: CapabilitySets, securebits: Securebits, before: ResUid, after: ResUid
) -> CapabilitySets:
    """Return what a change of the uids makes of the capability sets.

    capabilities(7), "Effect of user ID changes on capabilities", and "The securebits flags" for
    NO_SETUID_FIXUP and KEEP_CAPS. Keep-capabilities spares the permitted set only: the ambient
    set is cleared all the same, and the effective set with the effective uid.
    """
    if securebits & Securebits.NO_SETUID_FIXUP:
        return sets
    permitted, effective, ambient = sets.permitted, sets.effective, sets.ambient
    if 0 in before and 0 not in after:
        if not securebits & Securebits.KEEP_CAPS:
            permitted = effective = CapabilitySet.EMPTY
        ambient = CapabilitySet.EMPTY
    if before.effective == 0 and after.effective != 0:
        effective = CapabilitySet.EMPTY
    elif before.effective != 0 and after.effective == 0:
        effective = permitted
    return sets.replace(permitted=permitted, effective=effective, ambient=ambient)
