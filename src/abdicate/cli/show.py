"""``abdicate show``: what a process holds, named and complete."""

from __future__ import annotations

import os

from abdicate.cli.console import say
from abdicate.cli.options import Parser
from abdicate.errors import SpecError
from abdicate.identity.accounts import SystemAccounts
from abdicate.identity.credentials import Credentials
from abdicate.identity.ids import Gid, Uid
from abdicate.plan.codec import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["main", "parser", "process_id"]

_VERSION = 1
_LONGEST_PID = 10


def parser() -> Parser:
    """Return what the command line of ``show`` may say."""
    words = Parser(
        "show",
        "Show what a process holds; without PID, what this command itself was given.",
        "[--json] [PID]",
    )
    words.add_argument("pid", metavar="PID", nargs="?", help="a process id")
    words.add_argument("--json", action="store_true", help="as JSON")
    return words


def main(words: list[str]) -> int:
    """Print the credentials of a process, and of each thread that differs. Return 0."""
    options = parser().parse_args(words)
    if options.pid is None:
        pid, own = os.getpid(), Credentials.current()
        threads = {pid: own}
    else:
        pid = process_id(options.pid)
        own, threads = Credentials.of(pid), Credentials.of_threads(pid)
    if options.json:
        import json

        data = {
            "version": _VERSION,
            "pid": pid,
            "credentials": encode(own),
            "threads": {str(thread): encode(held) for thread, held in threads.items()},
        }
        say(json.dumps(data, indent=2))
    else:
        say("\n".join(_text(pid, own, threads)))
    return 0


def process_id(text: str) -> int:
    """Return a process id that the command line names.

    Raises:
        SpecError: it is no whole number above 0.
    """
    plain = text.isascii() and text.isdigit() and len(text) <= _LONGEST_PID
    if not plain or not 0 < int(text) < 2**31:
        raise SpecError("PID", text, "a process id is a whole number above 0")
    return int(text)


def _text(pid: int, own: Credentials, threads: dict[int, Credentials]) -> Iterator[str]:
    yield f"process {pid}"
    names = _Names()
    width = max(map(len, own.slots()))
    for slot, value in own.slots().items():
        if value is not None:
            yield f"  {slot:{width}}  {names.explained(slot, value)}"
    unread = [slot for slot, value in own.slots().items() if value is None]
    if unread:
        yield f"  not readable from here: {', '.join(unread)}"
    for thread, held in threads.items():
        for difference in own.differences(held):
            yield f"  THREAD {thread} DIFFERS  {difference.slot}: {difference.observed}"


class _Names:
    """Puts names behind ids, as id(1) does."""

    def __init__(self) -> None:
        self._accounts = SystemAccounts()

    def explained(self, slot: str, value: str) -> str:
        if slot.endswith(" uid"):
            user = self._accounts.user_by_uid(Uid(int(value)))
            return f"{value} ({user.name})" if user else value
        if slot.endswith(" gid") or (slot == "supplementary groups" and value != "none"):
            return " ".join(map(self._group, value.split()))
        return value

    def _group(self, number: str) -> str:
        group = self._accounts.group_by_gid(Gid(int(number)))
        return f"{number} ({group.name})" if group else number
