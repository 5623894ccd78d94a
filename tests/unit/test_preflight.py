"""What stands in the way of a plan, here and now: each reason by itself, and all at once."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from abdicate.executor.apply import apply
from abdicate.identity.capabilities import Capability, CapabilitySet, CapabilitySets, Securebits
from abdicate.identity.credentials import Credentials
from abdicate.identity.ids import Gid, Uid
from abdicate.identity.resolve import Identity
from abdicate.identity.situation import IdRange, ResourceLimit, Situation, UserNamespace
from abdicate.plan.plan import Plan
from abdicate.plan.planner import plan_drop
from abdicate.plan.policy import DropPolicy
from abdicate.plan.preflight import obstacles
from abdicate.plan.steps import SetAmbient, SetCapabilities, SetGroups, SetNice, SetSecurebits
from abdicate.testing import FakeKernel
from abdicate.testing.thread import Machine
from unit.making import (
    APP,
    AS_APP,
    AS_ROOT,
    BIND,
    EVERY,
    MACOS,
    NOBODY,
    NONE,
    SETPCAP,
    gids,
    holding,
    identities,
    linux_situations,
    planned,
    policies,
    seen_on_posix,
    surrounding,
)

_KEEP = DropPolicy(environment="keep")
_NEEDED = CapabilitySet.of(Capability.SETUID, Capability.SETGID)


def _reasons(
    identity: Identity = NOBODY,
    policy: DropPolicy = _KEEP,
    situation: Situation | None = None,
) -> tuple[str, ...]:
    situation = surrounding() if situation is None else situation
    return obstacles(plan_drop(identity, policy, situation), situation)


def _without(*capabilities: Capability) -> Situation:
    """Return root without these."""
    return surrounding(holding(0, 0, (0, 4, 27), permitted=EVERY - CapabilitySet.of(*capabilities)))


def test_nothing_stands_in_roots_way() -> None:
    """The ordinary case."""
    assert _reasons() == ()


def test_nothing_stands_in_the_way_of_an_empty_plan() -> None:
    """P42: whoever one is, and with however many threads."""
    assert _reasons(APP, _KEEP, surrounding(AS_APP, threads=8)) == ()


class TestPrivilege:
    """Capabilities decide, and not uid 0."""

    def test_an_ordinary_user_is_told_every_reason(self) -> None:
        """P19: groups, gid and uid, with what is lacking and who is asking."""
        reasons = _reasons(NOBODY, _KEEP, surrounding(AS_APP))
        assert len(reasons) == 3
        assert "groups can't change from 4 1000 to 65534 without CAP_SETGID" in reasons[0]
        assert "the gid can't become 65534 without CAP_SETGID" in reasons[1]
        assert "the uid can't become 65534 without CAP_SETUID" in reasons[2]
        assert all("(effective uid 1000) does not hold it" in reason for reason in reasons)

    def test_root_without_the_capability_is_refused(self) -> None:
        """P18: a container's root may lack CAP_SETGID, and nothing is swallowed."""
        reasons = _reasons(NOBODY, _KEEP, _without(Capability.SETGID))
        assert len(reasons) == 2
        assert all("CAP_SETGID" in reason for reason in reasons)
        assert _reasons(NOBODY, _KEEP, _without(Capability.SETUID)) == (
            "the uid can't become 65534 without CAP_SETUID, and this process (effective uid 0) "
            "does not hold it",
        )

    def test_a_user_with_the_capabilities_is_not_refused(self) -> None:
        """P18: a service may hold them without being root."""
        held = holding(1000, 1000, (4, 1000), permitted=_NEEDED)
        assert _reasons(NOBODY, _KEEP, surrounding(held)) == ()

    def test_a_permitted_capability_is_not_an_effective_one(self) -> None:
        """P18: the kernel looks at the effective set."""
        held = holding(1000, 1000, (4, 1000), permitted=_NEEDED, effective=NONE)
        assert len(_reasons(NOBODY, _KEEP, surrounding(held))) == 3

    @pytest.mark.parametrize("uids", [(0, 1000, 0), (1000, 1000, 0), (0, 1000, 1000)])
    def test_a_root_that_sleeps_is_told_to_wake(self, uids: tuple[int, int, int]) -> None:
        """P28: after seteuid(user), root is still the real or the saved uid."""
        held = holding(uids, 1000, (4, 1000), permitted=EVERY, effective=NONE)
        reasons = _reasons(NOBODY, _KEEP, surrounding(held))
        assert all("make it effective first, seteuid(0)" in reason for reason in reasons)
        assert len(reasons) == 3

    @pytest.mark.parametrize("uids", [(1000, 65534, 1000), (65534, 1000, 1000)])
    def test_an_id_that_is_held_already_needs_no_capability(
        self, uids: tuple[int, int, int]
    ) -> None:
        """P28: setresuid(2) allows the real, effective and saved one."""
        held = holding(uids, (1000, 1000, 65534), (65534,))
        assert _reasons(NOBODY, _KEEP, surrounding(held)) == ()

    def test_a_filesystem_id_alone_is_not_held(self) -> None:
        """setresuid(2) does not look at it."""
        held = AS_APP.replace(filesystem_uid=Uid(65534))
        plan = planned(
            NOBODY.replace(gid=Gid(1000), groups=gids(4, 1000)), _KEEP, surrounding(held)
        )
        assert any("CAP_SETUID" in reason for reason in obstacles(plan, surrounding(held)))

    def test_capabilities_that_are_to_be_kept_must_be_held(self) -> None:
        """And are named."""
        reasons = _reasons(NOBODY, _KEEP.replace(capabilities=BIND | SETPCAP),
                           _without(Capability.NET_BIND_SERVICE))  # fmt: skip
        assert reasons == (
            "these capabilities are to be kept, and are not held: CAP_NET_BIND_SERVICE",
        )

    @pytest.mark.parametrize(
        ("policy", "lacking", "reason"),
        [
            (_KEEP.replace(bounding=NONE), Capability.SETPCAP, "the bounding set can't be lowered"),
            (
                _KEEP.replace(chroot="/srv"),
                Capability.SYS_CHROOT,
                "the root directory can't become /srv",
            ),
            (_KEEP.replace(nice=-1), Capability.SYS_NICE, "the nice value can't go down to -1"),
            (
                _KEEP.replace(limits=(ResourceLimit("nofile", 1, 200),)),
                Capability.SYS_RESOURCE,
                "the hard limit of nofile can't be raised from 64:128 to 1:200",
            ),
        ],
        ids=["bounding", "chroot", "nice", "limit"],
    )
    def test_each_wish_has_its_capability(
        self, policy: DropPolicy, lacking: Capability, reason: str
    ) -> None:
        """P38: root may lack any of them; and with it, nothing is in the way."""
        limits = [ResourceLimit("nofile", 64, 128)]
        assert _reasons(NOBODY, policy, surrounding(limits=limits)) == ()
        reasons = _reasons(NOBODY, policy, _without(lacking).replace(limits=tuple(limits)))
        assert any(f"{reason} without {lacking}" in found for found in reasons)

    def test_what_needs_no_privilege_is_free(self) -> None:
        """To lower a limit, to be nicer, to shut doors."""
        policy = _KEEP.replace(
            limits=(ResourceLimit("nofile", 1, 100),),
            nice=5,
            no_new_privs=True,
            umask=0o077,
            dumpable=False,
            working_directory="/srv",
            session_keyring=True,
            parent_death_signal=9,
        )
        situation = surrounding(AS_APP, limits=[ResourceLimit("nofile", 64, 128)])
        assert _reasons(APP, policy, situation) == ()

    def test_what_the_steps_before_have_given_up_is_gone(self) -> None:
        """Each step is judged by what is left when its turn comes."""
        # NO_SETUID_FIXUP is not set, so the uid's change takes CAP_SETPCAP along; the planner
        # knows and keeps it, so nothing is in the way. Without that step something would be.
        policy = _KEEP.replace(lock_securebits=True)
        plan = planned(NOBODY, policy)
        assert obstacles(plan, surrounding()) == ()
        hasty = plan.replace(
            steps=tuple(step for step in plan.steps if step.kind != "keep-capabilities")
        )
        found = obstacles(hasty, surrounding())
        assert "these capabilities are to be kept, and are not held: CAP_SETPCAP" in found


