"""Many processes fight for one pidfile, and something else than the lock counts who has it.

    python tests/process/stress_pidfile.py DIRECTORY [--rounds N] [--acquisitions N] [--lock KIND]

*Rounds*: every process tries once, at the same time, from a path that is absent, stale, empty, or
left by a holder that was killed; one must get it, and only one. *Churn*: they acquire, hold and
release in a loop; and in the second half one of them is killed every few milliseconds, wherever
it is. A random wait stands between any two system calls of the algorithm, so that the races that
can happen do.

The oracle is a page of shared memory in which each process raises a flag of its own while it
believes that it holds the lock, and looks at the others'. A reader beside them reads the file
all the time. ``--lock`` puts in a lock that is known to be broken, to show that this sees it.

The figures are printed as JSON; the exit status tells whether they are all right.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import mmap
import os
import random
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from abdicate.errors import LockFailed
from abdicate.process import lockfile
from abdicate.process.pidlock import PidLock
from abdicate.process.pidobstacle import PidfileHeld

_NOBODY = b"4194304\n"  # PID_MAX_LIMIT of Linux: there is no such process
_RECORD = re.compile(rb"[1-9][0-9]*\n")
_PATIENCE = 10.0  # seconds without an acquisition, until the lock counts as lost
_LIFE = 600  # seconds, for what an interrupted run leaves behind
_KILL_EVERY = 0.005  # seconds

# Share of the rounds that begin with each state of the path. "fresh" costs two seconds each.
_STARTS = {"absent": 0.25, "stale": 0.25, "empty": 0.2, "staggered": 0.15, "killed": 0.15}


class Held(Protocol):
    """What a lock under test gives its holder."""

    def still_held(self) -> bool:
        """Whether it is held now."""
        ...

    def release(self) -> None:
        """Give it up."""


class Oracle:
    """Who believes to hold the lock. Each process writes to its own slot, so nothing is lost."""

    _FIELDS = ("inside", "doomed", "acquisitions", "overlaps", "losses", "errors", "torn", "reads")

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._cells = memoryview(mmap.mmap(-1, len(self._FIELDS) * slots * 8)).cast("Q")

    def get(self, field: str, slot: int) -> int:
        """Return one cell."""
        return self._cells[self._FIELDS.index(field) * self.slots + slot]

    def set(self, field: str, slot: int, value: int) -> None:
        """Write one cell; only its own process does, or the parent when that is dead."""
        self._cells[self._FIELDS.index(field) * self.slots + slot] = value

    def count(self, field: str, slot: int) -> None:
        """Add one to a cell."""
        self.set(field, slot, self.get(field, slot) + 1)

    def total(self, field: str) -> int:
        """Return the sum over all processes."""
        return sum(self.get(field, slot) for slot in range(self.slots))

    def enter(self, slot: int) -> None:
        """This process believes that it holds the lock from here on."""
        self.set("inside", slot, 1)
        self.count("acquisitions", slot)
        self._look(slot)

    def leave(self, slot: int) -> None:
        """This process is about to release the lock."""
        self._look(slot)
        self.set("inside", slot, 0)

    def _look(self, slot: int) -> None:
        for other in range(self.slots):
            # Who is just being killed may have lost the lock before its flag is taken down.
            if other != slot and self.get("inside", other) and not self.get("doomed", other):
                self.count("overlaps", slot)

    @contextlib.contextmanager
    def doom(self, slot: int) -> Iterator[None]:
        """The process is killed in this block, and is not inside any more when it ends."""
        self.set("doomed", slot, 1)
        yield
        self.set("inside", slot, 0)
        self.set("doomed", slot, 0)


# --- The locks ------------------------------------------------------------------------------------


class _CheckThenCreate:
    """How many programs do it: look, remove what is stale, create. Broken, on purpose."""

    def __init__(self, path: str, pause: Callable[[str], None]) -> None:
        self._path = path
        self._pause = pause

    def acquire(self) -> _CheckThenCreate:
        self._remove_stale()
        self._pause("absent")
        try:
            descriptor = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError as error:
            raise PidfileHeld(str(error), self._path, None) from None
        self._pause("empty")
        os.write(descriptor, b"%d\n" % os.getpid())
        os.close(descriptor)
        return self

    def _remove_stale(self) -> None:
        with contextlib.suppress(FileNotFoundError, ValueError):
            with open(self._path) as file:
                pid = int(file.read())
            self._pause("read")
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                self._pause("stale")
                os.unlink(self._path)

    def still_held(self) -> bool:
        return True

    def release(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)


def _lock(kind: str, path: str, jitter: float) -> Callable[[], Held]:
    def pause(_place: str) -> None:
        time.sleep(random.random() * jitter)

    lockfile._at_race_point = pause
    if kind == "check-then-create":
        return lambda: _CheckThenCreate(path, pause).acquire()
    if kind == "no-second-look":
        # What was locked need not be what the path names.
        lockfile.LockFile.is_at = lambda self, path: True  # type: ignore[method-assign]  # broken on purpose
    return PidLock(path, stale="never" if kind == "never-taken-over" else "reused").acquire


# --- The processes --------------------------------------------------------------------------------


class Worker:
    """A process that runs *body* with its slot and two pipes, for orders and for answers."""

    def __init__(self, slot: int, body: Callable[[int, int, int], None]) -> None:
        orders, self._orders = os.pipe()
        self._answers, answers = os.pipe()
        self.slot = slot
        self.pid = os.fork()
        if self.pid == 0:
            try:
                signal.alarm(_LIFE)
                random.seed(os.getpid())
                body(slot, orders, answers)
            except BaseException as error:
                sys.excepthook(type(error), error, error.__traceback__)
            finally:
                os._exit(1)
        os.close(orders)
        os.close(answers)

    def tell(self, order: bytes) -> None:
        """Give it an order."""
        os.write(self._orders, order)

    def answer(self) -> bytes:
        """Wait for its answer, one byte."""
        answer = os.read(self._answers, 1)
        if not answer:
            raise AssertionError(f"worker {self.slot} died")
        return answer

    def kill(self) -> None:
        """Kill it, and wait until it is gone."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._orders)
        os.close(self._answers)


