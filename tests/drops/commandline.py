"""The command line in a forked child that starts as root often does, or as the test says."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass

import abdicate.cli.explain
import abdicate.cli.run  # loaded here, so that children in a strange place find it
import abdicate.kernel.linux  # noqa: F401
from abdicate.cli import main
from drops.cases import as_root_often_starts

__all__ = ["Finished", "abdicate_in"]

_PATIENCE = 60  # seconds


@dataclass(frozen=True)
class Finished:
    """A command line that ended: exit status (negative for a signal), and what it wrote."""

    exit_code: int
    out: str
    err: str

    @property
    def refused(self) -> bool:
        """Tell whether it is a failure as they should be: 125, one line, and nothing else."""
        one_line = len(self.err.splitlines()) == 1 and self.err.startswith("abdicate run: ")
        return self.exit_code == 125 and one_line and not self.out


def abdicate_in(*words: str, start: Callable[[], object] = as_root_often_starts) -> Finished:
    """Run ``abdicate WORD…`` in a child in the state *start*; ``run`` really executes."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        pid = os.fork()
        if pid == 0:
            _be_the_command(words, start, out.fileno(), err.fileno())
        _, status = os.waitpid(pid, 0)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode(errors="surrogateescape"))
    return Finished(os.waitstatus_to_exitcode(status), *texts)


def _be_the_command(
    words: tuple[str, ...], start: Callable[[], object], out: int, err: int
) -> None:
    status = 70
    try:
        signal.alarm(_PATIENCE)
        os.dup2(out, 1)
        os.dup2(err, 2)
        sys.stdout, sys.stderr = (os.fdopen(n, "w", buffering=1, closefd=False) for n in (1, 2))
        start()
        status = main(words)
        sys.stdout.flush()
    except BaseException as error:
        os.write(2, f"{error!r}\n".encode(errors="replace"))
    finally:
        os._exit(status)
