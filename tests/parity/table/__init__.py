"""The table: every name of the contract, on inputs that are meant and on others."""

from __future__ import annotations

from parity.case import Case
from parity.table import (
    contexts,
    daemons,
    descriptors,
    ids,
    pidfiles,
    pidlocks,
    privileges,
    signals,
    small,
)

__all__ = ["CASES"]

CASES: tuple[Case, ...] = tuple(
    case
    for room in (
        ids,
        privileges,
        pidfiles,
        pidlocks,
        contexts,
        daemons,
        descriptors,
        signals,
        small,
    )
    for case in room.CASES
)