class Fight:
    """One path, one kind of lock, and what came of it."""

    def __init__(self, directory: str, kind: str, processes: int, jitter: float) -> None:
        self._directory = directory
        self._path = os.path.join(directory, "stress.pid")
        self._acquire = _lock(kind, self._path, jitter)
        self._jitter = jitter
        self._processes = processes
        # The reader's slot is the one after the fighters'.
        self._oracle = Oracle(processes + 1)
        self._rounds = self._doubles = self._losses = self._kills = 0

    def figures(self) -> dict[str, int]:
        """Return what was counted."""
        total = self._oracle.total
        return {
            "rounds": self._rounds,
            "acquisitions": total("acquisitions"),
            "double holders": self._doubles + total("overlaps"),
            "lost locks": self._losses + total("losses"),
            "errors": total("errors"),
            "kills": self._kills,
            "reads": total("reads"),
            "torn reads": total("torn"),
        }

    # --- Rounds

    def run_rounds(self, start: str, rounds: int) -> None:
        """Fight *rounds* rounds, each from the state of the path that *start* names."""
        self._clear()
        workers = [Worker(slot, self._contend) for slot in range(self._processes)]
        # An empty file that was put there is no torn read.
        with contextlib.nullcontext() if start in ("empty", "fresh") else self._reader():
            for _ in range(rounds):
                self._prepare(start)
                self._run_round(start, workers)
        for worker in workers:
            worker.kill()

    def _run_round(self, start: str, workers: list[Worker]) -> None:
        for worker in workers:
            worker.tell(b"later" if start == "staggered" else b"now")
        winners = [worker for worker in workers if worker.answer() == b"w"]
        self._rounds += 1
        self._doubles += len(winners) > 1
        self._losses += not winners
        if start == "killed":
            for worker in winners:
                workers[worker.slot] = self._replace(worker, self._contend)
        else:
            for worker in winners:
                worker.tell(b"release")
                worker.answer()

    def _prepare(self, start: str) -> None:
        if start == "staggered":
            start = random.choice(["absent", "stale"])
        if start == "absent":
            # Whoever released it last should have left nothing.
            self._losses += os.path.exists(self._path)
        elif start != "killed":
            new = self._path + ".new"
            with open(new, "wb") as file:
                file.write(_NOBODY if start == "stale" else b"")
            if start == "empty":
                os.utime(new, (0, 0))
            os.rename(new, self._path)

    def _contend(self, slot: int, orders: int, answers: int) -> None:
        while True:
            if os.read(orders, 16) == b"later":
                time.sleep(random.random() * 0.005)
            held = self._try(slot)
            os.write(answers, b"r" if held is None else b"w")
            if held is not None:
                os.read(orders, 16)
                self._finish(slot, held)
                os.write(answers, b"d")

    # --- Churn

    def run_churn(self, acquisitions: int, *, killing: bool) -> None:
        """Fight until there were as many *acquisitions*; with *killing*, somebody dies at times."""
        self._clear()
        workers = [Worker(slot, self._loop) for slot in range(self._processes)]
        target = self._oracle.total("acquisitions") + acquisitions
        last, since = 0, time.monotonic()
        with self._reader():
            while (now := self._oracle.total("acquisitions")) < target:
                if now != last:
                    last, since = now, time.monotonic()
                elif time.monotonic() - since > _PATIENCE:
                    self._losses += 1
                    break
                time.sleep(_KILL_EVERY)
                if killing:
                    worker = random.choice(workers)
                    workers[worker.slot] = self._replace(worker, self._loop)
        for worker in workers:
            with self._oracle.doom(worker.slot):
                worker.kill()

    def _loop(self, slot: int, _orders: int, _answers: int) -> None:
        while True:
            held = self._try(slot)
            time.sleep(random.random() * self._jitter)
            if held is not None:
                self._finish(slot, held)

    # --- What both are made of

    def _try(self, slot: int) -> Held | None:
        try:
            held = self._acquire()
        except PidfileHeld:
            return None
        except LockFailed as error:
            if not self._oracle.total("errors"):
                print(error, file=sys.stderr)
            self._oracle.count("errors", slot)
            return None
        self._oracle.enter(slot)
        return held

    def _finish(self, slot: int, held: Held) -> None:
        try:
            with open(self._path, "rb") as file:
                ours = file.read() == b"%d\n" % os.getpid()
        except FileNotFoundError:
            ours = False
        if not (ours and held.still_held()):
            self._oracle.count("losses", slot)
        self._oracle.leave(slot)
        held.release()

    def _replace(self, worker: Worker, body: Callable[[int, int, int], None]) -> Worker:
        with self._oracle.doom(worker.slot):
            worker.kill()
        self._kills += 1
        return Worker(worker.slot, body)

    def _clear(self) -> None:
        for name in os.listdir(self._directory):
            os.unlink(os.path.join(self._directory, name))

    @contextlib.contextmanager
    def _reader(self) -> Iterator[None]:
        reader = Worker(self._processes, self._read)
        yield
        reader.kill()

    def _read(self, slot: int, _orders: int, _answers: int) -> None:
        while True:
            try:
                with open(self._path, "rb") as file:
                    content = file.read()
            except FileNotFoundError:
                continue
            self._oracle.count("reads", slot)
            if not _RECORD.fullmatch(content):
                self._oracle.count("torn", slot)
            time.sleep(0.0001)


def main() -> int:
    """Fight, print the figures, and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("directory", help="an empty one, on the file system to try")
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--acquisitions", type=int, default=20000)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--jitter", type=float, default=0.0005, help="most seconds of a wait")
    parser.add_argument(
        "--lock",
        default="ours",
        choices=["ours", "check-then-create", "no-second-look", "never-taken-over"],
    )
    options = parser.parse_args()
    began = time.monotonic()
    fight = Fight(options.directory, options.lock, options.processes, options.jitter)
    for start, share in _STARTS.items():
        fight.run_rounds(start, round(options.rounds * share))
    fight.run_rounds("fresh", min(3, options.rounds // 500))
    fight.run_churn(options.acquisitions // 2, killing=False)
    fight.run_churn(options.acquisitions // 2, killing=True)
    figures = fight.figures()
    print(json.dumps({**figures, "seconds": round(time.monotonic() - began, 1)}))
    wrong = ("double holders", "lost locks", "errors", "torn reads")
    return int(any(figures[name] for name in wrong))


if __name__ == "__main__":
    sys.exit(main())
