"""The planner: which steps, in which order, and none that is not needed."""

from __future__ import annotations

from typing import ClassVar

import pytest
from hypothesis import given

from abdicate.errors import PreflightError
from abdicate.identity.capabilities import Capability, CapabilitySet, CapabilitySets, Securebits
from abdicate.identity.credentials import Credentials, ResGid, ResUid
from abdicate.identity.ids import Gid, Uid
from abdicate.identity.resolve import Identity
from abdicate.identity.situation import IdRange, ResourceLimit, Situation, UserNamespace
from abdicate.plan.plan import Plan
from abdicate.plan.planner import ACCOUNT_VARIABLES, plan_drop
from abdicate.plan.policy import DropPolicy
from abdicate.plan.rules import after
from abdicate.plan.steps import (
    ChangeDirectory,
    ChangeRoot,
    KeepCapabilities,
    NewSessionKeyring,
    SetCapabilities,
    SetDumpable,
    SetEnvironment,
    SetGid,
    SetGroups,
    SetParentDeathSignal,
    SetSecurebits,
    SetUid,
    Step,
)
from unit.making import (
    APP,
    AS_APP,
    AS_ROOT,
    BIND,
    EVERY,
    MACOS,
    NAMELESS,
    NOBODY,
    NONE,
    ROOT,
    SETPCAP,
    gids,
    holding,
    identities,
    kinds,
    linux_situations,
    planned,
    policies,
    posix_credentials,
    seen_on_posix,
    surrounding,
)

_KEEP = DropPolicy(environment="keep")
_LOCKED = Securebits(0b11101111)

#: Where each kind of step stands. What stands twice is told apart by its value.
_CANON = (
    "resource-limit",
    "nice",
    "session-keyring",
    "root-directory",
    "bounding-set",
    "keep-capabilities on",
    "groups",
    "gid",
    "uid",
    "keep-capabilities off",
    "capabilities",
    "ambient-set",
    "securebits",
    "capabilities again",
    "parent-death-signal",
    "dumpable",
    "no-new-privs",
    "working-directory",
    "umask",
    "environment",
)


def _places(plan: Plan) -> list[int]:
    """Return where each step stands in the canon."""
    names = []
    for step in plan.steps:
        name = step.kind
        if isinstance(step, KeepCapabilities):
            name += " on" if step.on else " off"
        if name == "capabilities" and "securebits" in names:
            name += " again"
        names.append(name)
    return [_CANON.index(name) for name in names]


def _fold(plan: Plan) -> Credentials:
    """Return what the steps make of the prior credentials."""
    now = plan.prior
    for step in plan.steps:
        now = after(step, now)
    return now


@pytest.mark.parametrize(
    ("identity", "policy", "situation", "expected"),
    [
        pytest.param(NOBODY, _KEEP, surrounding(), ["groups", "gid", "uid"], id="root to nobody"),
        pytest.param(
            NOBODY,
            DropPolicy(),
            surrounding(environment={"HOME": "/root"}),
            ["groups", "gid", "uid", "environment"],
            id="with the account's environment",
        ),
        pytest.param(
            NOBODY,
            _KEEP,
            surrounding(holding(0, 0, (65534,), permitted=EVERY)),
            ["gid", "uid"],
            id="the groups are right already",
        ),
        pytest.param(
            NOBODY,
            _KEEP,
            surrounding(holding(0, 65534, (65534,), permitted=EVERY)),
            ["uid"],
            id="only the uid is left",
        ),
        pytest.param(
            NOBODY,
            _KEEP.replace(umask=0o077, no_new_privs=True, working_directory="/srv"),
            surrounding(),
            ["groups", "gid", "uid", "no-new-privs", "working-directory", "umask"],
            id="what needs no privilege comes last",
        ),
        pytest.param(
            NOBODY,
            _KEEP.replace(
                limits=(ResourceLimit("core", 0, 0), ResourceLimit("nofile", 1, 1)), nice=5
            ),
            surrounding(),
            ["resource-limit", "resource-limit", "nice", "groups", "gid", "uid"],
            id="what needs privilege comes first",
        ),
        pytest.param(
            NOBODY,
            _KEEP.replace(chroot="/srv", session_keyring=True),
            surrounding(),
            ["session-keyring", "root-directory", "groups", "gid", "uid"],
            id="a new root and a new keyring",
        ),
        pytest.param(
            NOBODY,
            _KEEP.replace(bounding=NONE),
            surrounding(),
            ["bounding-set", "groups", "gid", "uid"],
            id="an empty bounding set",
        ),
        pytest.param(
            NOBODY,
            _KEEP.replace(capabilities=BIND),
            surrounding(),
            ["keep-capabilities", "groups", "gid", "uid", "keep-capabilities", "capabilities"],
            id="one capability kept",
        ),
        pytest.param(
            NOBODY,
            _KEEP.replace(capabilities=BIND, ambient=True),
            surrounding(),
            [
                "keep-capabilities",
                "groups",
                "gid",
                "uid",
                "keep-capabilities",
                "capabilities",
                "ambient-set",
            ],
            id="one capability kept over an exec",
        ),
        pytest.param(
            NOBODY,
            _KEEP.replace(lock_securebits=True),
            surrounding(),
            [
                "keep-capabilities",
                "groups",
                "gid",
                "uid",
                "keep-capabilities",
                "capabilities",
                "securebits",
                "capabilities",
            ],
            id="securebits locked",
        ),
        pytest.param(
            NOBODY,
            _KEEP.replace(dumpable=True, parent_death_signal=15),
            surrounding(),
            ["groups", "gid", "uid", "parent-death-signal", "dumpable"],
            id="what the change of ids undoes comes after it",
        ),
        pytest.param(
            ROOT,
            _KEEP.replace(allow_root=True, bounding=BIND, no_new_privs=True),
            surrounding(),
            ["bounding-set", "groups", "no-new-privs"],
            id="root stays, with less",
        ),
        pytest.param(
            NOBODY,
            DropPolicy(
                umask=0,
                no_new_privs=True,
                capabilities=BIND,
                ambient=True,
                bounding=BIND,
                lock_securebits=True,
                limits=(ResourceLimit("core", 0, 0),),
                nice=-5,
                chroot="/srv",
                working_directory="/app",
                environment="reset",
                dumpable=False,
                parent_death_signal=9,
                session_keyring=True,
            ),
            surrounding(),
            [
                "resource-limit",
                "nice",
                "session-keyring",
                "root-directory",
                "bounding-set",
                "keep-capabilities",
                "groups",
                "gid",
                "uid",
                "keep-capabilities",
                "capabilities",
                "ambient-set",
                "securebits",
                "capabilities",
                "parent-death-signal",
                "dumpable",
                "no-new-privs",
                "working-directory",
                "umask",
                "environment",
            ],
            id="everything at once",
        ),
        pytest.param(
            APP,
            _KEEP,
            surrounding(
                AS_ROOT.replace(capabilities=None, securebits=None, no_new_privs=None),
                platform=MACOS,
            ),
            ["groups", "gid", "uid"],
            id="without capabilities, as on macOS",
        ),
    ],
)
def test_the_steps_of_a_drop_in_their_order(
    identity: Identity, policy: DropPolicy, situation: Situation, expected: list[str]
) -> None:
    """P18, P20: groups, gid, uid; and everything else where it can and must be done."""
    plan = planned(identity, policy, situation)
    assert kinds(plan) == expected
    assert _places(plan) == sorted(_places(plan))


