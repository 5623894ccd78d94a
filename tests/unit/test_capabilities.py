"""Capabilities by name and number, their sets as algebra, and the securebits."""

from __future__ import annotations

import os
import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abdicate.errors import SpecError
from abdicate.identity.capabilities import Capability, CapabilitySet, CapabilitySets, Securebits
from abdicate.identity.credentials import Credentials
from unit.making import BIND, EVERY, NONE, capability_sets, securebits

_CAPABILITY_HEADER = "/usr/include/linux/capability.h"
_SECUREBITS_HEADER = "/usr/include/linux/securebits.h"
_LAST_CAPABILITY = "/proc/sys/kernel/cap_last_cap"


def _read(path: str) -> str:
    with open(path) as file:
        return file.read()


@pytest.mark.skipif(not os.path.exists(_CAPABILITY_HEADER), reason="needs linux/capability.h")
def test_names_and_numbers_are_the_kernels_own() -> None:
    """All 41 of them; a newer header may have more."""
    defined = {
        name: int(number)
        for name, number in re.findall(
            r"^#define (CAP_\w+)\s+(\d+)\s*(?:/\*.*)?$", _read(_CAPABILITY_HEADER), re.MULTILINE
        )
    }
    ours = {str(capability): int(capability) for capability in Capability}
    assert len(ours) == 41
    assert {name: number for name, number in defined.items() if number <= 40} == ours


@pytest.mark.skipif(not os.path.exists(_SECUREBITS_HEADER), reason="needs linux/securebits.h")
def test_securebits_are_the_kernels_own() -> None:
    """The names that the header has, for the bits that have one here."""
    text = _read(_SECUREBITS_HEADER)
    numbers = dict(re.findall(r"^#define SECURE_(\w+)\s+(\d+)", text, re.MULTILINE))
    for name, bit in Securebits.__members__.items():
        assert int(bit) == 1 << int(numbers[name])


@pytest.mark.skipif(not os.path.exists(_LAST_CAPABILITY), reason="needs /proc/sys/kernel")
def test_every_capability_of_this_kernel_has_a_name_of_its_own() -> None:
    """One that has no name here yet is called by its number."""
    last = int(_read(_LAST_CAPABILITY))
    names = CapabilitySet((1 << last + 1) - 1).names()
    assert len(set(names)) == last + 1
    assert set(names[:41]) == {str(capability) for capability in Capability}


@pytest.mark.needs("linux")
@pytest.mark.skipif(not os.path.exists(_LAST_CAPABILITY), reason="needs /proc/sys/kernel")
def test_no_thread_holds_more_than_the_last_capability() -> None:
    """The sets of this very process are read in full."""
    sets = Credentials.current().capabilities
    assert sets is not None
    last = int(_read(_LAST_CAPABILITY))
    assert max(sets.bounding, default=0) <= last


class TestCapability:
    """One capability."""

    @pytest.mark.parametrize("form", ["CAP_{}", "{}", "cap_{}", "Cap_{}"])
    @pytest.mark.parametrize("capability", [Capability.KILL, Capability.NET_BIND_SERVICE])
    def test_it_is_found_by_name(self, capability: Capability, form: str) -> None:
        """With or without the prefix, in either case."""
        for name in (capability.name, capability.name.lower()):
            assert Capability.parse(form.format(name)) is capability

    def test_it_parses_to_itself(self) -> None:
        """A value that is one already passes through."""
        assert Capability.parse(Capability.KILL) is Capability.KILL

    def test_its_text_is_its_name_in_the_manual(self) -> None:
        """And the text is read back."""
        assert str(Capability.SYS_ADMIN) == f"{Capability.SYS_ADMIN}" == "CAP_SYS_ADMIN"
        assert all(Capability.parse(str(each)) is each for each in Capability)

    @pytest.mark.parametrize(
        "value",
        ["", "CAP_", "CAP_CAP_KILL", " CAP_KILL", "CAP_KILL ", "KILLER", "all", "5", "CAP_5",
         "CAP_41", "ſETUID", "KİLL", 5, True, None, b"CAP_KILL", ["CAP_KILL"]],
    )  # fmt: skip
    def test_what_is_no_name_is_refused(self, value: object) -> None:
        """P4: numbers are not names, and no letter of another alphabet is taken for one of ours."""
        with pytest.raises(SpecError) as caught:
            Capability.parse(value, field="capabilities[2]")
        assert caught.value.field == "capabilities[2]"
        assert "like CAP_KILL" in str(caught.value)


