"""THE ONLY ROOM THAT CHANGES CREDENTIALS. Everything above it is data.

`system_kernel` gives the adapter for this platform; its module is loaded then, and not before.
"""

from __future__ import annotations

import sys

from abdicate.errors import UnsupportedPlatformError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from abdicate.kernel.port import Kernel

__all__ = ["system_kernel"]


def system_kernel() -> Kernel:
    """Return the kernel of this machine, as the executor uses it.

    Raises:
        UnsupportedPlatformError: on Windows, which has no user ids to give up.
    """
    if sys.platform == "linux":
        from abdicate.kernel.linux import LinuxKernel

        return LinuxKernel()
    if sys.platform == "win32":
        raise UnsupportedPlatformError(
            "Windows has no user and group ids: a process there is what its token says"
        )
    from abdicate.kernel.posix import PosixKernel

    return PosixKernel()
