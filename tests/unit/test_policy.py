"""What a drop may be asked to do besides becoming somebody, and what it may not."""

from __future__ import annotations

import pytest
from hypothesis import given

from abdicate.errors import SpecError
from abdicate.identity.situation import ResourceLimit
from abdicate.plan.policy import DropPolicy
from unit.making import BIND, NONE, policies


def test_by_default_everything_stays() -> None:
    """But the account's variables, which are the new user's."""
    policy = DropPolicy()
    changed = {name for name in DropPolicy.__fields__ if getattr(policy, name) not in (None, False)}
    assert changed == {"limits", "environment"}
    assert (policy.limits, policy.environment) == ((), "account")


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("umask", (0, 0o022, 0o777)),
        ("nice", (-20, 0, 19)),
        ("parent_death_signal", (0, 9, 64)),
        ("chroot", ("/", "/srv", "//")),
        ("working_directory", ("/", "/srv/a b")),
        ("environment", ("account", "keep", "reset")),
        ("capabilities", (NONE, BIND)),
    ],
)
def test_a_value_in_its_range_is_taken(field: str, values: tuple[object, ...]) -> None:
    """P7: the zero of each field too."""
    for value in values:
        assert getattr(DropPolicy().replace(**{field: value}), field) == value


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("umask", (-1, 0o1000, True, "022", 18.0)),
        ("nice", (-21, 20, True, False, "5", 5.0)),
        ("parent_death_signal", (-1, 65, True, "TERM", 9.0)),
        ("chroot", ("", "srv", "./srv", "~", "/srv\0x", "/\ud800")),
        ("working_directory", ("", "srv", "..", "/srv\0x", "/\ud800")),
        ("environment", ("", "clear", "ACCOUNT", None, True)),
    ],
)
def test_a_value_out_of_its_range_is_refused(field: str, values: tuple[object, ...]) -> None:
    """P4, P29: here, and not by the kernel in the middle of a drop."""
    for value in values:
        with pytest.raises(SpecError) as caught:
            DropPolicy().replace(**{field: value})
        assert caught.value.field == field
        assert caught.value.value == value


def test_each_resource_is_named_once() -> None:
    """Or which of the two is meant?"""
    with pytest.raises(SpecError, match="each resource is named once"):
        DropPolicy(limits=(ResourceLimit("core", 0, 0), ResourceLimit("core", 1, 1)))
    both = (ResourceLimit("core", 0, 0), ResourceLimit("nofile", 0, 0))
    assert DropPolicy(limits=both).limits == both


@pytest.mark.parametrize("capabilities", [None, NONE])
def test_ambient_needs_something_to_keep(capabilities: None) -> None:
    """It would mean nothing, and somebody meant something by it."""
    with pytest.raises(SpecError, match=r"^ambient True: there are no kept capabilities"):
        DropPolicy(capabilities=capabilities, ambient=True)
    assert DropPolicy(capabilities=BIND, ambient=True).ambient


@given(policy=policies())
def test_policies_are_values(policy: DropPolicy) -> None:
    """Equal, hashable, and checked again when one is made of another."""
    again = policy.replace()
    assert again == policy
    assert hash(again) == hash(policy)
