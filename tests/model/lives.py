"""Processes to drop and attack: on the model, and on the kernel with the model beside it."""

from __future__ import annotations

import ctypes
import os
import pickle
import queue
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from typing import Any, NoReturn, Protocol

from abdicate import executor
from abdicate.errors import IncompleteDropError, PreflightError
from abdicate.identity.capabilities import Capability, CapabilitySet
from abdicate.identity.credentials import Credentials, ResGid, ResUid
from abdicate.identity.ids import Gid, Uid
from abdicate.identity.resolve import Identity
from abdicate.identity.situation import IdRange
from abdicate.kernel.linux import LinuxKernel
from abdicate.kernel.port import Kernel
from abdicate.plan.planner import plan_drop
from abdicate.plan.policy import DropPolicy
from abdicate.testing import Aborted, FakeKernel
from abdicate.testing.thread import Thread
from model.aside import Aside
from model.lockstep import differences
from model.mirror import machine, mirror
from model.starts import own_namespace, unshare_user, write_proc

#: Who may be meant, and the id that it is. An ordinary user's kernel knows one id of his own.
Ids = dict[str, int]
ROOTS_IDS: Ids = {"root": 0, "adm": 4, "app": 1000, "other": 1001}

FEW = CapabilitySet.of(Capability.SETUID, Capability.SETGID, Capability.SETPCAP)


class Life(Protocol):
    """A process, from its start to its end."""

    ids: Ids

    def drop(self, identity: Identity, policy: DropPolicy) -> str:
        """Drop; return ``dropped``, ``refused`` or ``incomplete``."""

    def attack(self, thread: int, method: str, *arguments: object) -> None:
        """Let the *thread*-th thread call *method*, and see nothing of what comes of it."""

    def start_thread(self, thread: int) -> None:
        """Let the *thread*-th thread start one more."""

    def threads(self) -> list[Credentials]:
        """Return what is held now, by each thread; nothing by a process that is gone."""

    def end(self) -> None:
        """End it."""


def dropped(kernel: Kernel, identity: Identity, policy: DropPolicy) -> str:
    """Drop on *kernel*, and say how it ended."""
    before = kernel.threads()
    try:
        executor.execute(plan_drop(identity, policy, kernel.situation()), kernel)
    except PreflightError:
        assert kernel.threads() == before, "a refusal changed something"
        return "refused"
    except IncompleteDropError:
        return "incomplete"
    return "dropped"


class OneThreadKernel(FakeKernel):
    """A kernel behind a libc that changes the calling thread alone, as the bare calls do.

    credentials(7): the kernel keeps ids for each thread; it is libc that makes them the process's.
    """

    def _for_all(self, method: str, *arguments: object, rule: Callable[[Thread], Thread]) -> None:
        self._for_caller(method, *arguments, rule=rule)


class ModelLife:
    """A life on the model alone."""

    ids = ROOTS_IDS

    def __init__(
        self, start: str, groups: Iterable[int], threads: int, kind: type[FakeKernel] = FakeKernel
    ) -> None:
        first = _modelled(kind, start, groups, ())
        self._kernel = _modelled(kind, start, groups, [first.credentials()] * threads)
        self._gone = False

    def drop(self, identity: Identity, policy: DropPolicy) -> str:
        """See `Life`."""
        return dropped(self._kernel, identity, policy)

    def attack(self, thread: int, method: str, *arguments: object) -> None:
        """See `Life`."""
        known = sorted(self._kernel.threads() or {})
        self._kernel.switch_thread(known[thread % len(known)])
        if hasattr(self._kernel, method):
            self._gone = self._gone or _tried(self._kernel, method, arguments) == "gone"

    def start_thread(self, thread: int) -> None:
        """See `Life`."""
        self.attack(thread, "start_thread")

    def threads(self) -> list[Credentials]:
        """See `Life`."""
        return [] if self._gone else list((self._kernel.threads() or {}).values())

    def end(self) -> None:
        """Nothing is left."""


