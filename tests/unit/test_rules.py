"""What a step makes of the credentials: rule by rule, and held against the model of the kernel."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from abdicate.executor.apply import apply
from abdicate.identity.capabilities import Capability, CapabilitySet, CapabilitySets, Securebits
from abdicate.identity.credentials import Credentials, ResGid, ResUid
from abdicate.identity.ids import Gid, Uid
from abdicate.identity.situation import ResourceLimit
from abdicate.plan.rules import after, after_uid_change
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
from abdicate.testing import FakeKernel
from abdicate.testing.thread import Machine
from unit.making import (
    AS_ROOT,
    BIND,
    EVERY,
    NONE,
    capability_sets,
    gids,
    group_lists,
    holding,
    linux_credentials,
    securebits,
    some_gids,
    uids,
)

_FULL = CapabilitySets(
    inheritable=BIND, permitted=EVERY, effective=EVERY, bounding=EVERY, ambient=BIND
)
_KEEP, _NO_FIXUP = Securebits.KEEP_CAPS, Securebits.NO_SETUID_FIXUP


class TestUidChange:
    """capabilities(7), "Effect of user ID changes on capabilities"."""

    @staticmethod
    def _left(
        before: tuple[int, int, int], after: tuple[int, int, int], bits: Securebits
    ) -> CapabilitySets:
        old, new = ResUid(*map(Uid, before)), ResUid(*map(Uid, after))
        return after_uid_change(_FULL, bits, old, new)

    @pytest.mark.parametrize("before", [(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0)])
    def test_leaving_root_behind_clears_three_sets(self, before: tuple[int, int, int]) -> None:
        """P23: permitted, effective and ambient; where one uid was 0, and none is."""
        left = self._left(before, (5, 5, 5), Securebits(0))
        assert left == CapabilitySets(inheritable=BIND, bounding=EVERY)

    def test_keeping_spares_the_permitted_set_alone(self) -> None:
        """P25: the ambient set is cleared with it all the same."""
        left = self._left((0, 0, 0), (5, 5, 5), _KEEP)
        assert left == CapabilitySets(inheritable=BIND, permitted=EVERY, bounding=EVERY)

    def test_keeping_spares_an_effective_set_that_was_no_roots(self) -> None:
        """The effective uid was not 0, so the second rule does not clear it either."""
        left = self._left((0, 5, 0), (5, 5, 5), _KEEP)
        assert (left.permitted, left.effective, left.ambient) == (EVERY, EVERY, NONE)

    @pytest.mark.parametrize("after", [(0, 5, 5), (5, 5, 0), (0, 5, 0)])
    def test_a_uid_that_stays_root_keeps_the_permitted_set(
        self, after: tuple[int, int, int]
    ) -> None:
        """P22: and root can be had again."""
        left = self._left((0, 0, 0), after, Securebits(0))
        assert (left.permitted, left.effective, left.ambient) == (EVERY, NONE, BIND)

    def test_an_effective_uid_that_becomes_root_takes_the_permitted_set(self) -> None:
        """The third rule."""
        sets = _FULL.replace(effective=NONE)
        old, new = ResUid(Uid(0), Uid(5), Uid(0)), ResUid.all(Uid(0))
        assert after_uid_change(sets, Securebits(0), old, new).effective == EVERY

    def test_between_two_users_nothing_changes(self) -> None:
        """P23: no uid was 0."""
        assert self._left((5, 5, 5), (6, 6, 6), Securebits(0)) == _FULL

    @pytest.mark.parametrize("bits", [_NO_FIXUP, _NO_FIXUP | _KEEP])
    def test_no_setuid_fixup_switches_all_of_it_off(self, bits: Securebits) -> None:
        """P23."""
        assert self._left((0, 0, 0), (5, 5, 5), bits) == _FULL
        assert self._left((5, 5, 5), (0, 0, 0), bits) == _FULL


@pytest.mark.parametrize(
    ("step", "change"),
    [
        (SetGroups(gids(5, 4, 5)), {"groups": gids(4, 5)}),
        (SetGroups(()), {"groups": ()}),
        (SetGid(Gid(7)), {"gid": ResGid.all(Gid(7)), "filesystem_gid": Gid(7)}),
        (SetUmask(0), {"umask": 0}),
        (SetNoNewPrivs(), {"no_new_privs": True}),
        (SetDumpable(False), {"dumpable": 0}),
        (SetSecurebits(Securebits(1 << 9)), {"securebits": Securebits(1 << 9)}),
        (KeepCapabilities(True), {"securebits": Securebits(_KEEP)}),
        (KeepCapabilities(False), {}),
        (ChangeDirectory("/srv"), {}),
        (ChangeRoot("/srv"), {}),
        (NewSessionKeyring(), {}),
        (SetNice(5), {}),
        (SetParentDeathSignal(9), {}),
        (SetResourceLimit(ResourceLimit("core", 0, 0)), {}),
        (SetEnvironment((("HOME", "/"),)), {}),
    ],
    ids=str,
)
def test_each_step_changes_its_own_slots(step: Step, change: dict[str, object]) -> None:
    """And no other."""
    assert after(step, AS_ROOT) == AS_ROOT.replace(**change)


def test_the_change_of_the_uid_takes_the_sets_along() -> None:
    """All four uids, and the capabilities with them."""
    then = after(SetUid(Uid(7)), AS_ROOT)
    assert then == AS_ROOT.replace(
        uid=ResUid.all(Uid(7)),
        filesystem_uid=Uid(7),
        capabilities=CapabilitySets(bounding=EVERY),
    )


def test_the_bounding_set_is_lowered() -> None:
    """And the others stay: what is permitted already is not bounded by it."""
    then = after(DropBounding(BIND), AS_ROOT)
    assert then.capabilities == CapabilitySets(
        permitted=EVERY, effective=EVERY, bounding=EVERY - BIND
    )


def test_the_ambient_set_stays_within_permitted_and_inheritable() -> None:
    """capabilities(7), "Ambient"."""
    both = BIND | CapabilitySet.of(Capability.KILL)
    held = holding(permitted=both, inheritable=both, ambient=both)
    assert after(SetCapabilities(both, both, BIND), held).capabilities == CapabilitySets(
        inheritable=BIND, permitted=both, effective=both, bounding=EVERY, ambient=BIND
    )
    assert after(SetCapabilities(NONE, NONE, both), held).capabilities == CapabilitySets(
        inheritable=both, bounding=EVERY
    )


@given(bits=securebits, on=st.booleans())
def test_keeping_changes_its_own_bit_alone(bits: Securebits, on: bool) -> None:
    """P27: a newer kernel's bits are still there."""
    then = after(KeepCapabilities(on), AS_ROOT.replace(securebits=bits)).securebits
    assert then is not None
    assert int(then) == int(bits) & ~int(_KEEP) | (int(_KEEP) if on else 0)