class TestIdentity:
    """Groups, gid, uid."""

    def test_the_steps_carry_the_numbers(self) -> None:
        """P11: the gid is set by itself, and setgroups does not stand for it."""
        plan = planned(APP)
        assert plan.steps == (SetGroups(gids(1000, 4)), SetGid(Gid(1000)), SetUid(Uid(1000)))
        assert (plan.identity, plan.prior) == (APP, AS_ROOT)

    def test_the_gid_comes_first_among_the_groups(self) -> None:
        """P15: FreeBSD takes the first one for the effective gid."""
        identity = APP.replace(groups=gids(0, 4, 27, 1000, 2000))
        plan = planned(identity, _KEEP.replace(allow_root_group=True))
        assert plan.steps[0] == SetGroups(gids(1000, 0, 4, 27, 2000))

    def test_groups_without_the_gid_stay_without_it(self) -> None:
        """Under ``keep``: what the process has is what was asked."""
        plan = planned(APP.replace(groups=gids(4, 27)))
        assert plan.steps[0] == SetGroups(gids(4, 27))

    def test_the_goal_is_the_identity_in_every_slot(self) -> None:
        """P22: the saved and the filesystem ids too; no capability is left."""
        goal = planned(APP).goal
        assert (goal.uid, goal.gid) == (ResUid.all(Uid(1000)), ResGid.all(Gid(1000)))
        assert (goal.filesystem_uid, goal.filesystem_gid) == (1000, 1000)
        assert goal.groups == gids(4, 1000)
        assert goal.capabilities == CapabilitySets(bounding=EVERY)
        assert (goal.securebits, goal.no_new_privs, goal.umask) == (0, False, 0o022)

    @pytest.mark.parametrize(
        ("uid", "gid"),
        [
            ((1000, 0, 0), 1000),
            ((0, 1000, 0), 1000),
            ((0, 0, 1000), 1000),
            ((1000, 1000, 0), 1000),
            ((1000, 0, 1000), 1000),
            ((0, 1000, 1000), 1000),
            (1000, (1000, 0, 0)),
            (1000, (0, 1000, 1000)),
            (1000, (1000, 1000, 0)),
        ],
    )
    def test_one_id_alone_does_not_make_it_that_user(
        self, uid: int | tuple[int, int, int], gid: int | tuple[int, int, int]
    ) -> None:
        """P28: supervisor calls (65534, 0, 0) "already nobody"."""
        held = holding(uid, gid, (4, 1000))
        plan = planned(APP, None, surrounding(held))
        assert (SetUid(Uid(1000)) in plan.steps) == (not isinstance(uid, int))
        assert (SetGid(Gid(1000)) in plan.steps) == (not isinstance(gid, int))

    def test_a_filesystem_id_alone_is_changed(self) -> None:
        """P28: setfsuid(2) leaves the other three as they are."""
        held = AS_APP.replace(filesystem_uid=Uid(0))
        assert planned(APP, None, surrounding(held)).steps == (SetUid(Uid(1000)),)
        held = AS_APP.replace(filesystem_gid=Gid(0))
        assert planned(APP, None, surrounding(held)).steps == (SetGid(Gid(1000)),)


