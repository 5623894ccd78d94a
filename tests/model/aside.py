"""A small process that forks one child for each experiment.

A fork of the test process itself, with all that pytest has loaded, costs several times as much;
and an experiment on credentials needs a process of its own.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from types import TracebackType
from typing import Any, Self

_SERVE = "import sys; sys.path = {path!r}; from {module} import serve; serve()"


class Aside:
    """What *module*'s function ``serve`` answers, in a process beside; a context manager."""

    module: str

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVE.format(path=sys.path, module=self.module)],
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
        self._process.kill()
        self._process.communicate()

    # Any: each question has an answer of its own.
    def ask(self, *question: object) -> Any:
        """Put a question, and return the answer; raise it, where it is an error."""
        questions, answers = self._process.stdin, self._process.stdout
        assert questions is not None
        assert answers is not None
        pickle.dump(question, questions)
        questions.flush()
        answer = pickle.load(answers)
        if isinstance(answer, BaseException):
            raise answer
        return answer
