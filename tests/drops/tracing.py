"""Drops under strace: what a child really asked the kernel for, and what it does when refused.

strace is attached to a forked child that waits for it, so a run costs hundredths of a second, and
the counts of ``inject=CALL:…:when=N`` begin with the child's own first call.
"""

from __future__ import annotations

import gc
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from abdicate.errors import IncompleteDropError
from abdicate.executor import execute
from abdicate.plan.plan import Plan
from drops import raw

__all__ = ["Call", "Ended", "Event", "Tell", "careless", "held", "traced", "window"]

Event = dict[str, Any]  # one JSON object that the child wrote
Tell = Callable[..., None]

_BEGIN, _END = "/abdicate-tests/begin", "/abdicate-tests/end"
_PATIENCE = 60  # seconds


@dataclass(frozen=True)
class Call:
    """One system call of a trace; numbers among the arguments are decimal, however they came.

    ``nth`` counts the calls of that name since strace was attached, from 1.
    """

    name: str
    arguments: tuple[str, ...]
    nth: int
    answer: str

    @property
    def injected(self) -> bool:
        """Tell whether strace had its hand in it."""
        return "(INJECTED)" in self.answer

    @property
    def done(self) -> tuple[str, ...]:
        """The call without its answer, to be compared."""
        return (self.name, *self.arguments)

    def __str__(self) -> str:
        return f"{self.name}({', '.join(self.arguments)})"


@dataclass(frozen=True)
class Ended:
    """A traced child that is gone: its wait status, what it told, and its calls."""

    status: int
    events: tuple[Event, ...]
    calls: tuple[Call, ...]
    errors: str

    @property
    def exit_code(self) -> int:
        """The exit status; negative for a signal."""
        return os.waitstatus_to_exitcode(self.status)

    @property
    def event(self) -> Event:
        """The one thing that it told."""
        (event,) = self.events
        return event


def traced(
    function: Callable[[Tell], int | None],
    trace: Path,
    *options: str,
    before: Callable[[], object] = lambda: None,
) -> Ended:
    """Run *function* in a forked child under strace with these *options*.

    Args:
        function: gets a function that tells the parent a JSON object; what it returns is the
            exit status. Standard output and error are the parent's to read.
        trace: where strace writes; overwritten.
        options: such as ``-e``, ``inject=setuid:error=EPERM:when=1``.
        before: what the child does before strace is attached: start states, and look-ups, whose
            calls would not be the same each time.
    """
    results, telling = os.pipe()
    errors, complaining = os.pipe()
    ready, prepared = os.pipe()
    # Blocked before the fork, so that it can't arrive before the child waits for it.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    pid = os.fork()
    if pid == 0:
        _be_the_child(function, before, (prepared, telling, complaining), mask)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    for descriptor in (prepared, telling, complaining):
        os.close(descriptor)
    os.read(ready, 1)
    os.close(ready)
    try:
        strace = _attach(pid, trace, options)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    os.kill(pid, signal.SIGUSR1)
    with os.fdopen(results) as told, os.fdopen(errors) as complained:
        lines, complaints = told.read().splitlines(), complained.read()
    strace.wait(_PATIENCE)
    _, status = os.waitpid(pid, 0)
    calls = tuple(_parse(trace.read_text(errors="surrogateescape")))
    events = tuple(json.loads(line) if line.startswith("{") else {"said": line} for line in lines)
    return Ended(status, events, calls, complaints)


def _be_the_child(
    function: Callable[[Tell], int | None],
    before: Callable[[], object],
    descriptors: tuple[int, int, int],
    mask: Iterable[int],
) -> None:
    status = 70
    try:
        signal.alarm(_PATIENCE)
        for number, descriptor in enumerate(descriptors[1:], 1):
            os.dup2(descriptor, number)
        ready = os.dup2(descriptors[0], 3, inheritable=False)
        os.closerange(4, 1024)
        # The counts are the same each time: nothing of pytest's is finalised in here.
        gc.disable()
        # Not pytest's own, which capture.
        sys.stdout, sys.stderr = (os.fdopen(n, "w", buffering=1, closefd=False) for n in (1, 2))
        before()
        os.write(ready, b"+")
        os.close(ready)
        signal.sigwait({signal.SIGUSR1})
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        status = function(_tell) or 0
    except BaseException as error:
        os.write(2, f"{error!r}\n".encode(errors="replace"))
    finally:
        os._exit(status)


