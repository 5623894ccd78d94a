"""Experiments in lockstep, each in a process of its own."""

from __future__ import annotations

import pickle
import sys
from functools import partial
from typing import NoReturn

from abdicate.testing import FakeKernel
from abdicate.testing.rules import CredentialRules
from harness.child import in_child
from model.aside import Aside
from model.lockstep import Call, lockstep
from model.mirror import machine
from model.starts import STARTS


class Laboratory(Aside):
    """Experiments, each in a process of its own; a context manager."""

    module = "model.laboratory"

    def divergence(
        self, start: str, calls: list[Call], rules: type[CredentialRules] = CredentialRules
    ) -> str | None:
        """Return what `model.lockstep.lockstep` found, from that start and with these rules."""
        answer = self.ask(start, calls, rules)
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
