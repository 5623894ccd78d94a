"""The strict grammar of ids, names and ``user[:group]``. Pure: no look-ups, no system calls.

Lenient parsing is how programs stay root by accident: ``int()`` takes ``"1_000"``, ``True`` and
``"１２"``, a 32-bit truncation turns 4294967296 into root, and -1 tells the kernel "no change".
So there is one rule here, and it holds everywhere in abdicate:

* a text of ASCII digits only, without a leading zero, is an id (so a user whose *name* is all
  digits can't be asked for by name; moby and systemd have both been bitten by guessing);
* any other text is a name and must follow the grammar of user and group names, and must not be
  readable as a number (``0x1f``, ``1_000``);
* everything else is refused.

This module does not know which users exist: `abdicate.identity.resolve` does.
"""

from __future__ import annotations

from abdicate.errors import SpecError
from abdicate.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

__all__ = [
    "ID_MAX",
    "Gid",
    "GroupName",
    "Owner",
    "Uid",
    "UserName",
    "parse_group",
    "parse_owner",
    "parse_user",
]

#: The greatest id: 2^32 - 2. The next one is (uid_t) -1, "no change" to the kernel
#: (setresuid(2), chown(2)), and a successful no-op is the worst answer to a privilege drop.
ID_MAX = 2**32 - 2

# (uid_t) -1 where ids have 16 bits: a plain id on Linux, and "no change" to some older formats.
_SIXTEEN_BIT_MINUS_ONE = 65535

_LONGEST_NAME = 256  # bytes; LOGIN_NAME_MAX on Linux, limits.h(0p)
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")

_ID_RULE = f"an id is a whole number from 0 to {ID_MAX}"
_NAME_RULE = (
    "a name has letters, digits, '_', '.' and '-' only, does not begin with '-', "
    f"may end with one '$', and has at most {_LONGEST_NAME} characters"
)


def _yaml_hint(value: object) -> str:
    return "; in YAML, quote the name" if isinstance(value, bool) else ""