class TestLimits:
    """Resource limits."""

    def test_a_resource_that_is_not_there_is_told(self) -> None:
        """By its name."""
        policy = _KEEP.replace(limits=(ResourceLimit("bogus", 1, 1),))
        assert _reasons(NOBODY, policy) == ("this platform has no resource limit 'bogus'",)

    @pytest.mark.parametrize(
        ("present", "asked", "refused"),
        [
            ((10, 20), (20, 20), False),
            ((10, 20), (5, 10), False),
            ((10, 20), (10, 21), True),
            ((10, 20), (10, None), True),
            ((10, None), (10, None), False),
            ((10, None), (10, 20), False),
        ],
    )
    def test_only_a_hard_limit_that_rises_needs_privilege(
        self,
        present: tuple[int, int | None],
        asked: tuple[int, int | None],
        refused: bool,
    ) -> None:
        """P38: a root without CAP_SYS_RESOURCE can't."""
        situation = _without(Capability.SYS_RESOURCE).replace(
            limits=(ResourceLimit("nofile", *present),)
        )
        policy = _KEEP.replace(limits=(ResourceLimit("nofile", *asked),))
        assert bool(_reasons(NOBODY, policy, situation)) is refused

    @pytest.mark.parametrize(
        ("hard", "refused"), [(1000, False), (1001, True), (None, True), (999, False)]
    )
    def test_no_limit_of_descriptors_is_above_the_systems(
        self, hard: int | None, refused: bool
    ) -> None:
        """Not even with CAP_SYS_RESOURCE: fs.nr_open, getrlimit(2)."""
        situation = surrounding(limits=[ResourceLimit("nofile", 64, 128)])
        policy = _KEEP.replace(limits=(ResourceLimit("nofile", 64, hard),))
        assert _reasons(NOBODY, policy, situation) == ()
        reasons = _reasons(NOBODY, policy, situation.replace(descriptors_max=1000))
        assert any("fs.nr_open, which is 1000" in reason for reason in reasons) is refused

    @pytest.mark.parametrize("other", ["fsize", "stack"])
    def test_another_limit_may_be_above_it(self, other: str) -> None:
        """It is about descriptors."""
        situation = surrounding(limits=[ResourceLimit(other, 1, 1)]).replace(descriptors_max=1)
        policy = _KEEP.replace(limits=(ResourceLimit(other, 9, 9),))
        assert _reasons(NOBODY, policy, situation) == ()

    @pytest.mark.parametrize(
        ("soft", "refused"), [(0, True), (9, True), (10, False), (11, False), (4096, False)]
    )
    def test_the_drop_needs_a_few_descriptors_itself(self, soft: int, refused: bool) -> None:
        """P44: or nothing could be read back."""
        situation = surrounding(limits=[ResourceLimit("nofile", 64, 128)])
        situation = situation.replace(next_descriptor=7)
        policy = _KEEP.replace(limits=(ResourceLimit("nofile", soft, 4096),))
        reasons = _reasons(NOBODY, policy, situation)
        told = "no descriptor to verify the drop with; 10 does"
        assert any(told in each for each in reasons) is refused

    def test_a_namespaces_root_can_not_raise_them(self) -> None:
        """P38: CAP_SYS_RESOURCE of a user namespace is none outside, user_namespaces(7)."""
        situation = surrounding(limits=[ResourceLimit("nofile", 64, 128)]).replace(
            user_namespace=_ROOTLESS
        )
        policy = _KEEP.replace(limits=(ResourceLimit("nofile", 64, 256),))
        assert any("nofile" in reason for reason in _reasons(APP, policy, situation))

    def test_the_nice_value_that_is_there_is_not_lowered(self) -> None:
        """In a plan that was stored: ours has no such step."""
        situation = _without(Capability.SYS_NICE).replace(nice=5)
        plan = planned(NOBODY, _KEEP, situation)
        assert obstacles(plan.replace(steps=(SetNice(5),)), situation) == ()
        assert obstacles(plan.replace(steps=(SetNice(4),)), situation) != ()

    def test_a_namespaces_root_can_not_lower_nice(self) -> None:
        """CAP_SYS_NICE of a user namespace is none outside either."""
        situation = surrounding().replace(user_namespace=_ROOTLESS)
        assert any("nice" in reason for reason in _reasons(APP, _KEEP.replace(nice=-1), situation))


