"""The test of the test: a model with one wrong rule is found out by the real kernel."""

from __future__ import annotations

from random import Random

import pytest

from abdicate.identity.capabilities import CapabilitySet, CapabilitySets, Securebits
from abdicate.identity.credentials import ResUid
from abdicate.identity.ids import Gid, Uid
from abdicate.identity.situation import UserNamespace
from abdicate.testing.rules import CredentialRules
from abdicate.testing.thread import Machine, Thread
from model.laboratory import Laboratory
from model.sequences import sequence

_MOST_SEQUENCES = 150


class _AmbientSurvives(CredentialRules):
    def fixed_up(self, thread: Thread, uid: ResUid) -> CapabilitySets:
        return super().fixed_up(thread, uid).replace(ambient=thread.sets.ambient)


class _EffectiveSurvives(CredentialRules):
    def fixed_up(self, thread: Thread, uid: ResUid) -> CapabilitySets:
        fixed = super().fixed_up(thread, uid)
        return fixed.replace(effective=thread.sets.effective & fixed.permitted)


class _NoFixupIsIgnored(CredentialRules):
    def fixed_up(self, thread: Thread, uid: ResUid) -> CapabilitySets:
        return super().fixed_up(thread.replace(securebits=Securebits(0)), uid)


class _SavedUidStays(CredentialRules):
    def set_reuid(self, thread: Thread, real: Uid | None, effective: Uid | None) -> Thread:
        new = super().set_reuid(thread, real, effective)
        return new.replace(uid=new.uid.replace(saved=thread.uid.saved))


class _SavedUidAlwaysFollows(CredentialRules):
    def set_reuid(self, thread: Thread, real: Uid | None, effective: Uid | None) -> Thread:
        new = super().set_reuid(thread, real, effective)
        return new.replace(uid=new.uid.replace(saved=new.uid.effective))


class _SetuidIsForTheEffectiveIdAlone(CredentialRules):
    def set_uid(self, thread: Thread, uid: Uid) -> Thread:
        new = super().set_uid(thread, uid)
        return new.replace(uid=thread.uid.replace(effective=uid))


class _FilesystemGidStays(CredentialRules):
    def set_regid(self, thread: Thread, real: Gid | None, effective: Gid | None) -> Thread:
        new = super().set_regid(thread, real, effective)
        return new.replace(filesystem_gid=thread.filesystem_gid)


class _CapsetGrants(CredentialRules):
    def set_capabilities(
        self,
        thread: Thread,
        permitted: CapabilitySet,
        effective: CapabilitySet,
        inheritable: CapabilitySet,
    ) -> Thread:
        more = thread.sets.replace(permitted=thread.sets.permitted | permitted)
        new = super().set_capabilities(thread.replace(sets=more), permitted, effective, inheritable)
        return new.replace(sets=new.sets.replace(permitted=permitted))


class _CapsetLeavesTheAmbientSet(CredentialRules):
    def set_capabilities(
        self,
        thread: Thread,
        permitted: CapabilitySet,
        effective: CapabilitySet,
        inheritable: CapabilitySet,
    ) -> Thread:
        new = super().set_capabilities(thread, permitted, effective, inheritable)
        return new.replace(sets=new.sets.replace(ambient=thread.sets.ambient))


class _LocksAreIgnored(CredentialRules):
    def keep_capabilities(self, thread: Thread, on: bool) -> Thread:
        unlocked = Securebits(int(thread.securebits) & ~int(Securebits.KEEP_CAPS_LOCKED))
        new = super().keep_capabilities(thread.replace(securebits=unlocked), on)
        locked = thread.securebits & Securebits.KEEP_CAPS_LOCKED
        return new.replace(securebits=new.securebits | locked)


class _DeathSignalSurvives(CredentialRules):
    def resets_dumpable(self, before: Thread, after: Thread) -> bool:
        return before.uid.effective != after.uid.effective


class _EveryIdIsMapped(CredentialRules):
    def __init__(self, machine: Machine, namespace: UserNamespace | None) -> None:
        super().__init__(machine, None)


class _EveryoneMaySetuid(CredentialRules):
    def set_uid(self, thread: Thread, uid: Uid) -> Thread:
        return thread.replace(uid=ResUid.all(uid))


@pytest.mark.needs("root", "user namespace")
@pytest.mark.parametrize(
    ("wrong", "start"),
    [
        (_AmbientSurvives, "with ambient capabilities"),
        (_EffectiveSurvives, "real 1000, effective 0, saved 2000"),
        (_NoFixupIsIgnored, "with NO_SETUID_FIXUP"),
        (_SavedUidStays, "as it is"),
        (_SavedUidAlwaysFollows, "real 1000, effective 0, saved 2000"),
        (_SetuidIsForTheEffectiveIdAlone, "as it is"),
        (_FilesystemGidStays, "with groups"),
        (_CapsetGrants, "with reduced sets"),
        (_CapsetLeavesTheAmbientSet, "with ambient capabilities"),
        (_LocksAreIgnored, "with locked securebits"),
        (_DeathSignalSurvives, "with groups"),
        (_EveryIdIsMapped, "in a user namespace of many ids"),
    ],
)
def test_a_wrong_rule_is_found(
    laboratory: Laboratory, wrong: type[CredentialRules], start: str
) -> None:
    assert _is_found(laboratory, wrong, start)


@pytest.mark.needs("linux", "user namespace")
@pytest.mark.parametrize(
    "wrong", [_EveryIdIsMapped, _EveryoneMaySetuid, _CapsetGrants, _CapsetLeavesTheAmbientSet]
)
def test_a_wrong_rule_is_found_without_root(
    laboratory: Laboratory, wrong: type[CredentialRules]
) -> None:
    assert _is_found(laboratory, wrong, "in a user namespace of one id")


def _is_found(laboratory: Laboratory, wrong: type[CredentialRules], start: str) -> bool:
    return any(
        laboratory.divergence(start, sequence(Random(f"{start}, {number}")), wrong)
        for number in range(_MOST_SEQUENCES)
    )


@pytest.mark.needs("linux", "user namespace")
def test_a_divergence_names_the_call_the_answers_and_the_slots(laboratory: Laboratory) -> None:
    start = "in a user namespace of one id"
    told = laboratory.divergence(start, [("set_uid", (Uid(5),))], _EveryoneMaySetuid)
    assert told is not None
    assert told.startswith("start:\n  real uid: 0\n")
    assert "set_uid(Uid(5),): model done, kernel EINVAL" in told
    assert "effective uid: expected 5, observed 0" in told
