"""Contests: one figure of ours beside those of others, taken alternately.

The machine may be shared, so nothing here trusts one sample. Every round takes one sample of
each way, in an order of its own; what drifts, drifts for all of them. The table shows medians,
and the ratio is of medians; beside it, in brackets, stands the ratio of the best samples, which
says how much of the other was noise.
"""

from __future__ import annotations

import gc
import os
import random
import statistics
import struct
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version

__all__ = [
    "ANSWER_DESCRIPTOR",
    "BARE",
    "AtLeastTimesFaster",
    "AtMost",
    "AtMostTimes",
    "Contest",
    "Goal",
    "Way",
    "absent",
    "in_child",
    "installed",
    "plain_environment",
    "program_time",
    "python_time",
    "timed",
]

#: The least that a Python program can be.
BARE = "python -c pass"

#: Where `in_child` has its answer's descriptor: what closes descriptors must keep it.
ANSWER_DESCRIPTOR = 3


@dataclass(frozen=True)
class Way:
    """One way of doing the thing: its name, and what takes one sample.

    ``sample`` is None for a peer that is absent, and ``reason`` then says why.
    """

    name: str
    sample: Callable[[], float] | None
    reason: str = ""


def absent(name: str, reason: str = "not installed") -> Way:
    """Return a peer that can't be measured here; it is told, and never made up."""
    return Way(name, None, reason)


@dataclass(frozen=True)
class AtMostTimes:
    """The goal is at most *factor* times what *peer* takes."""

    factor: float
    peer: str

    @property
    def text(self) -> str:
        """The goal as the table shows it."""
        return f"≤ {self.factor:g} × {self.peer}"

    def ratio(self, medians: dict[str, float], ours: str) -> float | None:
        """Return ours over theirs; None where they are absent."""
        return medians[ours] / medians[self.peer] if self.peer in medians else None

    def met(self, medians: dict[str, float], ours: str) -> bool | None:
        """Tell whether the goal is met; None where that can't be told."""
        ratio = self.ratio(medians, ours)
        return None if ratio is None else ratio <= self.factor


@dataclass(frozen=True)
class AtLeastTimesFaster:
    """The goal is to be *factor* times faster than *peer*."""

    factor: float
    peer: str

    @property
    def text(self) -> str:
        """The goal as the table shows it."""
        return f"≥ {self.factor:g} × faster than {self.peer}"

    def ratio(self, medians: dict[str, float], ours: str) -> float | None:
        """Return theirs over ours; None where they are absent."""
        return medians[self.peer] / medians[ours] if self.peer in medians else None

    def met(self, medians: dict[str, float], ours: str) -> bool | None:
        """Tell whether the goal is met; None where that can't be told."""
        ratio = self.ratio(medians, ours)
        return None if ratio is None else ratio >= self.factor


@dataclass(frozen=True)
class AtMost:
    """The goal is at most *limit*, in the contest's own unit; ``text`` says it for people."""

    limit: float
    text: str

    def ratio(self, medians: dict[str, float], ours: str) -> float | None:
        """Return ours over the limit."""
        return medians[ours] / self.limit

    def met(self, medians: dict[str, float], ours: str) -> bool | None:
        """Tell whether the goal is met."""
        return medians[ours] <= self.limit


Goal = AtMostTimes | AtLeastTimesFaster | AtMost