class TestThreads:
    """P31: what acts on one thread is refused while others run."""

    @pytest.mark.parametrize(
        ("policy", "kinds"),
        [
            (_KEEP.replace(no_new_privs=True), "no-new-privs"),
            (_KEEP.replace(bounding=NONE), "bounding-set"),
            (_KEEP.replace(capabilities=BIND), "keep-capabilities, capabilities"),
            (_KEEP.replace(nice=5), "nice"),
            (_KEEP.replace(session_keyring=True), "session-keyring"),
            (_KEEP.replace(parent_death_signal=9), "parent-death-signal"),
        ],
    )
    def test_a_step_for_one_thread_is_refused(self, policy: DropPolicy, kinds: str) -> None:
        """P31: with its names, once each."""
        (reason,) = _reasons(NOBODY, policy, surrounding(threads=3))
        assert reason.startswith(f"3 threads run, and {kinds} would change the calling one alone")

    def test_what_libc_does_for_all_threads_is_not(self) -> None:
        """Groups, gid, uid; umask, the working directory and limits belong to the process."""
        policy = _KEEP.replace(umask=0, dumpable=True, limits=(ResourceLimit("nofile", 1, 1),))
        situation = surrounding(threads=3, limits=[ResourceLimit("nofile", 64, 128)])
        assert _reasons(NOBODY, policy, situation) == ()


