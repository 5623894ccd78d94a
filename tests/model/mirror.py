"""A fake kernel in the state of this very process."""

from __future__ import annotations

import functools
import os
from typing import TypeVar

from abdicate.identity.capabilities import Securebits
from abdicate.identity.credentials import Credentials
from abdicate.identity.situation import UserNamespace
from abdicate.kernel.linux import LinuxKernel
from abdicate.testing import FakeKernel, Machine
from harness.child import in_child

K = TypeVar("K", bound=FakeKernel)

LIMITS = ("core", "memlock", "nice", "nofile", "nproc", "stack")

_ALL_SECUREBITS, _OLD_SECUREBITS = Securebits(0xFFF), Securebits(0xFF)


@functools.cache
def machine() -> Machine:
    """What this kernel is like; asked before any change, in a process that may read /proc/sys."""
    # Loads what reading needs, so that not every forked child has to.
    LinuxKernel().situation(LIMITS)
    return Machine(
        groups_max=os.sysconf("SC_NGROUPS_MAX"),
        last_capability=_number("kernel/cap_last_cap"),
        securebits=_ALL_SECUREBITS if in_child(_knows_exec_bits) else _OLD_SECUREBITS,
        suid_dumpable=_number("fs/suid_dumpable"),
        open_files_max=_number("fs/nr_open"),
    )


def _number(name: str) -> int:
    with open(f"/proc/sys/{name}") as file:
        return int(file.read())


def _knows_exec_bits() -> bool:
    # Linux 6.14 and later let everyone set SECBIT_EXEC_RESTRICT_FILE; before, it is unknown.
    kernel = LinuxKernel()
    try:
        kernel.set_thread_securebits((Credentials.current().securebits or Securebits(0)) ^ 0x100)
    except OSError:
        return False
    return True


def mirror(kernel: LinuxKernel, kind: type[K], *directories: str) -> K:
    """Return a fake kernel that starts in the state of this process, as *kernel* reads it."""
    situation = kernel.situation(LIMITS)
    everywhere = situation.user_namespace == UserNamespace()
    return kind(
        situation.credentials,
        None if everywhere else situation.user_namespace,
        threads=_others(),
        machine=machine(),
        limits=situation.limits,
        nice=situation.nice,
        parent_death_signal=situation.parent_death_signal,
        environment=dict(situation.environment),
        directories=(*directories, situation.working_directory or "/"),
        working_directory=situation.working_directory or "/",
        process_id=os.getpid(),
        parent=os.getppid(),
    )


def _others() -> list[Credentials]:
    threads = Credentials.of_threads(os.getpid())
    return [held for thread, held in sorted(threads.items()) if thread != os.getpid()]
