"""Which system calls a plan's step stands for, told apart from abdicate: from its JSON alone."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from typing import Any

from drops import raw
from drops.tracing import Call

__all__ = ["attempt_call", "changing", "expected_calls", "only_reads"]

Done = tuple[str, ...]

# Calls that change nothing about who the process is, or only its memory and its open files.
_READING = frozenset(
    (
        *("access", "faccessat", "faccessat2", "brk", "capget", "close", "dup", "fcntl", "fstat"),
        *("futex", "getcwd", "getdents64", "getegid", "geteuid", "getgid", "getgroups", "getpid"),
        *("getppid", "getpriority", "getrandom", "getresgid", "getresuid", "gettid", "getuid"),
        *("ioctl", "lseek", "lstat", "madvise", "mmap", "mprotect", "munmap", "newfstatat"),
        *("pread64", "read", "readlink", "readlinkat", "rt_sigaction", "stat", "statx", "uname"),
        # To hold signals back meanwhile; that the mask is as before is looked at elsewhere.
        "rt_sigprocmask",
    )
)

_INFINITY = str(2**64 - 1)


def expected_calls(plan: dict[str, Any]) -> list[Done]:
    """Return the calls that make the steps of a plan, in their order, with their arguments."""
    return [call for step in plan["steps"] for call in _calls(step)]


def _calls(step: dict[str, Any]) -> Iterator[Done]:
    match step["kind"]:
        case "resource-limit":
            limit = step["limit"]
            number = getattr(resource, f"RLIMIT_{limit['resource'].upper()}")
            soft, hard = (_INFINITY if n is None else n for n in (limit["soft"], limit["hard"]))
            yield "prlimit64", "0", str(number), f"{{rlim_cur={soft}, rlim_max={hard}}}", "NULL"
        case "nice":
            yield "setpriority", "0", "0", str(step["value"])
        case "session-keyring":
            yield "keyctl", "1", "NULL"
        case "root-directory":
            yield "chroot", f'"{step["path"]}"'
            yield "chdir", '"/"'
        case "bounding-set":
            for name in step["capabilities"]:
                yield "prctl", "24", str(raw.CAPABILITIES.index(name))
        case "keep-capabilities":
            yield "prctl", "8", str(int(step["on"]))
        case "groups":
            groups = step["groups"]
            yield "setgroups", str(len(groups)), f"[{', '.join(map(str, groups))}]"
        case "gid":
            yield "setresgid", *[str(step["gid"])] * 3
        case "uid":
            yield "setresuid", *[str(step["uid"])] * 3
        case "capabilities":
            yield _capset(*(step[name] for name in ("permitted", "effective", "inheritable")))
        case "ambient-set":
            yield "prctl", "47", "4", "0", "0", "0"
            for name in step["capabilities"]:
                yield "prctl", "47", "2", str(raw.CAPABILITIES.index(name)), "0", "0"
        case "securebits":
            yield "prctl", "28", str(_securebits(step["bits"]))
        case "parent-death-signal":
            yield "prctl", "1", str(step["signal"])
        case "dumpable":
            yield "prctl", "4", str(int(step["on"]))
        case "no-new-privs":
            yield "prctl", "38", "1", "0", "0", "0"
        case "working-directory":
            yield "chdir", f'"{step["path"]}"'
        case "umask":
            yield "umask", str(step["mask"])
        case "environment":
            return  # a process's own memory: no call
        case kind:
            raise AssertionError(f"no calls are known for the step {kind}")


def _capset(permitted: list[str], effective: list[str], inheritable: list[str]) -> Done:
    sets = {"effective": effective, "permitted": permitted, "inheritable": inheritable}
    text = ", ".join(f"{name}={raw.mask(held)}" for name, held in sets.items())
    return "capset", f"{{version={0x20080522}, pid=0}}", f"{{{text}}}"


def _securebits(bits: list[str]) -> int:
    # capabilities(7), "The securebits flags": each flag, and above it its lock.
    flags = ("noroot", "no-setuid-fixup", "keep-caps", "no-cap-ambient-raise")
    order = [name for flag in flags for name in (flag, f"{flag}-locked")]
    return sum(1 << order.index(name) for name in bits)


def attempt_call(attempt: str) -> str:
    """Return the name of the call that an attempt of the report is."""
    return attempt.partition("(")[0]


def changing(calls: tuple[Call, ...]) -> list[tuple[int, Call]]:
    """Return the calls that could change something, with their places; nothing is overlooked."""
    return [(place, call) for place, call in enumerate(calls) if not only_reads(call)]


def only_reads(call: Call) -> bool:
    """Tell whether a call can't change who the process is."""
    match call.done:
        case ("prlimit64", _, _, "NULL", *_):
            return True
        case ("prctl", ("2" | "3" | "7" | "23" | "27" | "39"), *_) | ("prctl", "47", "1", *_):
            return True
        case ("keyctl", "0", *_):
            return True
        case ("openat", _, _, flags, *_):
            # O_RDONLY and no O_CREAT, whatever else: open(2).
            return int(flags) & 0o103 == 0
        case (name, *_):
            return name in _READING
    return False