class _Id(int):
    """A kernel id. An `int` in every use, and a type of its own to the type checker."""

    __slots__ = ()
    field = "id"

    def __new__(cls, value: int) -> Self:
        # bool is an int to Python, and True is not user 1 to anybody.
        if isinstance(value, bool) or not isinstance(value, int):
            raise SpecError(
                cls.field, value, f"{_ID_RULE}, and not a {type(value).__name__}{_yaml_hint(value)}"
            )
        if value == -1 or value == ID_MAX + 1:
            raise SpecError(
                cls.field, value, f"{_ID_RULE}; this one means 'no change' to the kernel"
            )
        if not 0 <= value <= ID_MAX:
            raise SpecError(cls.field, value, _ID_RULE)
        return super().__new__(cls, value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({int(self)})"

    def __str__(self) -> str:
        return int.__repr__(self)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the id that a text of ASCII digits stands for.

        Raises:
            SpecError: for anything else, a leading zero, a sign, blanks, or a value above
                4294967294.
        """
        if not isinstance(text, str) or not text.isascii() or not text.isdigit():
            raise SpecError(cls.field, text, f"{_ID_RULE}, written in the digits 0 to 9 only")
        if text[0] == "0" and text != "0":
            raise SpecError(cls.field, text, "an id has no leading zero: this is not octal")
        # Before int(): the text may have a million digits.
        if len(text) > len(str(ID_MAX)):
            raise SpecError(cls.field, text, _ID_RULE)
        return cls(int(text))

    def portable(self) -> Self:
        """Return this id, and refuse 65535: it is "-1" to formats with 16-bit ids.

        Raises:
            SpecError: if the id is 65535.
        """
        if self == _SIXTEEN_BIT_MINUS_ONE:
            raise SpecError(self.field, int(self), "65535 means 'no change' where ids have 16 bits")
        return self


class Uid(_Id):
    """A user id, from 0 (root) to 4294967294. Never -1.

    Raises:
        SpecError: for any other value, and for anything but an `int`.

    See credentials(7), setresuid(2).
    """

    __slots__ = ()
    field = "uid"


class Gid(_Id):
    """A group id, from 0 (root's) to 4294967294. Never -1.

    Raises:
        SpecError: for any other value, and for anything but an `int`.

    See credentials(7), setresgid(2).
    """

    __slots__ = ()
    field = "gid"


class _Name(str):
    """A name that follows the grammar. A `str` in every use."""

    __slots__ = ()
    field = "name"

    def __new__(cls, text: str) -> Self:
        if not isinstance(text, str):
            raise SpecError(cls.field, text, f"a name is text, and not a {type(text).__name__}")
        if not text:
            raise SpecError(cls.field, text, "empty text names nobody; is a variable unset?")
        if len(text) > _LONGEST_NAME or text[0] == "-" or text in {".", ".."}:
            raise SpecError(cls.field, text, _NAME_RULE)
        stem = text[:-1] if text[-1] == "$" and len(text) > 1 else text
        if not _NAME_CHARACTERS.issuperset(stem):
            raise SpecError(cls.field, text, _NAME_RULE)
        # One program's name is another's number (systemd#15985, CVE-2020-13776).
        if text[0] in "0123456789" and _reads_as_number(text):
            raise SpecError(
                cls.field,
                text,
                "this reads as a number: an id has digits only, and a name is no number",
            )
        return super().__new__(cls, text)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str.__repr__(self)})"


def _reads_as_number(text: str) -> bool:
    """Tell whether Python would read *text* as a whole number: 12, 1_000, 0x1f, 0b1."""
    for base in (10, 0):
        try:
            int(text, base)
        except ValueError:
            continue
        return True
    return False


class UserName(_Name):
    """A user's name: shadow-utils' grammar, useradd(8), with at most 256 characters.

    Raises:
        SpecError: for a text that does not follow it, such as ``""``, ``"no:body"`` or ``"1000"``.
    """

    __slots__ = ()
    field = "user"


class GroupName(_Name):
    """A group's name: shadow-utils' grammar, groupadd(8), with at most 256 characters.

    Raises:
        SpecError: for a text that does not follow it.
    """

    __slots__ = ()
    field = "group"


class Owner(Value):
    """What ``user[:group]`` says. None means that this half was not named.

    No user: the present one stays. No group: the user's login group.
    """

    user: Uid | UserName | None = None
    group: Gid | GroupName | None = None


def parse_user(value: object, *, field: str = "user") -> Uid | UserName:
    """Return the user that *value* names: an id (an `int`, or digits) or a name.

    Raises:
        SpecError: where it is neither; its ``field`` is *field*.
    """
    try:
        if isinstance(value, Uid | UserName):
            return value
        if isinstance(value, str):
            return Uid.parse(value) if _looks_like_id(value) else UserName(value)
        return Uid(value)  # type: ignore[arg-type]  # the constructor refuses what is not an int
    except SpecError as error:
        raise SpecError(field, value, error.rule) from None


def parse_group(value: object, *, field: str = "group") -> Gid | GroupName:
    """Return the group that *value* names: an id (an `int`, or digits) or a name.

    Raises:
        SpecError: where it is neither; its ``field`` is *field*.
    """
    try:
        if isinstance(value, Gid | GroupName):
            return value
        if isinstance(value, str):
            return Gid.parse(value) if _looks_like_id(value) else GroupName(value)
        return Gid(value)  # type: ignore[arg-type]  # the constructor refuses what is not an int
    except SpecError as error:
        raise SpecError(field, value, error.rule) from None


def _looks_like_id(text: str) -> bool:
    # str.isdigit is true for "１２" as well; Uid.parse then refuses it with the right rule.
    return text.isdigit()


def parse_owner(value: object, *, field: str = "user") -> Owner:
    """Return what ``user``, ``user:group``, ``user:`` or ``:group`` says.

    ``name:`` asks for that user's login group, as it does for chown(1), and like chown(1) it
    needs a name: after digits the group must be written. ``:group`` leaves the user as it is.

    Raises:
        SpecError: for every other form: ``""``, ``":"``, ``"0:"``, ``"a:b:c"``, and for an id or
            a name that does not follow its grammar.
    """
    if not isinstance(value, str):
        return Owner(parse_user(value, field=field), None)
    user, colon, group = value.partition(":")
    if not colon:
        return Owner(parse_user(value, field=field), None)
    if ":" in group:
        raise SpecError(field, value, "there is at most one ':', as in user:group")
    if not user and not group:
        raise SpecError(field, value, "neither a user nor a group is named; is a variable unset?")
    try:
        if not user:
            return Owner(None, parse_group(group))
        if group:
            return Owner(parse_user(user), parse_group(group))
        if user.isdigit():
            raise SpecError(
                field, value, "digits have no login group; write the uid alone, or uid:group"
            )
        return Owner(parse_user(user), None)
    except SpecError as error:
        raise SpecError(field, value, error.rule) from None