def _modelled(
    kind: type[FakeKernel], start: str, groups: Iterable[int], threads: Iterable[Credentials]
) -> FakeKernel:
    if start == "user":
        return kind.user(1000, groups=groups, threads=threads)
    if start == "user namespace":
        ids = (IdRange(0, 0, 65536),)
        return kind.in_user_namespace(
            uids=ids, gids=ids, setgroups_allowed=True, groups=groups, threads=threads
        )
    return kind.root(
        groups=groups, capabilities=FEW if start == "few capabilities" else None, threads=threads
    )


def _tried(kernel: object, method: str, arguments: tuple[object, ...]) -> str:
    try:
        getattr(kernel, method)(*arguments)
    except OSError as error:
        return f"refused: {error.errno}"
    except Aborted:
        return "gone"
    return "let through"


class Nursery(Aside):
    """Forks one child for each life on the kernel."""

    module = "model.lives"


class KernelLife:
    """A life of a real process, seen from outside; within, a model of it must agree each time."""

    def __init__(self, nursery: Nursery, start: str, groups: list[int], threads: int) -> None:
        self._nursery = nursery
        self._pid, self.ids, self._inside = nursery.ask("begin", start, groups, threads)
        self._gone = False

    def drop(self, identity: Identity, policy: DropPolicy) -> str:
        """See `Life`."""
        outcome = self._nursery.ask("drop", identity, policy)
        assert isinstance(outcome, str)
        return outcome

    def attack(self, thread: int, method: str, *arguments: object) -> None:
        """See `Life`."""
        if not self._gone:
            self._gone = self._nursery.ask("attack", thread, method, arguments) == "gone"

    def start_thread(self, thread: int) -> None:
        """See `Life`."""
        if not self._gone:
            self._nursery.ask("start_thread", thread)

    def threads(self) -> list[Credentials]:
        """See `Life`."""
        if self._gone:
            return []
        held = Credentials.of_threads(self._pid).values()
        return [_inside(thread, self._inside) for thread in held]

    def end(self) -> None:
        """See `Life`."""
        self._nursery.ask("end")


_SLOTS = ("real", "effective", "saved")


def _inside(held: Credentials, inside: dict[int, int]) -> Credentials:
    """Return *held*, which is read from outside, as the user namespace numbers it."""

    def number(seen: int | None) -> int:
        assert seen is not None
        return inside.get(seen, seen)

    return held.replace(
        uid=ResUid(*(Uid(number(getattr(held.uid, slot))) for slot in _SLOTS)),
        gid=ResGid(*(Gid(number(getattr(held.gid, slot))) for slot in _SLOTS)),
        groups=tuple(Gid(number(gid)) for gid in held.groups),
        filesystem_uid=Uid(number(held.filesystem_uid)),
        filesystem_gid=Gid(number(held.filesystem_gid)),
    )


# The child's side.


def serve() -> NoReturn:
    """Fork a child for each life that is asked for on standard input, until there are no more."""
    machine()
    while True:
        try:
            question = pickle.load(sys.stdin.buffer)
        except EOFError:
            sys.exit()
        if question[0] == "end":
            _answer(None)  # of a life that did not begin
            continue
        child = os.fork()
        if child == 0:
            try:
                _live(*question[1:])
            except BaseException:
                _answer(AssertionError(traceback.format_exc()))
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        if status:
            _answer(AssertionError(f"the child died: wait status {status:#x}"))


def _answer(answer: object) -> None:
    pickle.dump(answer, sys.stdout.buffer)
    sys.stdout.buffer.flush()


def _live(start: str, groups: list[int], threads: int) -> None:
    ids, inside = _established(start, groups)
    process = _Process(threads)
    _answer((os.getpid(), ids, inside))
    while True:
        method, *arguments = pickle.load(sys.stdin.buffer)
        try:
            answer = getattr(process, method)(*arguments)
        except BaseException:
            # Not the end of it: who asks will say so.
            answer = AssertionError(traceback.format_exc())
        _answer(answer)
        if method == "end":
            return


