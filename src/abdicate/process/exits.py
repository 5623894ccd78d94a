"""Exit statuses with a meaning, as sysexits(3) numbers them.

Written out, because ``os`` has them on POSIX only.
"""

__all__ = ["EX_CANTCREAT", "EX_FAILURE", "EX_OK", "EX_UNAVAILABLE", "EX_USAGE"]

EX_OK: int = 0
EX_FAILURE: int = 1  # not of sysexits(3): POSIX's EXIT_FAILURE
EX_USAGE: int = 64
EX_UNAVAILABLE: int = 69
EX_CANTCREAT: int = 73
