"""A small process that forks one child for each experiment.

A fork of the test process itself, with all that pytest has loaded, costs several times as much;
and an experiment on credentials needs a process of its own.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from functools import partial
from types import TracebackType
from typing import NoReturn

from abdicate.testing import FakeKernel
from abdicate.testing.rules import CredentialRules
from harness.child import in_child
from model.lockstep import Call, lockstep
from model.mirror import machine
from model.starts import STARTS

_SERVE = "import sys; sys.path = {path!r}; from model.laboratory import serve; serve()"


class Laboratory:
    """Experiments, each in a process of its own; a context manager."""

    def __enter__(self) -> Laboratory:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVE.format(path=sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate()

    def divergence(
        self, start: str, calls: list[Call], rules: type[CredentialRules] = CredentialRules
    ) -> str | None:
        """Return what `model.lockstep.lockstep` found, from that start and with these rules."""
        questions, answers = self._process.stdin, self._process.stdout
        assert questions is not None
        assert answers is not None
        pickle.dump((start, calls, rules), questions)
        questions.flush()
        answer = pickle.load(answers)
        if isinstance(answer, BaseException):
            raise answer
        assert answer is None or isinstance(answer, str)
        return answer


def serve() -> NoReturn:
    """Answer questions on standard input, on standard output, until there are no more."""
    machine()
    while True:
        try:
            start, calls, rules = pickle.load(sys.stdin.buffer)
        except EOFError:
            sys.exit()
        try:
            answer: object = in_child(partial(lockstep, STARTS[start], calls, _kernel(rules)))
        except Exception as error:
            answer = error
        pickle.dump(answer, sys.stdout.buffer)
        sys.stdout.flush()


def _kernel(rules: type[CredentialRules]) -> type[FakeKernel]:
    return type("_Kernel", (FakeKernel,), {"rules": rules})