def _established(start: str, groups: list[int]) -> tuple[Ids, dict[int, int]]:
    """Become what the start says; return who may be meant, and how ids seen outside are inside."""
    kernel = LinuxKernel()
    if os.geteuid() != 0:
        uid, gid = os.geteuid(), os.getegid()
        if start != "user namespace":
            return {"root": 0, "adm": 4, "app": uid, "other": gid}, {}
        own_namespace()
        seen = {uid: 0, gid: 0}
        return {"root": 0, "adm": 4, "app": 0, "other": 1001}, seen | {
            group: 65534 for group in os.getgroups() if group not in seen
        }
    kernel.set_groups([Gid(group) for group in groups])
    if start == "few capabilities":
        held = kernel.credentials().capabilities
        assert held is not None
        for capability in held.bounding - FEW:
            kernel.drop_thread_bounding(capability)
        kernel.set_thread_capabilities(FEW, FEW, CapabilitySet.EMPTY)
    elif start == "user":
        kernel.set_resgid(Gid(1000), Gid(1000), Gid(1000))
        kernel.set_resuid(Uid(1000), Uid(1000), Uid(1000))
    elif start == "user namespace":
        _namespace_of_all_ids()
    return ROOTS_IDS, {}


def _namespace_of_all_ids() -> None:
    made, mapped, process = os.pipe(), os.pipe(), os.getpid()
    helper = os.fork()
    if helper == 0:
        # Only somebody outside of the namespace can map more than one id.
        try:
            os.read(made[0], 1)
            for name in ("uid_map", "gid_map"):
                write_proc(f"{process}/{name}", "0 0 65536\n")
            os.write(mapped[1], b"x")
        finally:
            os._exit(0)
    os.close(mapped[1])
    unshare_user()
    os.write(made[1], b"x")
    assert os.read(mapped[0], 1) == b"x", "the ids of a new user namespace could not be mapped"
    os.waitpid(helper, 0)
    for descriptor in (*made, mapped[0]):
        os.close(descriptor)


class _Process:
    """This process and its threads, and a model of it; each does what the other does."""

    def __init__(self, threads: int) -> None:
        self._workers: list[_Worker] = []
        for _ in range(threads):
            self._workers.append(_Worker())
        self._kernel = LinuxKernel()
        self._model = mirror(self._kernel, FakeKernel)
        self._agree("the start")

    def drop(self, identity: Identity, policy: DropPolicy) -> str:
        outcome = dropped(self._kernel, identity, policy)
        modelled = dropped(self._model, identity, policy)
        self._agree(f"{identity} {policy}", modelled, outcome)
        return outcome

    def attack(self, thread: int, method: str, arguments: tuple[object, ...]) -> str:
        index = thread % (1 + len(self._workers))
        if method in ("setfsuid", "setfsgid"):
            # The model knows no such call; nor may it change anything after a drop.
            self._in_thread(index, lambda: getattr(_LIBC, method)(*arguments))
            self._agree(f"thread {index}: {method}{arguments}")
            return "refused"
        self._model.switch_thread(sorted(self._model.threads() or {})[index])
        expected = _tried(self._model, method, arguments)
        if expected == "gone":
            return expected  # glibc would end the process; nothing is left to look at
        found = self._in_thread(index, lambda: _tried(self._kernel, method, arguments))
        self._agree(f"thread {index}: {method}{arguments}", expected, found)
        return expected

    def start_thread(self, thread: int) -> None:
        index = thread % (1 + len(self._workers))
        self._model.switch_thread(sorted(self._model.threads() or {})[index])
        self._model.start_thread()
        self._workers.append(self._in_thread(index, _Worker))
        self._agree(f"thread {index}: a new thread")

    def end(self) -> None:
        """Nothing is left to do: the process exits."""

    def _in_thread(self, index: int, work: Callable[[], Any]) -> Any:  # Any: whatever work returns
        return self._workers[index - 1].do(work) if index else work()

    def _agree(self, what: str, expected: str = "", found: str = "") -> None:
        self._model.switch_thread(min(self._model.threads() or {}))
        wrong = [*differences(self._model, self._kernel)]
        assert (expected, wrong) == (found, []), f"{what}: {expected}, {found}, {wrong}"


_LIBC = ctypes.CDLL(None)


class _Worker:
    """A thread that does what it is given."""

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[Callable[[], Any]] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            self._done.put(self._work.get()())

    def do(self, work: Callable[[], Any]) -> Any:  # Any: whatever work returns
        self._work.put(work)
        return self._done.get()
