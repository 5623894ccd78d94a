"""What an app's tests say of credentials, and what they read where it is not so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abdicate.identity.credentials import ResGid, ResUid
from abdicate.identity.ids import Gid, Uid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from abdicate.identity.capabilities import CapabilitySet
    from abdicate.identity.credentials import Credentials
    from abdicate.kernel.port import Kernel

__all__ = ["assert_held", "credential_diff"]


def credential_diff(expected: Credentials, observed: Credentials) -> str:
    """Return a line for each slot in which the two differ; an empty text: in none.

    A slot that *expected* does not know, None, is not compared.
    """
    found = tuple(expected.differences(observed))
    width = max((len(difference.slot) for difference in found), default=0)
    return "\n".join(
        f"{difference.slot:{width}}  expected {difference.expected}, observed {difference.observed}"
        for difference in found
    )


def assert_held(
    kernel: Kernel,
    *,
    uid: int | None = None,
    gid: int | None = None,
    groups: Iterable[int] | None = None,
    capabilities: CapabilitySet | None = None,
    bounding: CapabilitySet | None = None,
    no_new_privs: bool | None = None,
) -> None:
    """Assert what every thread holds. None: this is not asked.

        >>> from abdicate.testing import FakeKernel, assert_held
        >>> assert_held(FakeKernel.user(1000), uid=1000)
        >>> assert_held(FakeKernel.root(), uid=1000)
        Traceback (most recent call last):
        AssertionError: thread 4242 does not hold what is expected:
        real uid        expected 1000, observed 0
        effective uid   expected 1000, observed 0
        saved uid       expected 1000, observed 0
        filesystem uid  expected 1000, observed 0

    Args:
        kernel: the model, or `abdicate.system_kernel()` in a forked child.
        uid: the real, effective, saved and filesystem uid: all four.
        gid: all four gids.
        groups: the supplementary groups, in any order; no others.
        capabilities: the permitted and the effective set.
        bounding: the bounding set.
        no_new_privs: whether execve(2) can't give privileges any more.

    Raises:
        AssertionError: a thread holds something else; with each slot of each such thread.
        SpecError: an id is out of range.
    """
    wanted: dict[str, object] = {}
    if uid is not None:
        wanted |= {"uid": ResUid.all(Uid(uid)), "filesystem_uid": Uid(uid)}
    if gid is not None:
        wanted |= {"gid": ResGid.all(Gid(gid)), "filesystem_gid": Gid(gid)}
    if no_new_privs is not None:
        wanted["no_new_privs"] = no_new_privs
    members = None if groups is None else frozenset(Gid(group) for group in groups)
    complaints: list[str] = []
    for thread, held in (kernel.threads() or {0: kernel.credentials()}).items():
        sets = held.capabilities
        if sets is not None and capabilities is not None:
            sets = sets.replace(permitted=capabilities, effective=capabilities)
        if sets is not None and bounding is not None:
            sets = sets.replace(bounding=bounding)
        # The kernel keeps the groups in an order of its own.
        same = members is None or members == frozenset(held.groups)
        listed = held.groups if same or members is None else tuple(sorted(members))
        expected = held.replace(**wanted, groups=listed, capabilities=sets)
        if found := credential_diff(expected, held):
            complaints.append(f"thread {thread} does not hold what is expected:\n{found}")
    if complaints:
        raise AssertionError("\n".join(complaints))
