# Celery ships no types. What the tests of parity need is `celery.platforms`, and that is complete;
# of the rest nothing is said.

from typing import Any

def __getattr__(name: str) -> Any: ...
