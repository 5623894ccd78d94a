"""The peers that several subjects ask for."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from benchmarks.harness import Way, absent, in_child, installed

__all__ = ["OLD_CELERY", "in_child_where", "with_old_celery"]

#: celery 5.6 stands beside 5.7, and so in a folder of its own:
#: ``pip install --target .bench/celery-5.6 'celery==5.6.*' 'billiard==4.2.*'``.
OLD_CELERY = os.path.abspath(".bench/celery-5.6")


def in_child_where(name: str, sample: Callable[[], float], *packages: str) -> Way:
    """Return the way that takes its samples in forked children; absent without the packages."""
    if not installed(*packages):
        return absent(name)
    return Way(name, lambda: in_child(sample))


def with_old_celery(name: str, sample: Callable[[], float]) -> Way:
    """Return the way whose forked children have celery 5.6 in celery's place."""
    if not os.path.isdir(OLD_CELERY):
        return absent(name, "not in .bench/celery-5.6")

    def at_home() -> float:
        for module in list(sys.modules):
            if module.partition(".")[0] in ("celery", "billiard", "kombu", "vine", "amqp"):
                del sys.modules[module]
        sys.path.insert(0, OLD_CELERY)
        return sample()

    return Way(name, lambda: in_child(at_home))