@dataclass
class Contest:
    """One row of the table.

    Attributes:
        what: what is measured.
        ours: abdicate's way.
        others: the peers, and the limit below which nobody gets.
        goal: what ours should reach; None where the figure is only told.
        rounds: how often each way is sampled.
        unit: ``s`` for seconds, ``B`` for bytes, anything else is a plain count of that.
    """

    what: str
    ours: Way
    others: list[Way]
    goal: Goal | None
    rounds: int
    unit: str = "s"
    samples: dict[str, list[float]] = field(default_factory=dict)

    def run(self) -> None:
        """Take the samples, alternately."""
        ways = [way for way in (self.ours, *self.others) if way.sample is not None]
        self.samples = {way.name: [] for way in ways}
        assert len(self.samples) == len(ways), "two ways of one contest have the same name"
        for way in ways:
            # Not counted: it fills caches, the compiled modules' among them.
            assert way.sample is not None
            way.sample()
        # What earlier subjects and peers have left is not this one's garbage to look through.
        gc.collect()
        gc.freeze()
        order = random.Random(0)  # noqa: S311 - no secret
        for _ in range(self.rounds):
            # By chance, since whoever comes after a long one finds the caches cold.
            order.shuffle(ways)
            for way in ways:
                assert way.sample is not None
                self.samples[way.name].append(way.sample())

    @property
    def medians(self) -> dict[str, float]:
        """The median of each way that was measured."""
        return {name: statistics.median(taken) for name, taken in self.samples.items()}

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where there is none, or it can't be told here."""
        if self.goal is None or self.ours.name not in self.samples:
            return None
        return self.goal.met(self.medians, self.ours.name)

    def row(self) -> str:
        """Return the row in Markdown: what, ours, the others, ratio, goal, met or not."""
        medians = self.medians
        shown = [f"{way.name}: {self._figure(way, medians)}" for way in self.others]
        cells = (
            self.what,
            self._figure(self.ours, medians),
            "<br>".join(shown) or "—",
            self._ratio(),
            "—" if self.goal is None else self.goal.text,
            {True: "met", False: "**missed**", None: "—"}[self.met],
        )
        return "| " + " | ".join(cells) + " |"

    def _ratio(self) -> str:
        if self.goal is None or self.ours.name not in self.samples:
            return "—"
        best = {name: min(taken) for name, taken in self.samples.items()}
        medians, bests = (self.goal.ratio(each, self.ours.name) for each in (self.medians, best))
        return "—" if medians is None or bests is None else f"{medians:.2f} ({bests:.2f})"

    def _figure(self, way: Way, medians: dict[str, float]) -> str:
        if way.name not in medians:
            return way.reason
        value = medians[way.name]
        if self.unit == "B":
            return f"{value / 2**20:.1f} MiB"
        if self.unit != "s":
            return f"{value:g} {self.unit}"
        for factor, unit in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
            if value * factor >= 1 or unit == "µs":
                return f"{value * factor:.3g} {unit}"
        raise AssertionError


def installed(*packages: str) -> bool:
    """Tell whether all of these packages are installed."""
    try:
        return all(version(package) for package in packages)
    except PackageNotFoundError:
        return False


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that *work* takes, once."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


_ANSWER = struct.Struct("d")


def in_child(sample: Callable[[], float]) -> float:
    """Return what *sample* returns in a forked child, whose identity and limits may change.

    Raises:
        RuntimeError: the child failed; its traceback is on standard error.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            if writing != ANSWER_DESCRIPTOR:
                os.dup2(writing, ANSWER_DESCRIPTOR)
                os.close(writing)
            os.write(ANSWER_DESCRIPTOR, _ANSWER.pack(sample()))
            status = 0
        except BaseException:  # noqa: BLE001 - an IncompleteDropError is none of Exception
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writing)
    with open(reading, "rb") as answers:
        answer = answers.read()
    _, status = os.waitpid(child, 0)
    if status or len(answer) != _ANSWER.size:
        raise RuntimeError(f"the child ended with {os.waitstatus_to_exitcode(status)}")
    (seconds,) = _ANSWER.unpack(answer)
    assert isinstance(seconds, float)
    return seconds


def plain_environment() -> dict[str, str]:
    """Return the environment for a program that is measured: ours, without Python's switches."""
    # They change what a start costs: without bytecode each module is compiled anew.
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def program_time(*words: str) -> float:
    """Return the seconds from before a program's start to after its end, by wait4(2).

    Raises:
        RuntimeError: it failed.
    """
    quiet = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
    environment = plain_environment()
    begun = time.perf_counter()
    child = os.posix_spawn(words[0], words, environment, file_actions=quiet)
    _, status = os.waitpid(child, 0)
    taken = time.perf_counter() - begun
    if status:
        raise RuntimeError(f"{words} ended with {os.waitstatus_to_exitcode(status)}")
    return taken


def python_time(program: str) -> float:
    """Return the seconds of a whole ``python -c``."""
    return program_time(sys.executable, "-c", program)
