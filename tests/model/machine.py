"""A machine of Hypothesis: random starts, drops, and attacks after the drop.

One invariant: what was given up is never held again, in any thread. The machine looks at what
the kernel shows, and asks neither the report nor the plan's steps. It is given its lives: on the
model, or on the kernel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from abdicate.identity.capabilities import Capability, CapabilitySet, Securebits
from abdicate.identity.credentials import ResGid, ResUid
from abdicate.identity.ids import Gid, Uid
from abdicate.identity.resolve import Identity
from abdicate.plan.policy import DropPolicy
from model.lives import Life
from model.sequences import SECUREBITS

#: How a life begins: its start, its groups, and its threads besides the first.
Begin = Callable[[str, list[int], int], Life]

_NOTHING = CapabilitySet.EMPTY
# None of them gives back what the invariant watches.
_HARMLESS = (Capability.NET_BIND_SERVICE, Capability.CHOWN, Capability.KILL)
_EVERYTHING = CapabilitySet.of(*Capability)

names = st.sampled_from(("root", "adm", "app", "other"))
maybe = st.none() | names
members = st.lists(st.sampled_from(("adm", "app", "other")), max_size=3, unique=True)
threads = st.integers(0, 3)
harmless = st.sets(st.sampled_from(_HARMLESS)).map(lambda kept: CapabilitySet.of(*kept))
thread_scoped = st.builds(
    DropPolicy,
    capabilities=st.none() | harmless,
    bounding=st.none() | harmless,
    no_new_privs=st.booleans(),
    lock_securebits=st.booleans(),
)
any_set = st.sets(st.sampled_from(list(Capability)), max_size=4).map(
    lambda held: CapabilitySet.of(*held)
) | st.just(_EVERYTHING)

AFTER_THE_DROP = precondition(lambda self: self.life is not None and self.goal is not None)


class NothingComesBack(RuleBasedStateMachine):
    """Starts, drops and attacks; see the module."""

    begin_life: Begin
    starts: tuple[str, ...]
    #: How drops ended, over all lives.
    outcomes: Counter[str]
    #: Whether a kernel that does as it is told can leave a drop half done: behind a wrong libc.
    may_fail = False

    def __init__(self) -> None:
        super().__init__()
        self.life: Life | None = None
        self.goal: _Goal | None = None

    @initialize(data=st.data(), groups=members, extra=st.sampled_from((0, 0, 1, 2)))
    def begin(self, data: st.DataObject, groups: list[str], extra: int) -> None:
        """Start as root, as a container's root, as a user, or as root of a user namespace."""
        start = data.draw(st.sampled_from(self.starts))
        numbers = {"adm": 4, "app": 1000, "other": 1001}
        self.life = type(self).begin_life(start, [numbers[group] for group in groups], extra)

    def teardown(self) -> None:
        """End the life."""
        if self.life is not None:
            self.life.end()

    @precondition(lambda self: self.life is not None and self.goal is None)
    @rule(
        user=st.sampled_from(("app", "app", "other")),
        group=st.sampled_from(("app", "app", "other", "adm")),
        others=st.none() | members,
        thread_scoped=st.none() | thread_scoped,
    )
    def drop(
        self,
        user: str,
        group: str,
        others: list[str] | None,
        thread_scoped: DropPolicy | None,
    ) -> None:
        """Drop; a refusal changes nothing, and a kernel that does as told is no failure."""
        assert self.life is not None
        before = self.life.threads()
        uid, gid = Uid(self.life.ids[user]), Gid(self.life.ids[group])
        if others is None:
            # Who keeps his groups needs no setgroups(2), which not everybody may call.
            groups = before[0].groups
        else:
            groups = tuple(sorted({gid, *(Gid(self.life.ids[name]) for name in others)}))
        policy = DropPolicy() if thread_scoped is None else thread_scoped
        kept = policy.capabilities
        if uid == 0 and kept is None:
            kept = _NOTHING  # root of a user namespace: what it can give up are capabilities
        policy = policy.replace(
            capabilities=kept, allow_root=uid == 0, allow_root_group=0 in (gid, *groups)
        )
        outcome = self.life.drop(Identity(None, uid, gid, groups), policy)
        self.outcomes[outcome] += 1
        if outcome == "refused":
            assert self.life.threads() == before
        elif outcome == "incomplete":
            assert self.may_fail
            assert len(before) > 1
            self.life.end()
            self.life = None
        else:
            sets = before[0].capabilities
            assert sets is not None
            self.goal = _Goal(
                uid,
                gid,
                frozenset(groups),
                kept or _NOTHING,
                sets.bounding if policy.bounding is None else policy.bounding,
                policy.no_new_privs,
            )

    @precondition(lambda self: self.life is None)
    @rule()
    def it_is_gone(self) -> None:
        """Nothing can be done to what is not there."""

    def _try(self, thread: int, method: str, *arguments: object) -> None:
        assert self.life is not None
        self.life.attack(thread, method, *arguments)

    def _uid(self, name: str | None) -> Uid | None:
        return None if name is None or self.life is None else Uid(self.life.ids[name])

    def _gid(self, name: str | None) -> Gid | None:
        return None if name is None or self.life is None else Gid(self.life.ids[name])

    @AFTER_THE_DROP
    @rule(thread=threads)
    def start_a_thread(self, thread: int) -> None:
        """clone(2): what a thread does not hold, those that it starts do not hold either."""
        assert self.life is not None
        self.life.start_thread(thread)

    @AFTER_THE_DROP
    @rule(thread=threads, real=maybe, effective=maybe, saved=maybe)
    def attack_by_resuid(
        self, thread: int, real: str | None, effective: str | None, saved: str | None
    ) -> None:
        """setresuid(2)."""
        self._try(thread, "set_resuid", *map(self._uid, (real, effective, saved)))

    @AFTER_THE_DROP
    @rule(thread=threads, real=maybe, effective=maybe, saved=maybe)
    def attack_by_resgid(
        self, thread: int, real: str | None, effective: str | None, saved: str | None
    ) -> None:
        """setresgid(2)."""
        self._try(thread, "set_resgid", *map(self._gid, (real, effective, saved)))

    @AFTER_THE_DROP
    @rule(thread=threads, name=names, effective=maybe)
    def attack_by_the_old_calls(self, thread: int, name: str, effective: str | None) -> None:
        """setuid(2), setreuid(2), setgid(2), setregid(2)."""
        self._try(thread, "set_uid", self._uid(name))
        self._try(thread, "set_reuid", self._uid(name), self._uid(effective))
        self._try(thread, "set_gid", self._gid(name))
        self._try(thread, "set_regid", self._gid(name), self._gid(effective))

    @AFTER_THE_DROP
    @rule(thread=threads, name=names)
    def attack_by_the_filesystem_ids(self, thread: int, name: str) -> None:
        """setfsuid(2), setfsgid(2): they have no error to return."""
        self._try(thread, "setfsuid", self._uid(name))
        self._try(thread, "setfsgid", self._gid(name))

    @AFTER_THE_DROP
    @rule(thread=threads, groups=st.lists(names, max_size=3))
    def attack_by_groups(self, thread: int, groups: list[str]) -> None:
        """setgroups(2)."""
        self._try(thread, "set_groups", [self._gid(name) for name in groups])

    @AFTER_THE_DROP
    @rule(thread=threads, permitted=any_set, effective=any_set, inheritable=any_set)
    def attack_by_capabilities(
        self,
        thread: int,
        permitted: CapabilitySet,
        effective: CapabilitySet,
        inheritable: CapabilitySet,
    ) -> None:
        """capset(2)."""
        self._try(thread, "set_thread_capabilities", permitted, effective, inheritable)

    @AFTER_THE_DROP
    @rule(thread=threads, capability=st.sampled_from(list(Capability)))
    def attack_by_the_ambient_set(self, thread: int, capability: Capability) -> None:
        """prctl(2) PR_CAP_AMBIENT_RAISE."""
        self._try(thread, "raise_thread_ambient", capability)

    @AFTER_THE_DROP
    @rule(thread=threads, bits=st.sampled_from(SECUREBITS), on=st.booleans())
    def attack_by_securebits(self, thread: int, bits: Securebits, on: bool) -> None:
        """prctl(2) PR_SET_SECUREBITS and PR_SET_KEEPCAPS."""
        self._try(thread, "set_thread_securebits", bits)
        self._try(thread, "set_thread_keep_capabilities", on)

    @invariant()
    def nothing_that_was_given_up_is_held(self) -> None:
        """In no thread, and in no slot."""
        if self.life is None or self.goal is None:
            return
        goal = self.goal
        for held in self.life.threads():
            assert held.uid == ResUid.all(goal.uid)
            assert held.gid == ResGid.all(goal.gid)
            assert held.filesystem_uid == goal.uid
            assert held.filesystem_gid == goal.gid
            assert set(held.groups) <= goal.groups
            assert held.capabilities is not None
            assert held.capabilities.permitted <= goal.capabilities
            assert held.capabilities.effective <= goal.capabilities
            assert held.capabilities.ambient <= goal.capabilities
            assert held.capabilities.bounding <= goal.bounding
            assert held.no_new_privs or not goal.no_new_privs


class _Goal:
    """What may be held after the drop: no more than this."""

    def __init__(
        self,
        uid: Uid,
        gid: Gid,
        groups: frozenset[Gid],
        capabilities: CapabilitySet,
        bounding: CapabilitySet,
        no_new_privs: bool,
    ) -> None:
        self.uid, self.gid, self.groups = uid, gid, groups
        self.capabilities, self.bounding = capabilities, bounding
        self.no_new_privs = no_new_privs


def machine_of(
    begin: Begin, starts: tuple[str, ...], *, may_fail: bool = False
) -> type[NothingComesBack]:
    """Return the machine that lives such lives, with an account of its own of how drops end."""
    return type(
        "NothingComesBack",
        (NothingComesBack,),
        {
            "begin_life": staticmethod(begin),
            "starts": starts,
            "outcomes": Counter[str](),
            "may_fail": may_fail,
        },
    )