@pytest.mark.parametrize(
    "step",
    [
        SetUid(Uid(7)),
        SetGid(Gid(7)),
        DropBounding(BIND),
        SetCapabilities(NONE, NONE, NONE),
        SetAmbient(BIND),
        KeepCapabilities(True),
    ],
    ids=str,
)
def test_what_could_not_be_read_stays_unknown(step: Step) -> None:
    """P44: a step does not make it known."""
    blind = Credentials(ResUid.all(Uid(0)), ResGid.all(Gid(0)), gids(0))
    then = after(step, blind)
    assert (then.filesystem_uid, then.filesystem_gid) == (None, None)
    assert (then.capabilities, then.securebits) == (None, None)


_any_step = st.one_of(
    st.builds(SetGroups, group_lists),
    st.builds(SetGid, some_gids),
    st.builds(SetUid, uids),
    st.builds(KeepCapabilities, st.booleans()),
    st.builds(DropBounding, capability_sets),
    st.builds(SetCapabilities, capability_sets, capability_sets, capability_sets),
    st.builds(SetAmbient, capability_sets),
    st.builds(SetSecurebits, securebits),
    st.builds(SetUmask, st.integers(0, 0o777)),
    st.just(SetNoNewPrivs()),
    st.builds(SetDumpable, st.booleans()),
)


@given(held=linux_credentials(), step=_any_step)
def test_the_model_of_the_kernel_agrees(held: Credentials, step: Step) -> None:
    """Wherever it lets the step happen; it was written from the manual a second time."""
    kernel = FakeKernel(held, machine=Machine(last_capability=63))
    try:
        apply(kernel, step)
    except OSError:
        assume(False)
    # "Dumpable" follows the ids in its own way, and the planner expects nothing of it.
    expected = after(step, held).replace(umask=held.umask)
    if isinstance(step, SetUmask):
        expected = expected.replace(umask=step.mask)
    if not isinstance(step, SetDumpable):
        expected = expected.replace(dumpable=None)
    assert list(expected.differences(kernel.credentials())) == []
