"""There is no such policy, and a wrong one must not pass for "none"."""

from abdicate import PrivilegeDrop


def drop() -> PrivilegeDrop:
    return PrivilegeDrop(user="app", groups="none")