_ROOTLESS = UserNamespace(
    (IdRange(0, 1000, 1), IdRange(1, 100000, 2000)),
    (IdRange(0, 1000, 1), IdRange(1, 100000, 2000)),
)


class TestUserNamespace:
    """P34: ids that are not mapped, and setgroups that is denied."""

    def test_an_id_that_is_not_mapped_is_told(self) -> None:
        """P30, P34: the kernel would say EINVAL, in the middle."""
        reasons = _reasons(NOBODY, _KEEP, surrounding().replace(user_namespace=_ROOTLESS))
        assert reasons == (
            "gid 65534 does not exist in this user namespace (/proc/self/gid_map)",
            "uid 65534 does not exist in this user namespace (/proc/self/uid_map)",
        )

    def test_a_group_that_is_not_mapped_is_told(self) -> None:
        """P14: glibc's initgroups would leave it out in silence."""
        identity = APP.replace(groups=gids(4, 1000, 5000))
        reasons = _reasons(identity, _KEEP, surrounding().replace(user_namespace=_ROOTLESS))
        assert reasons == ("gid 5000 does not exist in this user namespace (/proc/self/gid_map)",)

    def test_ids_that_are_mapped_are_not(self) -> None:
        """A rootless container drops like any other."""
        assert _reasons(APP, _KEEP, surrounding().replace(user_namespace=_ROOTLESS)) == ()

    def test_setgroups_that_is_denied_is_told(self) -> None:
        """P34: and that the groups of before would stay (nsjail#288)."""
        denied = _ROOTLESS.replace(setgroups_allowed=False)
        (reason,) = _reasons(APP, _KEEP, surrounding().replace(user_namespace=denied))
        assert "forbids setgroups (/proc/self/setgroups)" in reason
        assert "the groups 0 4 27 would stay" in reason

    def test_setgroups_that_is_denied_is_no_matter_where_it_is_not_needed(self) -> None:
        """The groups are right already."""
        denied = _ROOTLESS.replace(setgroups_allowed=False)
        held = holding(0, 0, (4, 1000), permitted=EVERY)
        assert _reasons(APP, _KEEP, surrounding(held).replace(user_namespace=denied)) == ()


