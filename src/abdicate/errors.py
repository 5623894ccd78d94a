"""The exception tree: whose fault it is, and whether anything has changed.

Everything that derives from `AbdicateError` means that **nothing has changed**: the text was
wrong, a name is unknown, the process may not do what was asked. `IncompleteDropError` and its
kinds mean that a drop had begun; they derive from `BaseException`, so that
``except Exception: log()`` cannot carry on in a half-root process.

This module imports nothing.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from abdicate.plan.report import DropReport

__all__ = [
    "AbdicateError",
    "ConfigError",
    "ConfigProblem",
    "CredentialMismatchError",
    "IncompleteDropError",
    "LockFailed",
    "PreflightError",
    "PrivilegeRegainableError",
    "SecurityError",
    "SecurityWarning",
    "SpecError",
    "UnknownGroupError",
    "UnknownUserError",
    "UnsupportedPlatformError",
    "printable",
    "shown",
]

_LONGEST_SHOWN = 60


def shown(value: object) -> str:
    """Return *value* as an error message shows it: its repr, at most 60 characters of it.

    The value came from outside, and may be a megabyte long or hold control characters.
    """
    if isinstance(value, str | bytes) and len(value) > _LONGEST_SHOWN:
        return f"{_cut(repr(value[:_LONGEST_SHOWN]), _LONGEST_SHOWN - 20)} ({len(value)} long)"
    if isinstance(value, int) and value.bit_length() > _LONGEST_SHOWN:
        return f"a {type(value).__name__} of {value.bit_length()} bits"
    try:
        return _cut(repr(value), _LONGEST_SHOWN)
    except Exception:  # noqa: BLE001 - a value from outside, whose repr may do anything
        return f"a {type(value).__name__}"


def _cut(text: str, most: int) -> str:
    clean = "".join(char if char.isprintable() else "?" for char in text[:most])
    return clean if len(text) <= most else clean[:-1] + "…"


def printable(text: str) -> str:
    """Return *text* in one line, with everything that a terminal would obey escaped."""
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return " " if char == "\n" else ascii(char)[1:-1]


class AbdicateError(Exception):
    """Something was refused, and nothing about the process has changed."""


class SpecError(AbdicateError, ValueError):
    """A text or value from outside does not follow its grammar.

    Attributes:
        field: what the value was for, such as ``"user"``.
        value: the value as it was given.
        rule: the rule that it breaks, as a sentence.
    """

    def __init__(self, field: str, value: object, rule: str) -> None:
        super().__init__(field, value, rule)
        self.field = field
        self.value = value
        self.rule = rule

    def __str__(self) -> str:
        return f"{self.field} {shown(self.value)}: {self.rule}"


class ConfigProblem:
    """One fault of a config file.

    Attributes:
        path: the file.
        line: where, counted from 1; None where the format does not tell.
        key: the path of the key, as ``"profiles.web.drop.user"``; empty for the whole file.
        rule: what is wrong with it, and what is wanted.
    """

    __slots__ = ("key", "line", "path", "rule")

    def __init__(self, path: str, line: int | None, key: str, rule: str) -> None:
        self.path: str = path
        self.line: int | None = line
        self.key: str = key
        self.rule: str = rule

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ConfigProblem) and self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash(self._fields())

    def _fields(self) -> tuple[str, int | None, str, str]:
        return self.path, self.line, self.key, self.rule

    def __str__(self) -> str:
        place = self.path if self.line is None else f"{self.path}:{self.line}"
        return printable(f"{place}: {_cut(self.key, 120)}{self.key and ': '}{self.rule}")


class ConfigError(AbdicateError, ValueError):
    """A config file can't be read, or says what no profile may say.

    Attributes:
        problems: every fault that was found, in the order of the file.
    """

    def __init__(self, *problems: ConfigProblem) -> None:
        super().__init__(*problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class _UnknownAccountError(AbdicateError, KeyError):
    # KeyError, because that is what pwd, grp and celery.platforms raise.
    kind = "account"

    def __init__(self, name: object, hint: str = "") -> None:
        super().__init__(name, hint)
        self.name = name
        self.hint = hint

    def __str__(self) -> str:
        found = f"there is no such {self.kind} in the account database"
        return f"{self.kind} {shown(self.name)}: {found}{self.hint and '; ' + self.hint}"


class UnknownUserError(_UnknownAccountError):
    """No such user in the account database. Also a `KeyError`, as `pwd` raises."""

    kind = "user"


class UnknownGroupError(_UnknownAccountError):
    """No such group in the account database. Also a `KeyError`, as `grp` raises."""

    kind = "group"


class PreflightError(AbdicateError):
    """What was asked can't be done from here. Nothing was tried, nothing has changed.

    Attributes:
        reasons: every reason that was found, not only the first.
    """

    def __init__(self, *reasons: str) -> None:
        super().__init__(*reasons)
        self.reasons = reasons

    def __str__(self) -> str:
        return "nothing was changed, because " + "; and ".join(self.reasons)


class UnsupportedPlatformError(AbdicateError):
    """This platform has no such notion; on Windows, none of them."""


class LockFailed(AbdicateError):  # noqa: N818 - celery.platforms gave it this name
    """A pidfile is held by another process, or can't be locked safely."""


class SecurityError(AbdicateError):
    """Root would remain, or could be regained; raised before the first change only."""


class SecurityWarning(UserWarning):
    """What was asked was done, and is a risk that you may not have meant."""


class IncompleteDropError(BaseException):
    """A drop had begun, and did not reach its goal. Leave the process.

    Not an `Exception`: there is no way back after the first change, and a handler that logs
    and goes on would run your code half-root. What could still be given up was given up
    before this was raised. Signals stay blocked in the thread that raises it, so that nothing
    that a handler raises can take its place; SIGKILL ends the process all the same.

    Attributes:
        report: each step with its outcome, every check with what was expected and observed.
    """

    def __init__(self, message: str, report: "DropReport") -> None:
        super().__init__(message, report)
        self.report = report

    def __str__(self) -> str:
        return str(self.args[0])


class CredentialMismatchError(IncompleteDropError):
    """Every step reported success, and the process does not hold what the plan promised."""


class PrivilegeRegainableError(IncompleteDropError):
    """The process could take back something that it had given up."""
