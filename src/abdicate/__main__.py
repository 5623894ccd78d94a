"""``python -m abdicate`` is ``abdicate``."""

import sys

from abdicate.cli import main

if __name__ == "__main__":
    sys.exit(main())