class TestGroups:
    """How many there may be."""

    @pytest.mark.parametrize(("count", "refused"), [(32, False), (33, True)])
    def test_more_than_the_system_takes_are_refused(self, count: int, refused: bool) -> None:
        """P17: never cut in silence, as celery cuts 70000 to 65536."""
        identity = NOBODY.replace(groups=gids(*range(1, count), 65534))
        situation = surrounding().replace(groups_max=32)
        reasons = _reasons(identity, _KEEP, situation)
        assert bool(reasons) is refused
        if refused:
            assert reasons == ("33 groups are asked for, and this system takes 32 (NGROUPS_MAX)",)

    def test_thousands_are_told_in_short(self) -> None:
        """P17: the first few, and how many."""
        identity = NOBODY.replace(groups=gids(*range(1, 70_000)))
        reasons = _reasons(identity, _KEEP, surrounding(AS_APP))
        assert all(len(reason) < 400 for reason in reasons)
        assert any("(69999 in all)" in reason for reason in reasons)

    @pytest.mark.parametrize(
        ("count", "told"), [(16, "13 14 15 16 without"), (17, "13 14 15 16 … (17 in all) without")]
    )
    def test_sixteen_are_told_in_full(self, count: int, told: str) -> None:
        """One more, and it is said that there are more."""
        identity = NOBODY.replace(groups=gids(*range(1, count + 1)))
        plan = planned(NOBODY, _KEEP).replace(prior=AS_APP, steps=(SetGroups(identity.groups),))
        (reason,) = obstacles(plan, surrounding(AS_APP))
        assert f"to 1 2 3 4 5 6 7 8 9 10 11 12 {told}" in reason

    @pytest.mark.parametrize(("group", "hidden"), [(65534, True), (4, False)])
    def test_a_group_that_may_be_another_is_told(self, group: int, hidden: bool) -> None:
        """P34: 65534 may stand for any group that is not mapped."""
        held = holding(1000, 1000, (group,))
        situation = surrounding(held).replace(user_namespace=_ROOTLESS)
        plan = planned(APP, _KEEP, surrounding(held)).replace(steps=(SetGroups(gids(4)),))
        (reason,) = obstacles(plan, situation)
        assert ("65534 may stand for a group" in reason) is hidden


