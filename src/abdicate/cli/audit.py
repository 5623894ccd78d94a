"""``abdicate audit``: running processes, compared with the profile that they should follow."""

from __future__ import annotations

import os
import stat

from abdicate.auditing.running import Expectation, ProcessAudit, audit_process, process_ids
from abdicate.cli.console import Refusal, UsageError, complain, say
from abdicate.cli.options import Parser, add_profile_options
from abdicate.cli.profiles import service
from abdicate.cli.show import process_id
from abdicate.errors import printable
from abdicate.identity.accounts import SystemAccounts
from abdicate.identity.cached import CachedAccounts
from abdicate.identity.credentials import Credentials

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from abdicate.service import Service

__all__ = ["main", "parser"]

_VERSION = 1
_EXIT_NO = 1
_EXIT_FAILURE = 125


def parser() -> Parser:
    """Return what the command line of ``audit`` may say."""
    words = Parser(
        "audit",
        "Tell what running processes hold: against a profile, slot by slot and thread by thread; "
        "without one, which of them are root, or could be root again. Exit status 1 where "
        "something is not as it should be.",
        "[OPTION…] [PID…]",
    )
    words.add_argument("pids", metavar="PID", nargs="*", help="process ids")
    words.add_argument("--all", action="store_true", help="every process that can be seen")
    add_profile_options(words, "profile")
    shape = words.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="as JSON, one line a process")
    shape.add_argument("--prometheus", action="store_true", help="as metrics")
    words.add_argument("--output", metavar="FILE", help="write there, whole or not at all")
    return words


def main(words: list[str]) -> int:
    """Print what was found. Return 1 where something is wrong, else 0."""
    options = parser().parse_args(words)
    described = service(options, any_owner=True)
    accounts = CachedAccounts(SystemAccounts())
    expectation = None
    if described is not None:
        expectation = Expectation(described, accounts, Credentials.current())
    audits: list[ProcessAudit] = []
    missing = 0
    for pid in _pids(options, described):
        try:
            found = audit_process(pid, accounts, expectation, kernel_threads=not options.all)
        except OSError as error:
            ended = isinstance(error, ProcessLookupError)
            # With --all it has ended since it was listed: there is nothing to say.
            missing += not (options.all and ended)
            if not options.all:
                complain("audit", f"process {pid}: {error.strerror or error}")
            continue
        if found is not None:
            audits.append(found)
        elif not options.all:
            missing += 1
            complain("audit", f"process {pid}: it has ended, and holds nothing (a zombie)")
    _write(_text(audits, options, missing), options.output)
    if missing and not options.all:
        return _EXIT_FAILURE
    return _EXIT_NO if any(_is_wrong(audit, options) for audit in audits) else 0


def _pids(options: Namespace, described: Service | None) -> list[int]:
    if options.all:
        if options.pids:
            raise UsageError("--all is every process: give it, or process ids")
        own = os.getpid()
        return [pid for pid in process_ids() if pid != own]
    if options.pids:
        return [process_id(text) for text in options.pids]
    lock = None if described is None else described.pidfile
    if lock is None:
        raise UsageError("no process is named: PID…, --all, or a profile with a pidfile")
    holder = lock.holder()
    if holder is None:
        raise Refusal(f"pidfile {lock.path}: no process is known to hold it", _EXIT_FAILURE)
    return [holder]


def _is_wrong(audit: ProcessAudit, options: Namespace) -> bool:
    if audit.deviations is not None:
        # What the profile itself keeps is what `abdicate check` judges.
        return bool(audit.deviations) or any(way.code == "AUD105" for way in audit.regains)
    return audit.can_regain or (audit.is_root and not options.all)


def _text(audits: list[ProcessAudit], options: Namespace, missing: int) -> str:
    if options.json:
        import json

        return "".join(json.dumps(_data(audit, options)) + "\n" for audit in audits)
    if options.prometheus:
        from abdicate.auditing.prometheus import metrics

        return metrics(audits, options.profile or "", missing)
    lines: list[str] = []
    for audit in audits:
        if not options.all or _is_wrong(audit, options):
            lines += _lines(audit)
    if options.all:
        root = sum(audit.is_root for audit in audits)
        wrong = sum(_is_wrong(audit, options) for audit in audits)
        hidden = f", {missing} could not be read" if missing else ""
        lines.append(f"{len(audits)} processes, {root} of them root; {wrong} wrong{hidden}")
    return "".join(f"{printable(line)}\n" for line in lines)


def _lines(audit: ProcessAudit) -> list[str]:
    who = f"process {audit.pid} ({audit.name})"
    if audit.deviations is None:
        ways = [f"  {way.code} {way.message}" for way in audit.regains]
        return [f"{who}: {'no way back to root is seen' if not ways else 'see below'}", *ways]
    found = [f"  DIFFERS {deviation}" for deviation in audit.deviations]
    found += [f"  {way.code} {way.message}" for way in audit.regains if way.code == "AUD105"]
    threads = "1 thread" if audit.threads == 1 else f"{audit.threads} threads"
    open_slots = f"  not compared: {', '.join(audit.unseen)}"
    return [f"{who}: {'not as planned' if found else 'as planned'}, {threads}", *found, open_slots]


def _data(audit: ProcessAudit, options: Namespace) -> dict[str, object]:
    from abdicate.plan.codec import encode

    deviations = audit.deviations
    return {
        "version": _VERSION,
        "pid": audit.pid,
        "name": printable(audit.name),
        "profile": options.profile,
        "ok": not _is_wrong(audit, options),
        "threads": audit.threads,
        "deviations": None if deviations is None else [encode(item) for item in deviations],
        "regains": [{"code": way.code, "message": way.message} for way in audit.regains],
        "not_compared": list(audit.unseen),
        "credentials": encode(audit.credentials),
    }


def _write(text: str, path: str | None) -> None:
    if path is None:
        if text:
            say(text)
        return
    # A device or a FIFO would be replaced by a file.
    if os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode):
        raise Refusal(f"--output {path}: it is not a regular file", _EXIT_FAILURE)
    # The textfile collector reads whenever it likes: never half a file.
    temporary = f"{path}.{os.getpid()}.tmp"
    file = open(temporary, "x", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115
    try:
        with file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