def _tell(**data: object) -> None:
    os.write(1, json.dumps(data).encode() + b"\n")


def _attach(pid: int, trace: Path, options: tuple[str, ...]) -> subprocess.Popen[str]:
    command = ["strace", "-f", "-X", "raw", "-s", "4096", "-o", str(trace), *options]
    strace = subprocess.Popen(
        [*command, "-p", str(pid)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    assert strace.stderr is not None
    with strace.stderr as said:
        line = said.readline()
        if "attached" not in line:
            raise AssertionError(f"strace could not attach: {line}{said.read()}")
    return strace


_LINE = re.compile(r"^(?:\d+ +)?(\w+)\((.*?)\) += (.+)$")


def _parse(trace: str) -> Iterator[Call]:
    counts: Counter[str] = Counter()
    for line in trace.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue  # the call that strace interrupted, exits, signals
        name, arguments, answer = match.groups()
        counts[name] += 1
        yield Call(name, tuple(map(_plain, _split(arguments))), counts[name], answer)


def _split(text: str) -> Iterator[str]:
    """Split at the commas that stand in no bracket and in no quotes."""
    depth, start, quoted = 0, 0, False
    for at, character in enumerate(text):
        if character == '"' and text[at - 1 : at] != "\\":
            quoted = not quoted
        elif quoted:
            continue
        elif character in "[{(":
            depth += 1
        elif character in "]})":
            depth -= 1
        elif character == "," and depth == 0:
            yield text[start:at].strip()
            start = at + 1
    if text:
        yield text[start:].strip()


_NUMBER = re.compile(r"0x[0-9a-f]+(?:\|0x[0-9a-f]+)?|\b0[0-7]+\b")


def _plain(argument: str) -> str:
    if argument.startswith('"'):
        return argument
    return _NUMBER.sub(_decimal, argument)


def _decimal(number: re.Match[str]) -> str:
    text = number.group()
    if not text.startswith("0x"):
        return str(int(text, 8))
    low, _, high = text.partition("|")
    # Sets of 64 bits are shown as two words of 32, the lower one first.
    return str(int(low, 16) | (int(high, 16) << 32 if high else 0))


def careless(plan: Plan, tell: Tell) -> None:
    """Drop as careless programs do: swallow every Exception and go on.

    Tells one event: "dropped" or "swallowed" where the program's own code ran again, "ended" where
    it did not; each with what the process held then.
    """
    os.access(_BEGIN, os.F_OK)
    try:
        try:
            proof = execute(plan)
        except Exception as error:
            tell(event="swallowed", kind=type(error).__name__, message=str(error), held=held())
        else:
            os.access(_END, os.F_OK)
            tell(event="dropped", report=proof.report.to_data(), held=held())
    except BaseException as error:
        # What the interpreter would do at its end; no code of the program runs any more.
        report = error.report.to_data() if isinstance(error, IncompleteDropError) else None
        kind, message = type(error).__name__, str(error)
        tell(event="ended", kind=kind, message=message, report=report, held=held())


def window(calls: tuple[Call, ...]) -> tuple[Call, ...]:
    """Return the calls from `careless`'s first mark to its last one, without them."""
    marks = [n for n, call in enumerate(calls) if "abdicate-tests" in str(call)]
    return calls[marks[0] + 1 : marks[1]]


def held() -> dict[str, object]:
    """Return what this process holds, by calls alone: there may be no /proc any more."""
    mask = os.umask(0)
    os.umask(mask)
    here, root = os.stat("."), os.stat("/")
    return {
        "uids": os.getresuid(),
        "gids": os.getresgid(),
        "groups": sorted(os.getgroups()),
        "capabilities": raw.capget(),
        "ambient": [name for name in raw.CAPABILITIES if raw.is_ambient(name)],
        "bounding": [name for name in raw.CAPABILITIES if raw.is_bounding(name)],
        "securebits": raw.securebits(),
        "no_new_privs": raw.no_new_privs(),
        "dumpable": raw.dumpable(),
        "signal": raw.armed_signal(),
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "umask": mask,
        "blocked signals": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "root directory": (root.st_dev, root.st_ino),
        "working directory": (here.st_dev, here.st_ino),
    }
