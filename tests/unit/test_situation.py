"""What surrounds a process: the maps of a user namespace, and resource limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abdicate.errors import SpecError
from abdicate.identity.situation import IdRange, ResourceLimit, UserNamespace
from unit.making import surrounding

_INITIAL = "         0          0 4294967295\n"
_ROOTLESS = "         0       1000          1\n         1     100000      65536\n"


class TestUserNamespace:
    """Which ids exist."""

    def test_the_initial_one_has_every_id(self) -> None:
        """Read from its files, and as the default."""
        initial = UserNamespace.parse(_INITIAL, _INITIAL, "allow\n")
        assert initial == UserNamespace()
        assert all(initial.maps_uid(uid) and initial.maps_gid(uid) for uid in (0, 1000, 2**32 - 2))
        assert initial.setgroups_allowed

    def test_a_rootless_one_has_the_ids_of_its_lines(self) -> None:
        """P34: and setresuid says EINVAL to every other."""
        rootless = UserNamespace.parse(_ROOTLESS, "0 1000 1\n", "allow")
        assert rootless.uids == (IdRange(0, 1000, 1), IdRange(1, 100000, 65536))
        assert [uid for uid in (0, 1, 65536, 65537, 100000) if rootless.maps_uid(uid)] == [
            0,
            1,
            65536,
        ]
        assert rootless.maps_gid(0)
        assert not rootless.maps_gid(1)

    def test_one_without_maps_has_no_ids(self) -> None:
        """As unshare leaves it."""
        empty = UserNamespace.parse("", "\n", "allow")
        assert (empty.uids, empty.gids) == ((), ())
        assert not empty.maps_uid(0)

    @pytest.mark.parametrize(("text", "allowed"), [("deny\n", False), ("allow\n", True)])
    def test_it_says_whether_setgroups_is_allowed(self, text: str, allowed: bool) -> None:
        """P34: without a privileged helper it is not."""
        assert UserNamespace.parse(_ROOTLESS, _ROOTLESS, text).setgroups_allowed is allowed

    @pytest.mark.parametrize(
        ("text", "initial"),
        [
            (_INITIAL, True),
            (_ROOTLESS, False),
            ("0 0 4294967294\n", False),
            ("0 1 4294967295\n", False),
            ("1 0 4294967295\n", False),
            ("", False),
        ],
    )
    def test_the_initial_one_is_told_apart(self, text: str, initial: bool) -> None:
        """Some capabilities count there alone."""
        assert UserNamespace.parse(text, text, "allow").is_initial is initial

    @given(
        inside=st.integers(0, 100),
        outside=st.integers(0, 100),
        count=st.integers(0, 100),
        number=st.integers(0, 300),
    )
    def test_a_line_counts_from_its_inside(
        self, inside: int, outside: int, count: int, number: int
    ) -> None:
        """Where it leads outside plays no part."""
        line = IdRange(inside, outside, count)
        assert (number in line) == (number in range(inside, inside + count))


class TestResourceLimit:
    """Soft and hard limits."""

    @pytest.mark.parametrize(
        ("soft", "hard", "text"),
        [
            (0, 0, "0:0"),
            (1024, 4096, "1024:4096"),
            (1024, None, "1024:unlimited"),
            (None, None, "unlimited:unlimited"),
            (2**63 - 1, 2**63 - 1, f"{2**63 - 1}:{2**63 - 1}"),
        ],
    )
    def test_its_text_is_soft_and_hard(self, soft: int | None, hard: int | None, text: str) -> None:
        """P7: and 0 is a limit, where None is none."""
        assert str(ResourceLimit("nofile", soft, hard)) == text

    @pytest.mark.parametrize(("soft", "hard"), [(2, 1), (None, 1), (1, 0)])
    def test_the_soft_limit_is_not_above_the_hard_one(
        self, soft: int | None, hard: int | None
    ) -> None:
        """setrlimit(2) says EINVAL."""
        with pytest.raises(SpecError, match="soft limit is above the hard one"):
            ResourceLimit("nofile", soft, hard)

    @pytest.mark.parametrize("value", [-1, 2**63, 2**64 - 1, 2**64, 10**30])
    def test_a_limit_is_a_number_of_the_kernel(self, value: int) -> None:
        """2^64 - 1 would mean "unlimited", -1 too."""
        with pytest.raises(SpecError, match="below 2\\^63"):
            ResourceLimit("nofile", value, value)

    @pytest.mark.parametrize(
        ("asked", "present", "raises"),
        [
            ((1, 10), (1, 10), False),
            ((1, 10), (1, 11), False),
            ((1, 11), (1, 10), True),
            ((1, None), (1, 10), True),
            ((1, 10), (1, None), False),
            ((1, None), (1, None), False),
            ((10, 10), (1, 10), False),
        ],
    )
    def test_raising_is_about_the_hard_limit_alone(
        self, asked: tuple[int, int | None], present: tuple[int, int | None], raises: bool
    ) -> None:
        """P38: only that needs CAP_SYS_RESOURCE."""
        limit, current = ResourceLimit("nofile", *asked), ResourceLimit("nofile", *present)
        assert limit.raises(current) is raises


@pytest.mark.parametrize(
    ("namespace", "number", "hides"),
    [
        (None, 65534, False),
        (UserNamespace(), 65534, False),
        (UserNamespace.parse(_ROOTLESS, _ROOTLESS, "allow"), 65534, True),
        (UserNamespace((), ()), 65534, True),
        (UserNamespace((), ()), 0, False),
        (UserNamespace((), ()), 65533, False),
    ],
)
def test_the_overflow_id_may_hide_another(
    namespace: UserNamespace | None, number: int, hides: bool
) -> None:
    """P34: a root that is not mapped looks like nobody."""
    situation = surrounding().replace(user_namespace=namespace)
    assert situation.may_hide(number) is hides


def test_a_situation_knows_the_limits_that_were_asked_for() -> None:
    """And None for a resource that there is not."""
    nofile = ResourceLimit("nofile", 1, 2)
    situation = surrounding(limits=[nofile])
    assert situation.limit("nofile") == nofile
    assert situation.limit("core") is None