class TestCapabilitySet:
    """Sets of capabilities."""

    @given(left=capability_sets, right=capability_sets)
    def test_it_is_the_algebra_of_sets(self, left: CapabilitySet, right: CapabilitySet) -> None:
        """Held against Python's own sets, for all 64 numbers."""
        ours, theirs = set(left), set(right)
        assert set(left | right) == ours | theirs
        assert set(left & right) == ours & theirs
        assert set(left - right) == ours - theirs
        assert (left <= right) == (ours <= theirs)
        assert (left >= right) == (ours >= theirs)
        assert (left == right) == (ours == theirs)
        assert (len(left), bool(left)) == (len(ours), bool(ours))
        assert [number for number in range(64) if number in left] == sorted(ours) == list(left)

    @given(members=st.sets(st.sampled_from(list(Capability))))
    def test_it_is_made_of_members_and_of_their_names(self, members: set[Capability]) -> None:
        """By value, by name, and back."""
        made = CapabilitySet.of(*members)
        assert set(made) == members
        assert CapabilitySet.parse(made.names()) == made
        assert CapabilitySet.parse([name.lower() for name in made.names()]) == made

    @given(each=capability_sets)
    def test_names_tell_sets_apart(self, each: CapabilitySet) -> None:
        """Every member has a name, ascending by number."""
        names = each.names()
        assert len(names) == len(set(names)) == len(each)

    def test_a_newer_kernels_capability_is_kept(self) -> None:
        """A set that forgot it would call a privileged process clean."""
        newer = CapabilitySet(1 << 41 | 1 << 63)
        assert newer
        assert newer != NONE
        assert 41 in newer
        assert newer.names() == ("CAP_41", "CAP_63")
        assert str(newer) == "CAP_41, CAP_63"
        assert newer - EVERY == newer

    @pytest.mark.parametrize(
        ("each", "text"),
        [
            (NONE, "none"),
            (BIND, "CAP_NET_BIND_SERVICE"),
            (CapabilitySet.of(Capability.KILL, Capability.CHOWN), "CAP_CHOWN, CAP_KILL"),
            (EVERY, "all"),
            (EVERY - BIND, "all but CAP_NET_BIND_SERVICE"),
        ],
    )
    def test_its_text_is_the_shorter_of_two(self, each: CapabilitySet, text: str) -> None:
        """What root's sets lack says more than what they have."""
        assert str(each) == text

    def test_what_is_held_besides_does_not_read_as_missing(self) -> None:
        """Since "all but A and B" says that B is not held."""
        newer = CapabilitySet(1 << 41)
        assert "CAP_41" in str(EVERY | newer)
        assert re.search(r"CAP_41.* but CAP_NET_BIND_SERVICE$", str(EVERY - BIND | newer))

    @given(left=capability_sets, right=capability_sets)
    def test_no_two_sets_have_one_text(self, left: CapabilitySet, right: CapabilitySet) -> None:
        """The executor compares what people read."""
        assert (str(left) == str(right)) == (left == right)

    @pytest.mark.parametrize("mask", [-1, 1 << 64, 1 << 100])
    def test_a_mask_has_64_bits(self, mask: int) -> None:
        """capget(2)."""
        with pytest.raises(SpecError, match="64 bits"):
            CapabilitySet(mask)

    @pytest.mark.parametrize("names", ["CAP_KILL", ["CAP_KILL", "nonsense"], [5], [True], [""]])
    def test_only_a_list_of_names_is_taken(self, names: list[object]) -> None:
        """One text would be taken letter by letter."""
        with pytest.raises(SpecError):
            CapabilitySet.parse(names)

    def test_no_names_are_the_empty_set(self) -> None:
        """P13: an empty list is an answer."""
        assert CapabilitySet.parse([]) == CapabilitySet.EMPTY == CapabilitySet()
        assert not CapabilitySet.EMPTY

    def test_a_name_given_twice_counts_once(self) -> None:
        """It is a set."""
        assert CapabilitySet.parse(["KILL", "CAP_KILL"]) == CapabilitySet.of(Capability.KILL)


def test_the_five_sets_are_empty_unless_given() -> None:
    """In the order of /proc/<pid>/status."""
    sets = CapabilitySets()
    assert {getattr(sets, name) for name in CapabilitySets.__fields__} == {NONE}
    assert list(CapabilitySets.__fields__) == [
        "inheritable",
        "permitted",
        "effective",
        "bounding",
        "ambient",
    ]


class TestSecurebits:
    """The securebits."""

    def test_their_text_is_that_of_the_manual_in_lower_case(self) -> None:
        """A bit without a name is called by its number."""
        bits = Securebits.NOROOT | Securebits.NO_SETUID_FIXUP_LOCKED | Securebits(1 << 8)
        assert bits.names() == ("noroot", "no-setuid-fixup-locked", "bit 8")
        assert str(bits) == "noroot, no-setuid-fixup-locked, bit 8"
        assert str(Securebits(0)) == "none"

    @given(bits=securebits)
    def test_each_bit_has_a_name_of_its_own(self, bits: Securebits) -> None:
        """Named or not."""
        assert len(set(bits.names())) == int(bits).bit_count()

    @given(bits=securebits, cleared=securebits)
    def test_clearing_some_keeps_the_others(self, bits: Securebits, cleared: Securebits) -> None:
        """P27: a newer kernel's too, which Python's ``~`` would lose."""
        left = bits.without(cleared)
        assert type(left) is Securebits
        assert int(left) == int(bits) & ~int(cleared)

    @given(bits=securebits)
    def test_they_survive_pickling(self, bits: Securebits) -> None:
        """Unnamed bits too."""
        again = pickle.loads(pickle.dumps(bits))
        assert again == bits
        assert type(again) is Securebits