class TestReached:
    """A goal that is reached already."""

    def test_it_is_an_empty_plan(self) -> None:
        """P42: and success, where others say EPERM."""
        plan = planned(APP, None, surrounding(AS_APP))
        assert plan.steps == ()
        assert not plan
        assert plan.goal == AS_APP

    def test_it_is_an_empty_plan_with_every_wish_fulfilled(self) -> None:
        """Not one call is made for what is so already."""
        held = holding(
            1000, 1000, (4, 1000), permitted=BIND, inheritable=BIND, ambient=BIND, bounding=BIND,
            securebits=_LOCKED, no_new_privs=True, umask=0o077, dumpable=0,
        )  # fmt: skip
        policy = DropPolicy(
            umask=0o077,
            no_new_privs=True,
            capabilities=BIND,
            ambient=True,
            bounding=BIND | SETPCAP,
            lock_securebits=True,
            limits=(ResourceLimit("nofile", 1, None),),
            nice=0,
            working_directory="/srv",
            dumpable=False,
            parent_death_signal=15,
        )
        situation = surrounding(
            held,
            limits=[ResourceLimit("nofile", 1, None)],
            environment={
                "HOME": "/srv/app",
                "SHELL": "/bin/bash",
                "USER": "app",
                "LOGNAME": "app",
            },
            working_directory="/srv",
            parent_death_signal=15,
        )
        assert planned(APP, policy, situation).steps == ()

    @pytest.mark.parametrize("others", [(), (4,), (4, 27)])
    def test_a_user_who_lacks_his_own_gid_only_is_there(self, others: tuple[int, ...]) -> None:
        """P42: a container's ``USER 1000`` has no such group, and can't call setgroups."""
        held = holding(1000, 1000, others)
        plan = planned(APP.replace(groups=gids(*others, 1000)), None, surrounding(held))
        assert plan.steps == ()
        assert plan.goal == held

    @pytest.mark.parametrize(
        ("held", "why"),
        [
            (holding(1000, 1000, (), permitted=EVERY), "may call setgroups"),
            (holding(1000, 1000, (5,)), "has a group too many"),
            (holding(1000, (1000, 1000, 0), ()), "has another gid"),
            (holding((1000, 1000, 0), 1000, ()), "can become root"),
            (
                holding(1001, 1000, (), permitted=CapabilitySet.of(Capability.SETUID)),
                "is another user",
            ),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_the_gid_is_added_wherever_that_is_not_all(self, held: Credentials, why: str) -> None:
        """P15: what can be done is done, and what can't be ignored is asked for."""
        plan = planned(APP.replace(groups=gids(1000)), None, surrounding(held))
        assert SetGroups(gids(1000)) in plan.steps, why
        assert plan.goal.groups == gids(1000)

    def test_a_root_that_stays_root_gets_its_group(self) -> None:
        """Without capabilities it is root that may call setgroups."""
        held = seen_on_posix(holding(0, 0, ()))
        situation = surrounding(held, platform=MACOS)
        plan = planned(ROOT, _KEEP.replace(allow_root=True), situation)
        assert plan.steps == (SetGroups(gids(0)),)

    def test_a_group_that_is_missing_besides_the_gid_is_asked_for(self) -> None:
        """P42 is about the gid alone."""
        plan = planned(APP, None, surrounding(holding(1000, 1000, ())))
        assert plan.steps == (SetGroups(gids(1000, 4)),)

    @pytest.mark.parametrize("effective", [NONE, BIND, EVERY - SETPCAP, EVERY])
    def test_root_with_any_effective_set_may_stay_root(self, effective: CapabilitySet) -> None:
        """Nothing is raised on the way: all that was asked for is to be root."""
        held = holding(0, 0, (0,), permitted=EVERY, effective=effective)
        plan = planned(ROOT, _KEEP.replace(allow_root=True), surrounding(held))
        assert plan.steps == ()
        assert plan.goal == held


class TestHidden:
    """P34: in a user namespace, 65534 may be any id that is not mapped."""

    _NAMESPACE = UserNamespace(
        (IdRange(0, 1000, 1), IdRange(1, 100000, 65535)),
        (IdRange(0, 1000, 1), IdRange(1, 100000, 65535)),
    )

    def test_nobody_is_made_nobody_though_he_seems_so(self) -> None:
        """A root that is not mapped would look the same."""
        held = holding(65534, 65534, (65534,), permitted=EVERY)
        plan = planned(NOBODY, None, surrounding(held).replace(user_namespace=self._NAMESPACE))
        assert [kind for kind in kinds(plan) if kind != "capabilities"] == ["groups", "gid", "uid"]
        assert plan.goal.dumpable is None

    def test_a_group_that_seems_nobodys_is_set_again(self) -> None:
        """It may be one that was to go."""
        held = holding(1000, 1000, (1000, 65534))
        situation = surrounding(held).replace(user_namespace=self._NAMESPACE)
        plan = planned(APP.replace(groups=gids(1000, 65534)), None, situation)
        assert kinds(plan) == ["groups"]

    def test_in_the_machines_own_namespace_nobody_is_nobody(self) -> None:
        """P42: there is nothing to do."""
        situation = surrounding(holding(65534, 65534, (65534,)))
        assert not planned(NOBODY, None, situation.replace(user_namespace=UserNamespace()))

    def test_another_user_is_who_he_seems(self) -> None:
        """P42: in any namespace."""
        situation = surrounding(AS_APP).replace(user_namespace=self._NAMESPACE)
        assert not planned(APP, None, situation)


class TestRefusal:
    """Root where nobody said so."""

    def test_root_and_its_group_are_refused_with_both_reasons(self) -> None:
        """P7: 0 is an id like any other, and has to be asked for in writing."""
        with pytest.raises(PreflightError) as caught:
            planned(ROOT)
        assert len(caught.value.reasons) == 2
        assert "uid 0" in caught.value.reasons[0]
        assert "allow_root" in caught.value.reasons[0]
        assert "gid 0" in caught.value.reasons[1]
        assert "allow_root_group" in caught.value.reasons[1]

    @pytest.mark.parametrize(
        "identity",
        [
            NOBODY.replace(gid=Gid(0)),
            NOBODY.replace(groups=gids(0, 65534)),
            NOBODY.replace(gid=Gid(0), groups=gids(0)),
        ],
        ids=["as the gid", "among the groups", "as both"],
    )
    def test_roots_group_is_refused(self, identity: Identity) -> None:
        """P12: as the gid and as a supplementary group."""
        with pytest.raises(PreflightError, match="allow_root_group"):
            planned(identity)
        assert planned(identity, _KEEP.replace(allow_root_group=True)).identity == identity

    def test_allowing_the_group_does_not_allow_root(self) -> None:
        """One reason is left."""
        with pytest.raises(PreflightError) as caught:
            planned(ROOT, _KEEP.replace(allow_root_group=True))
        assert len(caught.value.reasons) == 1

    def test_allowing_root_allows_roots_own_group(self) -> None:
        """Somebody who means root means root:root."""
        assert planned(ROOT, _KEEP.replace(allow_root=True)).goal.uid == ResUid.all(Uid(0))

    def test_allowing_root_does_not_give_its_group_to_another(self) -> None:
        """P12: "uid 0 is meant" says nothing of a user who would get gid 0."""
        identity = NOBODY.replace(gid=Gid(0), groups=gids(0))
        with pytest.raises(PreflightError, match="allow_root_group"):
            planned(identity, _KEEP.replace(allow_root=True))


class TestCapabilities:
    """What is kept, and what would survive."""

    def test_none_is_kept_unless_asked(self) -> None:
        """P23: the change of the uid clears them, and no call is needed for it."""
        plan = planned()
        assert plan.goal.capabilities == CapabilitySets(bounding=EVERY)
        assert "capabilities" not in kinds(plan)

    def test_the_kept_ones_are_permitted_and_effective(self) -> None:
        """And nothing else of them."""
        plan = planned(NOBODY, _KEEP.replace(capabilities=BIND))
        assert SetCapabilities(permitted=BIND, effective=BIND, inheritable=NONE) in plan.steps
        assert plan.goal.capabilities == CapabilitySets(
            permitted=BIND, effective=BIND, bounding=EVERY
        )

    def test_ambient_ones_are_inheritable_too(self) -> None:
        """P25: and raised after the change of the uid, which clears them."""
        plan = planned(NOBODY, _KEEP.replace(capabilities=BIND, ambient=True))
        assert plan.goal.capabilities == CapabilitySets(
            inheritable=BIND, permitted=BIND, effective=BIND, bounding=EVERY, ambient=BIND
        )
        assert kinds(plan).index("ambient-set") > kinds(plan).index("uid")

    def test_an_ambient_set_of_before_does_not_stay(self) -> None:
        """P25: an exec would give it back."""
        held = holding(1000, 1000, (4, 1000), permitted=BIND, inheritable=BIND, ambient=BIND)
        plan = planned(NOBODY, None, surrounding(held))
        assert plan.goal.capabilities == CapabilitySets(bounding=EVERY)
        assert _fold(plan).capabilities == plan.goal.capabilities

    def test_an_inheritable_set_of_before_does_not_stay(self) -> None:
        """P24: a file with inheritable capabilities would give them back (CVE-2022-24769)."""
        held = holding(0, 0, (0,), permitted=EVERY, inheritable=EVERY)
        plan = planned(NOBODY, None, surrounding(held))
        assert plan.steps[-1] == SetCapabilities(NONE, NONE, NONE)
        assert _fold(plan).capabilities == CapabilitySets(bounding=EVERY)

    def test_what_no_setuid_fixup_would_keep_is_taken_away(self) -> None:
        """P23: with that bit, setresuid leaves every capability, and setuid(0) works again."""
        held = holding(0, 0, (0,), permitted=EVERY, securebits=Securebits.NO_SETUID_FIXUP)
        plan = planned(NOBODY, None, surrounding(held))
        assert plan.steps[-1] == SetCapabilities(NONE, NONE, NONE)
        assert kinds(plan) == ["groups", "gid", "uid", "capabilities"]

    def test_what_a_user_held_is_taken_away(self) -> None:
        """P23: no uid was 0, so the change of the uid clears nothing."""
        held = holding(1000, 1000, (4, 1000), permitted=CapabilitySet.of(Capability.SETUID))
        plan = planned(NOBODY, None, surrounding(held))
        assert plan.steps[-1] == SetCapabilities(NONE, NONE, NONE)

    def test_a_capability_without_a_name_is_taken_away_too(self) -> None:
        """A newer kernel's."""
        held = holding(1000, 1000, (4, 1000), permitted=CapabilitySet(1 << 41))
        assert planned(APP, None, surrounding(held)).steps == (SetCapabilities(NONE, NONE, NONE),)

    def test_root_keeps_its_own_unless_asked(self) -> None:
        """It is root; and where a set is named, it has that set."""
        allowed = _KEEP.replace(allow_root=True)
        assert planned(ROOT, allowed).goal.capabilities == AS_ROOT.capabilities
        plan = planned(ROOT, allowed.replace(capabilities=BIND))
        assert plan.goal.capabilities == CapabilitySets(
            permitted=BIND, effective=BIND, bounding=EVERY
        )
        assert "keep-capabilities" not in kinds(plan)

    @pytest.mark.parametrize(
        ("securebits", "effective"),
        [(Securebits(0), EVERY), (Securebits.NO_SETUID_FIXUP, NONE)],
    )
    def test_a_root_that_wakes_has_what_the_kernel_gives_it(
        self, securebits: Securebits, effective: CapabilitySet
    ) -> None:
        """capabilities(7): the effective set comes back with the effective uid, or is left."""
        held = holding(
            (0, 1000, 0), 0, (0,), permitted=EVERY, effective=NONE, securebits=securebits
        )
        plan = planned(ROOT, _KEEP.replace(allow_root=True), surrounding(held))
        assert plan.goal.capabilities is not None
        assert plan.goal.capabilities.effective == effective

    def test_an_empty_list_of_capabilities_is_an_answer(self) -> None:
        """P13: for root, "none" is not "not chosen"."""
        plan = planned(ROOT, _KEEP.replace(allow_root=True, capabilities=NONE))
        assert plan.goal.capabilities == CapabilitySets(bounding=EVERY)

    def test_the_bounding_set_is_lowered_to_what_is_asked(self) -> None:
        """P24: never raised, which nothing can."""
        held = holding(0, 0, (0,), permitted=EVERY, bounding=BIND | SETPCAP)
        plan = planned(NOBODY, _KEEP.replace(bounding=BIND | CapabilitySet(1)), surrounding(held))
        assert kinds(plan)[0] == "bounding-set"
        assert plan.goal.capabilities == CapabilitySets(bounding=BIND)
        untouched = planned(NOBODY, _KEEP.replace(bounding=EVERY), surrounding(held))
        assert "bounding-set" not in kinds(untouched)

    def test_keeping_is_switched_on_only_where_something_would_be_lost(self) -> None:
        """P26: a user who holds a capability loses none by becoming another user."""
        held = holding(1000, 1000, (4, 1000), permitted=EVERY)
        plan = planned(NOBODY, _KEEP.replace(capabilities=BIND), surrounding(held))
        assert kinds(plan) == ["groups", "gid", "uid", "capabilities"]


class TestSecurebits:
    """Keep-capabilities, and the lock."""

    def test_keeping_does_not_stay_on(self) -> None:
        """P26: it is off as soon as the uid has changed."""
        plan = planned(NOBODY, _KEEP.replace(capabilities=BIND))
        changes = [step for step in plan.steps if isinstance(step, KeepCapabilities | SetUid)]
        assert changes == [KeepCapabilities(True), SetUid(Uid(65534)), KeepCapabilities(False)]
        assert plan.goal.securebits == 0

    def test_keeping_that_was_left_on_is_switched_off(self) -> None:
        """P26: libcap-ng 0.8.4 left it on after an error."""
        held = holding(0, 0, (0,), permitted=EVERY, securebits=Securebits.KEEP_CAPS)
        plan = planned(NOBODY, None, surrounding(held))
        assert kinds(plan) == ["groups", "gid", "uid", "keep-capabilities", "capabilities"]
        assert _fold(plan) == plan.goal.replace(dumpable=1)
        idle = planned(APP, None, surrounding(AS_APP.replace(securebits=Securebits.KEEP_CAPS)))
        assert idle.steps == (KeepCapabilities(False),)

    def test_keeping_that_is_on_is_not_switched_on(self) -> None:
        """It is switched off as ever."""
        held = holding(0, 0, (0,), permitted=EVERY, securebits=Securebits.KEEP_CAPS)
        plan = planned(NOBODY, _KEEP.replace(capabilities=BIND), surrounding(held))
        changes = [step for step in plan.steps if isinstance(step, KeepCapabilities)]
        assert changes == [KeepCapabilities(False)]

    def test_keeping_is_not_planned_where_it_could_not_be_read(self) -> None:
        """Nor does the plan end in an error."""
        held = holding(0, 0, (0,), permitted=EVERY).replace(securebits=None)
        plan = planned(NOBODY, _KEEP.replace(capabilities=BIND), surrounding(held))
        assert not [step for step in plan.steps if isinstance(step, KeepCapabilities)]

    def test_keeping_that_is_locked_on_stays_on(self) -> None:
        """P26: it can't be switched off, so the capabilities are taken away by hand."""
        bits = Securebits.KEEP_CAPS | Securebits.KEEP_CAPS_LOCKED
        held = holding(0, 0, (0,), permitted=EVERY, securebits=bits)
        plan = planned(NOBODY, None, surrounding(held))
        assert kinds(plan) == ["groups", "gid", "uid", "capabilities"]
        assert plan.goal.securebits == bits

    @pytest.mark.parametrize(
        "bits", [0, Securebits.NOROOT, Securebits.NO_CAP_AMBIENT_RAISE, 1 << 8, 0xF00]
    )
    @pytest.mark.parametrize("also", [0, Securebits.KEEP_CAPS])
    def test_the_other_bits_are_kept(self, bits: int, also: int) -> None:
        """P27: prctl replaces the whole word (libcap-ng 0.9.5), a newer kernel's bits with it."""
        held = holding(0, 0, (0,), permitted=EVERY, securebits=bits | also)
        situation = surrounding(held)
        assert planned(NOBODY, None, situation).goal.securebits == bits
        kept = planned(NOBODY, _KEEP.replace(capabilities=BIND), situation)
        assert kept.goal.securebits == bits
        assert _fold(kept).securebits == bits
        locked = planned(NOBODY, _KEEP.replace(lock_securebits=True), situation)
        assert locked.goal.securebits == bits | _LOCKED
        assert SetSecurebits(Securebits(bits | _LOCKED)) in locked.steps

    def test_the_lock_is_the_one_of_the_manual(self) -> None:
        """capabilities(7), "capability-only environment", and ambient raising shut off."""
        plan = planned(NOBODY, _KEEP.replace(lock_securebits=True))
        assert plan.goal.securebits == _LOCKED
        assert plan.goal.capabilities == CapabilitySets(bounding=EVERY)

    def test_setpcap_is_held_for_the_lock_and_given_up_after_it(self) -> None:
        """P23: it does not stay for the program."""
        plan = planned(NOBODY, _KEEP.replace(lock_securebits=True))
        assert plan.steps[-3:] == (
            SetCapabilities(SETPCAP, SETPCAP, NONE),
            SetSecurebits(_LOCKED),
            SetCapabilities(NONE, NONE, NONE),
        )

    def test_the_lock_comes_after_the_ambient_set(self) -> None:
        """P25: it shuts off the raising."""
        policy = _KEEP.replace(lock_securebits=True, capabilities=BIND, ambient=True)
        plan = planned(NOBODY, policy)
        order = kinds(plan)
        assert order.index("ambient-set") < order.index("securebits")
        assert _fold(plan).capabilities == plan.goal.capabilities


class TestWhatTheKernelUndoes:
    """The parent-death signal and dumpable."""

    def test_an_armed_signal_is_armed_again(self) -> None:
        """P32: every change of ids clears it."""
        plan = planned(NOBODY, None, surrounding(parent_death_signal=15))
        assert plan.steps[-1] == SetParentDeathSignal(15)

    def test_an_armed_signal_stays_where_no_id_changes(self) -> None:
        """Nothing has cleared it."""
        assert planned(APP, None, surrounding(AS_APP, parent_death_signal=15)).steps == ()

    @pytest.mark.parametrize("armed", [0, 9, 15])
    def test_the_wish_decides(self, armed: int) -> None:
        """P7: 0 is a wish too."""
        situation = surrounding(AS_APP, parent_death_signal=armed)
        for wanted in (0, 9, 15):
            plan = planned(APP, _KEEP.replace(parent_death_signal=wanted), situation)
            assert plan.steps == (() if wanted == armed else (SetParentDeathSignal(wanted),))

    @pytest.mark.parametrize("uids", [(0, 1000, 1000), (1000, 1000, 0), (0, 1000, 0)])
    def test_an_armed_signal_that_no_change_clears_is_disarmed(
        self, uids: tuple[int, int, int]
    ) -> None:
        """P32: the kernel clears it with the effective ids alone, prctl(2) PR_SET_PDEATHSIG."""
        situation = surrounding(holding(uids, 1000, (4, 1000)), parent_death_signal=15)
        plan = planned(APP, _KEEP.replace(parent_death_signal=0), situation)
        assert SetParentDeathSignal(0) in plan.steps

    @pytest.mark.parametrize("wanted", [True, False])
    def test_dumpable_is_chosen_after_the_change(self, wanted: bool) -> None:
        """P33: a change of ids sets it to fs.suid_dumpable."""
        for before in (0, 1, 2):
            situation = surrounding(AS_ROOT.replace(dumpable=before))
            plan = planned(NOBODY, _KEEP.replace(dumpable=wanted), situation)
            assert plan.steps[-1] == SetDumpable(wanted)
            assert plan.goal.dumpable == int(wanted)

    @pytest.mark.parametrize(
        ("before", "wanted", "steps"),
        [
            (0, True, (SetDumpable(True),)),
            (1, False, (SetDumpable(False),)),
            (0, False, ()),
            (1, True, ()),
        ],
    )
    def test_dumpable_is_set_where_it_differs(
        self, before: int, wanted: bool, steps: tuple[Step, ...]
    ) -> None:
        """And no id changes."""
        situation = surrounding(AS_APP.replace(dumpable=before))
        assert planned(APP, _KEEP.replace(dumpable=wanted), situation).steps == steps

    def test_dumpable_is_the_kernels_where_nothing_was_asked(self) -> None:
        """P33: re-enabling it blindly is a hole (CVE-2016-8659), and expecting it an error."""
        assert "dumpable" not in kinds(planned())
        assert planned().goal.dumpable is None
        assert planned(APP, None, surrounding(AS_APP)).goal.dumpable == 1

    @pytest.mark.parametrize("field", ["filesystem_uid", "filesystem_gid"])
    def test_dumpable_is_the_kernels_where_a_filesystem_id_changes(self, field: str) -> None:
        """P33: that is a change of ids too."""
        id_kind = Uid if field == "filesystem_uid" else Gid
        held = AS_APP.replace(**{field: id_kind(0)})
        assert planned(APP, None, surrounding(held)).goal.dumpable is None


class TestSurroundings:
    """Limits, nice, directories, umask."""

    @pytest.mark.parametrize(
        ("present", "needed"),
        [
            (ResourceLimit("nofile", 64, 128), False),
            (ResourceLimit("nofile", 64, 129), True),
            (ResourceLimit("nofile", 63, 128), True),
            (ResourceLimit("nofile", 64, None), True),
            (ResourceLimit("core", 64, 128), True),
        ],
    )
    def test_a_limit_is_set_where_it_differs(self, present: ResourceLimit, needed: bool) -> None:
        """In the soft or in the hard value; or where it could not be read."""
        policy = _KEEP.replace(limits=(ResourceLimit("nofile", 64, 128),))
        plan = planned(APP, policy, surrounding(AS_APP, limits=[present]))
        assert kinds(plan) == (["resource-limit"] if needed else [])

    @pytest.mark.parametrize("wanted", [-20, -1, 0, 1, 19])
    def test_nice_is_set_where_it_differs(self, wanted: int) -> None:
        """P7: 0 is a value."""
        for present in (-1, 0, 1):
            plan = planned(APP, _KEEP.replace(nice=wanted), surrounding(AS_APP, nice=present))
            assert kinds(plan) == ([] if wanted == present else ["nice"])

    def test_a_new_root_is_entered(self) -> None:
        """P35: so the working directory is seen from there."""
        policy = _KEEP.replace(chroot="/srv", working_directory="/")
        plan = planned(APP, policy, surrounding(AS_APP, working_directory="/srv"))
        assert plan.steps == (ChangeRoot("/srv"),)
        away = planned(APP, policy.replace(working_directory="/app"), surrounding(AS_APP))
        assert kinds(away) == ["root-directory", "working-directory"]

    @pytest.mark.parametrize(
        ("present", "needed"), [("/srv", False), ("/", True), ("/srv/", True), (None, True)]
    )
    def test_the_directory_is_changed_where_it_differs(
        self, present: str | None, needed: bool
    ) -> None:
        """Or where it has no name any more."""
        situation = surrounding(AS_APP, working_directory=present)
        plan = planned(APP, _KEEP.replace(working_directory="/srv"), situation)
        assert kinds(plan) == (["working-directory"] if needed else [])

    @pytest.mark.parametrize("wanted", [0, 0o022, 0o777])
    def test_the_umask_is_set_where_it_differs(self, wanted: int) -> None:
        """P7: 0 is a umask; one that could not be read is set."""
        for present in (0, 0o022, 0o777, None):
            held = AS_APP.replace(umask=present)
            plan = planned(APP, _KEEP.replace(umask=wanted), surrounding(held))
            assert kinds(plan) == ([] if wanted == present else ["umask"])
            assert plan.goal.umask == wanted


class TestEnvironment:
    """HOME, USER, LOGNAME, SHELL."""

    _ROOTS: ClassVar[dict[str, str]] = {
        "HOME": "/root",
        "USER": "root",
        "LOGNAME": "root",
        "SHELL": "/bin/bash",
    }

    def test_the_accounts_variables_become_the_users(self) -> None:
        """P40: gosu and supervisor left root's HOME."""
        plan = planned(NOBODY, DropPolicy(), surrounding(environment=self._ROOTS))
        assert plan.steps[-1] == SetEnvironment(
            (
                ("HOME", "/nonexistent"),
                ("SHELL", "/usr/sbin/nologin"),
                ("USER", "nobody"),
                ("LOGNAME", "nobody"),
            )
        )

    def test_only_what_differs_is_changed(self) -> None:
        """APP has root's shell."""
        present = self._ROOTS | {"USER": "app"}
        plan = planned(APP, DropPolicy(), surrounding(environment=present))
        assert plan.steps[-1] == SetEnvironment((("HOME", "/srv/app"), ("LOGNAME", "app")))

    def test_a_uid_without_an_entry_has_no_name(self) -> None:
        """P40, P43: and root's does not stay."""
        plan = planned(NAMELESS, DropPolicy(), surrounding(environment=self._ROOTS))
        assert plan.steps[-1] == SetEnvironment(
            (("HOME", "/"), ("SHELL", "/bin/sh")), ("USER", "LOGNAME")
        )

    def test_what_is_not_there_is_not_removed(self) -> None:
        """A step that changes nothing is no step."""
        plan = planned(NAMELESS, DropPolicy(), surrounding(environment={"USER": "root"}))
        assert plan.steps[-1] == SetEnvironment((("HOME", "/"), ("SHELL", "/bin/sh")), ("USER",))
        present = {"HOME": "/", "SHELL": "/bin/sh"}
        plan = planned(NAMELESS, DropPolicy(), surrounding(environment=present))
        assert "environment" not in kinds(plan)

    def test_nothing_is_touched_where_it_is_to_stay(self) -> None:
        """Root's HOME stays, since that was asked."""
        plan = planned(NOBODY, _KEEP, surrounding(environment=self._ROOTS))
        assert "environment" not in kinds(plan)

    def test_a_reset_leaves_the_terminal_alone(self) -> None:
        """LD_PRELOAD, PYTHONPATH and every secret go; PATH is a plain one."""
        plan = planned(NOBODY, DropPolicy(environment="reset"), surrounding())
        step = plan.steps[-1]
        assert isinstance(step, SetEnvironment)
        assert step.retain == ("TERM",)
        assert step.remove == ()
        assert dict(step.assign) == {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": "/nonexistent",
            "SHELL": "/usr/sbin/nologin",
            "USER": "nobody",
            "LOGNAME": "nobody",
        }

    def test_a_reset_names_nobody_without_an_entry(self) -> None:
        """P40."""
        step = planned(NAMELESS, DropPolicy(environment="reset"), surrounding()).steps[-1]
        assert isinstance(step, SetEnvironment)
        assert set(dict(step.assign)) == {"PATH", "HOME", "SHELL"}

    def test_the_four_variables_are_those_of_login(self) -> None:
        """environ(7)."""
        assert set(ACCOUNT_VARIABLES) == {"HOME", "USER", "LOGNAME", "SHELL"}


class TestAnyDrop:
    """What holds for every identity, policy and situation."""

    @given(identity=identities(), policy=policies(), situation=linux_situations())
    def test_the_steps_lead_to_the_goal(
        self, identity: Identity, policy: DropPolicy, situation: Situation
    ) -> None:
        """In every slot that the plan promises."""
        plan = plan_drop(identity, policy, situation)
        assert list(plan.goal.differences(_fold(plan))) == []

    @given(identity=identities(), policy=policies(), situation=linux_situations())
    def test_the_goal_is_what_was_asked(
        self, identity: Identity, policy: DropPolicy, situation: Situation
    ) -> None:
        """P22, P23, P24: whatever the process held before."""
        goal = plan_drop(identity, policy, situation).goal
        assert goal.uid == ResUid.all(identity.uid)
        assert goal.gid == ResGid.all(identity.gid)
        assert {goal.filesystem_uid, goal.filesystem_gid} == {identity.uid, identity.gid}
        assert set(identity.groups) - set(goal.groups) <= {identity.gid}
        assert set(goal.groups) <= set(identity.groups)
        sets = goal.capabilities
        assert sets is not None
        if identity.uid != 0 or policy.capabilities is not None:
            kept = policy.capabilities or NONE
            assert (sets.permitted, sets.effective) == (kept, kept)
            passed_on = kept if policy.ambient else NONE
            assert (sets.inheritable, sets.ambient) == (passed_on, passed_on)
        if policy.bounding is not None:
            assert sets.bounding <= policy.bounding
        if policy.no_new_privs:
            assert goal.no_new_privs

    @given(identity=identities(), policy=policies(), situation=linux_situations())
    def test_the_steps_stand_in_the_one_order(
        self, identity: Identity, policy: DropPolicy, situation: Situation
    ) -> None:
        """And each once, but for the limits."""
        plan = plan_drop(identity, policy, situation)
        places = _places(plan)
        assert places == sorted(places)
        single = [place for place in places if place != _CANON.index("resource-limit")]
        assert len(single) == len(set(single))

    @given(identity=identities(), policy=policies(), situation=linux_situations())
    def test_each_step_changes_something(
        self, identity: Identity, policy: DropPolicy, situation: Situation
    ) -> None:
        """A call that changes nothing is a call that may fail for nothing."""
        plan = plan_drop(identity, policy, situation)
        now = plan.prior
        for step in plan.steps:
            then = after(step, now)
            if _shows_in_credentials(step):
                assert then != now, step
            now = then

    @given(identity=identities(), policy=policies(), situation=linux_situations())
    def test_there_is_nothing_to_do_at_the_goal(
        self, identity: Identity, policy: DropPolicy, situation: Situation
    ) -> None:
        """But for what can't be seen to be done: a keyring, a new root, a reset environment."""
        plan = plan_drop(identity, policy, situation)
        again = plan_drop(identity, policy, _arrived(plan, situation))
        left = [step for step in again.steps if not _is_always_made(step, policy)]
        assert left == []

    @given(identity=identities(), policy=policies(), credentials=posix_credentials())
    def test_without_linux_only_the_ids_are_planned(
        self, identity: Identity, policy: DropPolicy, credentials: Credentials
    ) -> None:
        """The preflight refuses the wishes; the plan has no step that the platform lacks."""
        plain = policy.replace(
            capabilities=None, ambient=False, bounding=None, lock_securebits=False,
            no_new_privs=False, dumpable=None, parent_death_signal=None, session_keyring=False,
        )  # fmt: skip
        plan = plan_drop(identity, plain, surrounding(credentials, platform=MACOS))
        assert list(plan.goal.differences(_fold(plan))) == []
        assert set(kinds(plan)) <= {
            "resource-limit",
            "nice",
            "root-directory",
            "groups",
            "gid",
            "uid",
            "working-directory",
            "umask",
            "environment",
        }


def _shows_in_credentials(step: Step) -> bool:
    return step.kind in {
        "bounding-set",
        "keep-capabilities",
        "groups",
        "gid",
        "uid",
        "capabilities",
        "ambient-set",
        "securebits",
        "no-new-privs",
        "umask",
    }


def _is_always_made(step: Step, policy: DropPolicy) -> bool:
    if isinstance(step, SetEnvironment):
        return step.retain is not None
    if isinstance(step, ChangeDirectory):
        return policy.chroot is not None  # a new root is entered at its "/"
    return isinstance(step, NewSessionKeyring | ChangeRoot)


def _arrived(plan: Plan, before: Situation) -> Situation:
    """Return the situation after the plan."""
    policy, environment = plan.policy, dict(before.environment)
    limits = {limit.resource: limit for limit in (*before.limits, *policy.limits)}
    armed = policy.parent_death_signal
    directory = before.working_directory if policy.chroot is None else "/"
    for step in plan.steps:
        if isinstance(step, SetEnvironment):
            environment = {
                name: value
                for name, value in environment.items()
                if name not in step.remove and (step.retain is None or name in step.retain)
            } | dict(step.assign)
    return before.replace(
        credentials=_fold(plan),
        limits=tuple(limits.values()),
        nice=before.nice if policy.nice is None else policy.nice,
        parent_death_signal=before.parent_death_signal if armed is None else armed,
        working_directory=policy.working_directory or directory,
        environment=tuple(environment.items()),
    )