class TestLocks:
    """Securebits that can't change any more."""

    def test_keeping_that_is_locked_off_is_told(self) -> None:
        """P26: as it is in a nested minijail."""
        held = holding(0, 0, (0,), permitted=EVERY, securebits=Securebits.KEEP_CAPS_LOCKED)
        reasons = _reasons(NOBODY, _KEEP.replace(capabilities=BIND), surrounding(held))
        assert "keep-capabilities is locked by the securebits of this process" in reasons

    def test_keeping_that_is_locked_is_no_matter_where_it_is_not_needed(self) -> None:
        """P26: neither on nor off."""
        for bits in (Securebits.KEEP_CAPS_LOCKED, Securebits.KEEP_CAPS_LOCKED | 16):
            held = holding(0, 0, (0,), permitted=EVERY, securebits=bits)
            assert _reasons(NOBODY, _KEEP, surrounding(held)) == ()

    @pytest.mark.parametrize(
        ("held", "wanted", "refused"),
        [
            (Securebits.NOROOT_LOCKED, Securebits.NOROOT_LOCKED | Securebits.NOROOT, True),
            (Securebits.NOROOT_LOCKED, Securebits(0), True),
            (Securebits.NOROOT | Securebits.NOROOT_LOCKED, Securebits.NOROOT_LOCKED, True),
            (Securebits(1 << 9), Securebits(1 << 9 | 1 << 8), True),
            (Securebits(1 << 9), Securebits(0), True),
            (Securebits.NOROOT, Securebits(0), False),
            (Securebits.NOROOT_LOCKED, Securebits.NOROOT_LOCKED | Securebits.KEEP_CAPS, False),
        ],
    )  # fmt: skip
    def test_a_locked_bit_does_not_change(
        self, held: Securebits, wanted: Securebits, refused: bool
    ) -> None:
        """P27: nor is a lock opened, a newer kernel's included."""
        prior = holding(0, 0, (0,), permitted=EVERY, securebits=held)
        plan = _with_securebits(prior, wanted)
        reasons = obstacles(plan, surrounding(prior))
        assert any("are locked" in reason for reason in reasons) is refused

    def test_the_lock_needs_a_capability(self) -> None:
        """P18: root without it is told so before anything has changed."""
        policy = _KEEP.replace(lock_securebits=True)
        assert any("CAP_SETPCAP" in reason for reason in _reasons(NOBODY, policy, _without(
            Capability.SETPCAP)))  # fmt: skip
        plan = _with_securebits(AS_APP, Securebits.NOROOT)
        assert obstacles(plan, surrounding(AS_APP)) == (
            "the securebits can't change without CAP_SETPCAP",
        )

    def test_the_lock_is_asked_for_where_a_flag_is_locked_off(self) -> None:
        """It would have to change that flag."""
        held = holding(0, 0, (0,), permitted=EVERY, securebits=Securebits.NOROOT_LOCKED)
        reasons = _reasons(NOBODY, _KEEP.replace(lock_securebits=True), surrounding(held))
        assert len(reasons) == 1
        assert "noroot-locked are locked" in reasons[0]

    def test_raising_ambient_capabilities_that_is_shut_off_is_told(self) -> None:
        """P25."""
        held = holding(0, 0, (0,), permitted=EVERY, securebits=Securebits.NO_CAP_AMBIENT_RAISE)
        policy = _KEEP.replace(capabilities=BIND, ambient=True)
        reasons = _reasons(NOBODY, policy, surrounding(held))
        assert "the securebits of this process forbid to raise ambient capabilities" in reasons

    def test_what_is_not_in_the_bounding_set_is_never_inheritable(self) -> None:
        """capset(2): nor ambient, then."""
        held = holding(0, 0, (0,), permitted=EVERY, bounding=EVERY - BIND)
        policy = _KEEP.replace(capabilities=BIND, ambient=True)
        reasons = _reasons(NOBODY, policy, surrounding(held))
        assert reasons == ("not in the bounding set, so never inheritable: CAP_NET_BIND_SERVICE",)

    @pytest.mark.parametrize(
        ("permitted", "inheritable", "refused"),
        [(BIND, BIND, False), (BIND, NONE, True), (NONE, BIND, True), (NONE, NONE, True)],
    )
    def test_what_is_ambient_is_permitted_and_inheritable(
        self, permitted: CapabilitySet, inheritable: CapabilitySet, refused: bool
    ) -> None:
        """P25: prctl(2) PR_CAP_AMBIENT_RAISE; in a plan that the planner did not make."""
        held = holding(1000, 1000, (4, 1000), permitted=permitted, inheritable=inheritable)
        plan = planned(APP, _KEEP, surrounding(AS_APP)).replace(
            prior=held, steps=(SetAmbient(BIND),)
        )
        reasons = obstacles(plan, surrounding(held))
        assert bool(reasons) is refused
        assert all("never ambient: CAP_NET_BIND_SERVICE" in reason for reason in reasons)

    @pytest.mark.parametrize(("effective", "refused"), [(NONE, True), (SETPCAP, False)])
    def test_what_is_not_permitted_is_inheritable_with_setpcap(
        self, effective: CapabilitySet, refused: bool
    ) -> None:
        """capset(2); in a plan that the planner did not make."""
        held = holding(1000, 1000, (4, 1000), permitted=SETPCAP, effective=effective)
        plan = planned(APP, _KEEP, surrounding(AS_APP)).replace(
            prior=held, steps=(SetCapabilities(NONE, NONE, BIND),)
        )
        reasons = obstacles(plan, surrounding(held))
        assert bool(reasons) is refused
        assert all("not permitted, so not inheritable" in reason for reason in reasons)

    def test_what_is_inheritable_already_may_stay(self) -> None:
        """Though it is out of the bounding set."""
        held = holding(0, 0, (0,), permitted=EVERY, inheritable=BIND, bounding=EVERY - BIND)
        policy = _KEEP.replace(capabilities=BIND, ambient=True)
        assert _reasons(NOBODY, policy, surrounding(held)) == ()


def _with_securebits(prior: Credentials, wanted: Securebits) -> Plan:
    plan = planned(APP, _KEEP, surrounding(AS_APP))
    return plan.replace(prior=prior, steps=(SetSecurebits(wanted),))


class TestOtherPlatforms:
    """macOS and the BSDs."""

    @pytest.mark.parametrize(
        ("policy", "name"),
        [
            (_KEEP.replace(no_new_privs=True), "no_new_privs"),
            (_KEEP.replace(capabilities=BIND), "keeping capabilities"),
            (_KEEP.replace(bounding=NONE), "a bounding set"),
            (_KEEP.replace(lock_securebits=True), "lock_securebits"),
            (_KEEP.replace(dumpable=False), "dumpable"),
            (_KEEP.replace(parent_death_signal=9), "parent_death_signal"),
            (_KEEP.replace(session_keyring=True), "session_keyring"),
        ],
    )
    def test_what_only_linux_has_is_refused(self, policy: DropPolicy, name: str) -> None:
        """A wish is never passed over in silence."""
        assert _reasons(NOBODY, policy, _macos()) == (
            f"{name} is asked for, and darwin has no such thing",
        )

    def test_what_is_nothing_there_is_not_refused(self) -> None:
        """No capabilities, and no signal, is what it has."""
        policy = _KEEP.replace(capabilities=NONE, parent_death_signal=0)
        assert _reasons(NOBODY, policy, _macos()) == ()

    def test_root_decides_there(self) -> None:
        """By the effective uid, where there are no capabilities."""
        assert _reasons(NOBODY, _KEEP, _macos()) == ()
        assert len(_reasons(NOBODY, _KEEP, _macos(1000))) == 3


