"""Users and groups by name and number, and the calls that set them one by one.

Accounts are the ones that every Debian has: games is 5:60, adm is group 4, nobody 65534.
"""

from __future__ import annotations

from parity.case import Case, differs, same
from parity.start import NOBODY, ROOT

__all__ = ["CASES"]

_REFUSED = "raises SpecError"


class _Seven:
    def __index__(self) -> int:
        return 7

    __int__ = __index__


#: What is no id, and what int() makes of it.
_LENIENT: tuple[tuple[object, int], ...] = (
    (True, 1),
    (False, 0),
    (3.9, 3),
    (5.0, 5),
    ("1_000", 1000),
    ("+1", 1),
    (" 12 ", 12),
    ("12\n", 12),
    ("１２", 12),
    ("007", 7),
    (b"12", 12),
    (-1, -1),
    ("-1", -1),
    (2**32 - 1, 2**32 - 1),
    ("4294967295", 2**32 - 1),
    (2**32, 2**32),
    (2**40, 2**40),
    (_Seven(), 7),
)

#: What follows no grammar of account names.
_NO_NAMES = (
    "0x10",
    " ",
    "no:body",
    "no body",
    "-x",
    ".",
    "no/body",
    "ünknown",
    "\udcff",
    "x" * 300,
)

#: What is no text and no number.
_NO_TEXT: tuple[object, ...] = (None, b"nobody", [])

_PARSED: tuple[Case, ...] = tuple(
    case
    for function, known, number, unknown in (
        ("parse_uid", "games", 5, "no-such-user"),
        ("parse_gid", "games", 60, "no-such-group"),
    )
    for case in (
        *(same(function, value) for value in (0, 1, 65534, 2**32 - 2, "0", "65534", "4294967294")),
        same(function, "root"),
        same(function, known),
        same(function, str(number)),
        same(function, unknown),
        same(function, "1000a"),
        same(function, "a.b"),
        same(function, "name$"),
        same(function, "nobody\0x"),
        differs(2, function, "", celery="raises KeyError", ours=_REFUSED),
        *(
            differs(6, function, value, celery=f"returns {found}", ours=_REFUSED)
            for value, found in _LENIENT
        ),
        *(
            differs(16, function, text, celery="raises KeyError", ours=_REFUSED)
            for text in _NO_NAMES
        ),
        *(
            differs(16, function, value, celery="raises TypeError", ours=_REFUSED)
            for value in _NO_TEXT
        ),
    )
)

_SETGROUPS: tuple[Case, ...] = (
    same("setgroups", [], start=ROOT),
    same("setgroups", [0], start=ROOT),
    same("setgroups", [65534], start=ROOT),
    same("setgroups", [27, 4], start=ROOT),
    same("setgroups", (4, 27), start=ROOT),
    same("setgroups", [4, 4], start=ROOT),
    same("setgroups", None, start=ROOT),
    same("setgroups", [], start=NOBODY),
    same("setgroups", [4, 27], start=NOBODY),
    same("setgroups", [0], start=NOBODY),
    # 65536 is the most that Linux has.
    differs(
        8,
        "setgroups",
        list(range(70000)),
        start=ROOT,
        celery="returns None; groups 65536 of them",
        ours="raises OSError(EINVAL)",
    ),
    *(
        differs(
            8,
            "setgroups",
            groups,
            start=NOBODY,
            celery="returns None",
            ours="raises PermissionError(EPERM)",
        )
        for groups in ([65534], [65534, 4])
    ),
    differs(6, "setgroups", [True], start=ROOT, celery="returns None; groups 1", ours=_REFUSED),
    differs(6, "setgroups", [-1], start=ROOT, celery="raises OSError(EINVAL)", ours=_REFUSED),
    differs(6, "setgroups", [2**40], start=ROOT, celery="raises OverflowError", ours=_REFUSED),
    differs(6, "setgroups", [3.9], start=ROOT, celery="raises TypeError", ours=_REFUSED),
    *(
        differs(
            17,
            "setgroups",
            groups,
            start=ROOT,
            celery="raises TypeError",
            ours="returns None; groups 4",
        )
        for groups in (["adm"], ["4"], {4})
    ),
    differs(
        17,
        "setgroups",
        ["no-such-group"],
        start=ROOT,
        celery="raises TypeError",
        ours="raises UnknownGroupError",
    ),
)

_INITGROUPS: tuple[Case, ...] = (
    same("initgroups", 65534, 65534, start=ROOT),
    same("initgroups", 5, 60, start=ROOT),
    same("initgroups", 5, 4, start=ROOT),
    same("initgroups", 5, 0, start=ROOT),
    same("initgroups", 0, 0, start=ROOT),
    same("initgroups", 12345, 4, start=ROOT),
    same("initgroups", 65534, 65534, start=NOBODY),
    same("initgroups", 5, 60, start=NOBODY),
    same("initgroups", 12345, 4, start=NOBODY),
    differs(6, "initgroups", True, 1, start=ROOT, celery="returns None; groups 1", ours=_REFUSED),
    differs(6, "initgroups", 5, -1, start=ROOT, celery="raises OSError(EINVAL)", ours=_REFUSED),
    differs(6, "initgroups", 5, 2**40, start=ROOT, celery="raises OverflowError", ours=_REFUSED),
    *(
        differs(
            17,
            "initgroups",
            user,
            group,
            start=ROOT,
            celery="raises TypeError",
            ours="returns None; groups 60",
        )
        for user, group in (("games", "games"), ("games", 60), ("5", "60"))
    ),
)

_ONE_BY_ONE: tuple[Case, ...] = tuple(
    case
    for function, kind in (("setgid", "gid"), ("setuid", "uid"))
    for case in (
        *(
            same(function, value, start=ROOT)
            for value in (4, "4", 0, "0", 65534, "65534", "games", "no-such-name")
        ),
        *(
            same(function, value, start=NOBODY)
            for value in (0, "root", 4, "games", 65534, "65534", "no-such-name")
        ),
        differs(2, function, "", start=ROOT, celery="raises KeyError", ours=_REFUSED),
        differs(6, function, -1, start=ROOT, celery="raises OSError(EINVAL)", ours=_REFUSED),
        differs(6, function, 2**40, start=ROOT, celery="raises OverflowError", ours=_REFUSED),
        *(
            differs(
                6,
                function,
                value,
                start=ROOT,
                celery=f"returns None; {kind} {found}",
                ours=_REFUSED,
            )
            for value, found in ((True, 1), (3.9, 3), ("1_000", 1000), (b"4", 4))
        ),
    )
)

CASES: tuple[Case, ...] = (*_PARSED, *_SETGROUPS, *_INITGROUPS, *_ONE_BY_ONE)
