"""Put a model of the kernel, or a fixed account database, in the place of the machine's own."""

from __future__ import annotations

import importlib
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

    from abdicate.identity.accounts import AccountDatabase
    from abdicate.kernel.port import Kernel

__all__ = ["standing_in"]

# The rooms that ask for the machine's own where a caller gives none; tests/kit looks for others.
ASK_FOR_A_KERNEL = ("request", "executor", "process.privileges")
ASK_FOR_ACCOUNTS = ("request", "specs.drop", "process.privileges")


@contextmanager
def standing_in(
    *, kernel: Kernel | None = None, accounts: AccountDatabase | None = None
) -> Generator[None]:
    """Let every drop of this process be made on *kernel*, with the names of *accounts*.

    `PrivilegeDrop` and `DropRequest`, `execute`, and the privilege functions of
    `abdicate.platforms` then act on what is given here; the process is left as it is, but for
    what reads or changes it by another way: `rehearse`, `audit`, `Daemon`,
    `Credentials.current()`, `platforms.detached()`, `platforms.check_privileges()`.

    With *accounts* alone a drop is made on the real kernel: in a test, do that in a forked child.

    Args:
        kernel: what changes instead of this process, as a `FakeKernel`; None: the real one.
        accounts: where names are looked up, as `StaticAccounts`; None: the system's database.
    """
    with ExitStack() as stack:
        if kernel is not None:
            for name in ASK_FOR_A_KERNEL:
                _replace(stack, name, "system_kernel", kernel)
        if accounts is not None:
            for name in ASK_FOR_ACCOUNTS:
                _replace(stack, name, "SystemAccounts", accounts)
        yield


def _replace(stack: ExitStack, room: str, maker: str, made: object) -> None:
    module = importlib.import_module(f"abdicate.{room}")
    stack.callback(setattr, module, maker, getattr(module, maker))
    setattr(module, maker, lambda: made)