def _macos(uid: int = 0) -> Situation:
    return surrounding(seen_on_posix(holding(uid, uid, (uid,))), platform=MACOS)


class TestAnotherProcess:
    """A plan is for the process that it was made for."""

    def test_other_credentials_are_refused(self) -> None:
        """With each slot that differs."""
        plan = planned()
        changed = AS_ROOT.replace(groups=gids(0), umask=0)
        (reason,) = obstacles(plan, surrounding(changed))
        assert reason.startswith("the plan was made for other credentials")
        assert "supplementary groups: expected 0 4 27, observed 0" in reason
        assert "umask: expected 0022, observed 0000" in reason

    def test_what_could_not_be_read_is_no_difference(self) -> None:
        """P44: a plan made in sight of /proc, carried out without."""
        blind = AS_ROOT.replace(umask=None, seccomp=None)
        assert obstacles(planned(), surrounding(blind)) == ()


def test_every_reason_is_told_at_once() -> None:
    """Not one after the other, each time that it is tried again."""
    policy = _KEEP.replace(
        bounding=NONE,
        chroot="/srv",
        nice=-5,
        lock_securebits=True,
        limits=(ResourceLimit("nofile", 1, None), ResourceLimit("bogus", 1, 1)),
    )
    situation = surrounding(AS_APP, threads=2, limits=[ResourceLimit("nofile", 1, 2)]).replace(
        user_namespace=UserNamespace((), (), False), groups_max=0
    )
    reasons = _reasons(NOBODY, policy, situation)
    told = "\n".join(reasons)
    for part in (
        "2 threads run",
        "nofile can't be raised",
        "'bogus'",
        "nice value",
        "root directory",
        "bounding set",
        "supplementary groups can't change",
        "forbids setgroups",
        "NGROUPS_MAX",
        "the gid can't become",
        "the uid can't become",
        "gid 65534 does not exist",
        "uid 65534 does not exist",
        "not held: CAP_SETPCAP",
    ):
        assert part in told, part
    assert len(reasons) == len(set(reasons))


def _kernel(situation: Situation) -> FakeKernel:
    """Return the model of the kernel in that very situation."""
    return FakeKernel(
        situation.credentials,
        machine=Machine(last_capability=63),
        limits=situation.limits,
        nice=situation.nice,
        environment=dict(situation.environment),
        directories=("/srv/srv",),
        parent_death_signal=situation.parent_death_signal,
    )


@settings(max_examples=400)
@given(identity=identities(), policy=policies(), situation=linux_situations())
def test_it_refuses_what_the_kernel_would_refuse_and_nothing_else(
    identity: Identity, policy: DropPolicy, situation: Situation
) -> None:
    """The model of the kernel makes the steps, one by one: all of them, or it was told before."""
    kernel = _kernel(situation)
    resources = [limit.resource for limit in policy.limits]
    # What the model says of itself: its umask is never unknown, and it has more limits.
    situation = kernel.situation(resources)
    plan = plan_drop(identity, policy, situation)
    told = obstacles(plan, situation)
    refused = None
    for step in plan.steps:
        try:
            apply(kernel, step)
        except OSError as error:
            refused = (step.kind, str(error))
            break
    assert bool(told) == bool(refused), (told, refused)
    if not told:
        assert list(plan.goal.differences(kernel.credentials())) == []


def test_the_sets_of_the_model_are_those_of_the_situation() -> None:
    """Or the property above would compare two different things."""
    sets = _kernel(surrounding()).credentials().capabilities
    assert sets == CapabilitySets(permitted=EVERY, effective=EVERY, bounding=EVERY)
