"""Celery's own command line, with `abdicate.platforms` in the place of `celery.platforms`.

Celery executes Python anew for a worker that detaches, and for each node of ``celery multi``: as
``EXECUTABLE -m celery …``, where EXECUTABLE is its own option ``--executable``. A program of two
lines that runs this file is that executable, so this file takes those two words away again.
"""

from __future__ import annotations

import importlib
import sys


def main() -> None:
    """Put our module in place before anything of Celery is imported, and be Celery."""
    if sys.argv[1:3] == ["-m", "celery"]:
        del sys.argv[1:3]
    assert not any(name.partition(".")[0] == "celery" for name in sys.modules)
    ours = importlib.import_module("abdicate.platforms")
    # The package does not import its platforms itself: from here on, whoever does gets ours.
    sys.modules["celery.platforms"] = ours
    importlib.import_module("celery").platforms = ours  # type: ignore[attr-defined]  # a new name
    importlib.import_module("celery.__main__").main()


if __name__ == "__main__":
    main()
