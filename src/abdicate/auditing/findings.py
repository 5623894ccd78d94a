"""Findings: what is wrong, or risky, with a service that is described without an error.

A code is stable: it is never given to another rule. Each has a page in the documentation.
"""

from __future__ import annotations

from abdicate.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    #: ``error``: root can be regained, or was not given up. ``warning``: it is worth a thought.
    #: ``info``: it is so, and may be meant.
    Severity = Literal["error", "warning", "info"]

__all__ = ["RULES", "Finding", "Rule"]


class Rule(Value):
    """One rule: its code, how bad it is, and what it says in a few words."""

    code: str
    severity: Severity
    title: str


class Finding(Value):
    """One rule that one profile breaks.

    Attributes:
        code: the rule's code.
        severity: ``error``, ``warning`` or ``info``.
        profile: which profile.
        key: the path of the key within it that says so, as ``"drop.user"``.
        message: what was found, and what to do.
    """

    code: str
    severity: Severity
    profile: str
    key: str
    message: str


_TABLE = (
    Rule("ABD101", "error", "It stays root"),
    Rule("ABD102", "error", "It stays in root's group"),
    Rule("ABD103", "error", "It keeps the groups of whoever starts it"),
    Rule("ABD104", "error", "It is in a group that equals root"),
    Rule("ABD105", "warning", "It shares its account with others"),
    Rule("ABD106", "error", "Its user or group does not exist"),
    Rule("ABD107", "info", "Its uid has no account"),
    Rule("ABD108", "warning", "Its uid belongs to somebody's containers"),
    Rule("ABD109", "info", "Its account can log in"),
    Rule("ABD201", "error", "Its user can write to its pidfile"),
    Rule("ABD202", "error", "Its user can replace its pidfile"),
    Rule("ABD203", "warning", "Its user can replace its log"),
    Rule("ABD204", "warning", "Others can write to its home"),
    Rule("ABD205", "error", "Its user can replace its program"),
    Rule("ABD206", "warning", "Its program does not exist"),
    Rule("ABD301", "error", "It keeps a capability that leads back to root"),
    Rule("ABD302", "warning", "It can gain privileges by an exec"),
    Rule("ABD303", "warning", "Others can write to the files that it makes"),
    Rule("ABD401", "warning", "It keeps a descriptor that leads out of its root directory"),
    Rule("ABD402", "error", "Its user can write to its root directory"),
    Rule("ABD901", "warning", "A finding is accepted that there is not"),
    Rule("ABD902", "error", "A finding is accepted whose code does not exist"),
)

#: Every rule by its code.
RULES = {rule.code: rule for rule in _TABLE}
