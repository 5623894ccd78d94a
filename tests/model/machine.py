"""A machine of Hypothesis: random starts, drops, and attacks after the drop.

One invariant: what was given up is never held again, in any thread. The machine looks at what
the kernel shows, and asks neither the report nor the plan's steps.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from abdicate import executor
from abdicate.errors import IncompleteDropError, PreflightError
from abdicate.identity.capabilities import Capability, CapabilitySet, CapabilitySets, Securebits
from abdicate.identity.credentials import Credentials
from abdicate.identity.ids import Gid, Uid
from abdicate.identity.resolve import Identity
from abdicate.identity.situation import IdRange
from abdicate.plan.planner import plan_drop
from abdicate.plan.policy import DropPolicy
from abdicate.testing import FakeKernel
from abdicate.testing.thread import Thread

_IDS = (0, 4, 1000, 1001)
# None of them gives back what the invariant watches.
_HARMLESS = (Capability.NET_BIND_SERVICE, Capability.CHOWN, Capability.SYS_TIME)
_EVERYTHING = CapabilitySet.of(*Capability)

uids = st.sampled_from(_IDS).map(Uid)
gids = st.sampled_from(_IDS).map(Gid)
some_uid = st.none() | uids
some_gid = st.none() | gids
harmless = st.sets(st.sampled_from(_HARMLESS)).map(lambda kept: CapabilitySet.of(*kept))
any_set = st.sets(st.sampled_from(list(Capability)), max_size=4).map(
    lambda held: CapabilitySet.of(*held)
) | st.just(_EVERYTHING)


class OneThreadKernel(FakeKernel):
    """A kernel behind a libc that changes the calling thread alone, as the bare calls do.

    credentials(7): the kernel keeps ids for each thread; it is libc that makes them the process's.
    """

    def _for_all(self, method: str, *arguments: object, rule: Callable[[Thread], Thread]) -> None:
        self._for_caller(method, *arguments, rule=rule)


class NothingComesBack(RuleBasedStateMachine):
    """Starts, drops and attacks; see the module."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel: FakeKernel | None = None
        self.goal: Credentials | None = None

    @initialize(
        kind=st.sampled_from((FakeKernel, OneThreadKernel)),
        start=st.sampled_from(("root", "few capabilities", "user", "namespace")),
        groups=st.lists(gids, max_size=3, unique=True),
        threads=st.integers(0, 2),
    )
    def begin(self, kind: type[FakeKernel], start: str, groups: list[Gid], threads: int) -> None:
        """Start as root, as a container's root, as a user, or as root of a user namespace."""
        setting = CapabilitySet.of(Capability.SETUID, Capability.SETGID, Capability.SETPCAP)

        def made(*threads: Credentials) -> FakeKernel:
            if start == "root":
                return kind.root(groups=groups, threads=threads)
            if start == "few capabilities":
                return kind.root(groups=groups, capabilities=setting, threads=threads)
            if start == "user":
                return kind.user(1000, groups=groups, threads=threads)
            ids = (IdRange(0, 0, 65536),)
            return kind.in_user_namespace(
                uids=ids, gids=ids, setgroups_allowed=True, groups=groups, threads=threads
            )

        self.kernel = made(*[made().credentials()] * threads)

    @precondition(lambda self: self.kernel is not None and self.goal is None)
    @rule(
        uid=st.sampled_from((1000, 1001)).map(Uid),
        gid=st.sampled_from((4, 1000, 1001)).map(Gid),
        groups=st.lists(st.sampled_from((4, 1000, 1001)).map(Gid), max_size=3, unique=True),
        kept=st.none() | harmless,
        bounding=st.none() | harmless,
        no_new_privs=st.booleans(),
        locked=st.booleans(),
    )
    def drop(
        self,
        uid: Uid,
        gid: Gid,
        groups: list[Gid],
        kept: CapabilitySet | None,
        bounding: CapabilitySet | None,
        no_new_privs: bool,
        locked: bool,
    ) -> None:
        """Drop; a refusal changes nothing, and a kernel that does as told is no failure."""
        kernel = self.kernel
        assert kernel is not None
        listed = tuple(sorted({gid, *groups}))
        identity = Identity(None, uid, gid, listed)
        policy = DropPolicy(
            capabilities=kept, bounding=bounding, no_new_privs=no_new_privs, lock_securebits=locked
        )
        before = kernel.threads()
        try:
            plan = plan_drop(identity, policy, kernel.situation())
            executor.execute(plan, kernel)
        except PreflightError:
            assert kernel.threads() == before
            return
        except IncompleteDropError:
            # Only where the kernel does not do as it is told may a drop fail half-way.
            threads = kernel.threads()
            assert threads is not None
            assert isinstance(kernel, OneThreadKernel)
            assert len(threads) > 1
            self.kernel = None
            return
        sets = kernel.credentials().capabilities
        assert sets is not None
        self.goal = Credentials(
            plan.goal.uid,
            plan.goal.gid,
            listed,
            capabilities=CapabilitySets(
                permitted=kept or CapabilitySet.EMPTY,
                bounding=sets.bounding if bounding is None else bounding,
            ),
            no_new_privs=no_new_privs,
        )

    def _try(self, attack: Callable[[FakeKernel], object]) -> None:
        if self.kernel is None or self.goal is None:
            return
        try:
            attack(self.kernel)
        except OSError:
            return  # refused: what the invariant hopes for

    @rule(real=some_uid, effective=some_uid, saved=some_uid)
    def attack_by_resuid(self, real: Uid | None, effective: Uid | None, saved: Uid | None) -> None:
        """setresuid(2)."""
        self._try(lambda kernel: kernel.set_resuid(real, effective, saved))

    @rule(real=some_gid, effective=some_gid, saved=some_gid)
    def attack_by_resgid(self, real: Gid | None, effective: Gid | None, saved: Gid | None) -> None:
        """setresgid(2)."""
        self._try(lambda kernel: kernel.set_resgid(real, effective, saved))

    @rule(uid=uids, gid=gids)
    def attack_by_the_old_calls(self, uid: Uid, gid: Gid) -> None:
        """setuid(2), setreuid(2), setgid(2), setregid(2)."""
        self._try(lambda kernel: kernel.set_uid(uid))
        self._try(lambda kernel: kernel.set_reuid(uid, uid))
        self._try(lambda kernel: kernel.set_gid(gid))
        self._try(lambda kernel: kernel.set_regid(gid, gid))

    @rule(groups=st.lists(gids, max_size=3))
    def attack_by_groups(self, groups: list[Gid]) -> None:
        """setgroups(2)."""
        self._try(lambda kernel: kernel.set_groups(groups))

    @rule(permitted=any_set, effective=any_set, inheritable=any_set)
    def attack_by_capabilities(
        self, permitted: CapabilitySet, effective: CapabilitySet, inheritable: CapabilitySet
    ) -> None:
        """capset(2)."""
        self._try(lambda k: k.set_thread_capabilities(permitted, effective, inheritable))

    @rule(capability=st.sampled_from(list(Capability)))
    def attack_by_the_ambient_set(self, capability: Capability) -> None:
        """prctl(2) PR_CAP_AMBIENT_RAISE."""
        self._try(lambda kernel: kernel.raise_thread_ambient(capability))

    @rule(bits=st.sampled_from(list(Securebits)), on=st.booleans())
    def attack_by_securebits(self, bits: Securebits, on: bool) -> None:
        """prctl(2) PR_SET_SECUREBITS and PR_SET_KEEPCAPS."""
        self._try(lambda kernel: kernel.set_thread_securebits(bits))
        self._try(lambda kernel: kernel.set_thread_keep_capabilities(on))

    @invariant()
    def nothing_that_was_given_up_is_held(self) -> None:
        """In no thread, and in no slot."""
        if self.kernel is None or self.goal is None:
            return
        threads = self.kernel.threads()
        assert threads is not None
        goal, allowed = self.goal, self.goal.capabilities
        assert allowed is not None
        uid, gid = goal.uid.real, goal.gid.real
        for held in threads.values():
            assert held.uid == goal.uid
            assert held.gid == goal.gid
            assert held.filesystem_uid == uid
            assert held.filesystem_gid == gid
            assert set(held.groups) <= set(goal.groups)
            assert held.capabilities is not None
            assert held.capabilities.permitted <= allowed.permitted
            assert held.capabilities.effective <= allowed.permitted
            assert held.capabilities.ambient <= allowed.permitted
            assert held.capabilities.bounding <= allowed.bounding
            assert held.no_new_privs or not goal.no_new_privs
