"""`maybe_drop_privileges` and `check_privileges`.

Accounts are the ones that every Debian has: games is 5:60, adm is group 4, sudo group 27, nobody
65534:65534.
"""

from __future__ import annotations

import os

from parity.case import Case, Module, differs, same
from parity.start import (
    NO_FIXUP,
    NO_SETGID,
    NO_SETUID_CALL,
    NOBODY,
    ORDINARY,
    ROOT,
    root_with,
)

__all__ = ["CASES"]

_DROP = "maybe_drop_privileges"
_REFUSED = "raises SpecError"
_DENIED = "raises PermissionError(EPERM)"
_WARNED = "returns None; warns SecurityWarning"


def to_oneself(m: Module) -> None:
    """Ask an ordinary user to become who it is."""
    m.maybe_drop_privileges(os.getuid())


def _from_root(*who: object, celery: str, ours: str, number: int) -> Case:
    return differs(number, _DROP, *who, start=ROOT, celery=celery, ours=ours)


_DROPS: tuple[Case, ...] = (
    *(
        same(_DROP, *who, start=ROOT)
        for who in (
            (),
            (None, None),
            ("nobody",),
            (65534,),
            ("65534",),
            ("nobody", "nogroup"),
            (65534, 65534),
            ("games",),
            (5,),
            ("games", "adm"),
            (5, 4),
            ("5", "4"),
            ("games", 60),
            ("games", "no-such-group"),
            ("no-such-user",),
            ("no-such-user", "adm"),
            (12345,),
            ("nobody\0",),
        )
    ),
    same(_DROP, gid="no-such-group", start=ROOT),
    # 1: root was asked for.
    *(_from_root(root, number=1, celery="returns None", ours=_WARNED) for root in (0, "0", "root")),
    *(
        _from_root(
            root,
            group,
            number=1,
            celery="returns None; gid 4",
            ours=f"{_WARNED}; gid 4; groups 4",
        )
        for root, group in ((0, 4), ("root", "adm"))
    ),
    _from_root(0, 0, number=1, celery="returns None", ours=f"{_WARNED}; groups 0"),
    # 2: empty text.
    _from_root("", number=2, celery="returns None", ours=_REFUSED),
    _from_root("", "", number=2, celery="returns None", ours=_REFUSED),
    _from_root("", "adm", number=2, celery="returns None; gid 4", ours=_REFUSED),
    _from_root(
        "nobody",
        "",
        number=2,
        celery="returns None; uid 65534; gid 65534; groups 65534",
        ours=_REFUSED,
    ),
    differs(2, _DROP, gid="", start=ROOT, celery="returns None", ours=_REFUSED),
    # 3: a group alone.
    *(
        differs(
            3,
            _DROP,
            gid=group,
            start=ROOT,
            celery="returns None; gid 4",
            ours="returns None; gid 4; groups 4",
        )
        for group in (4, "4", "adm")
    ),
    differs(
        3,
        _DROP,
        gid=12345,
        start=ROOT,
        celery="returns None; gid 12345",
        ours="returns None; gid 12345; groups 12345",
    ),
    *(
        differs(3, _DROP, gid=group, start=ROOT, celery="returns None", ours=f"{_WARNED}; groups 0")
        for group in (0, "root")
    ),
    # 4: root's group was asked for.
    *(
        _from_root(
            "nobody",
            group,
            number=4,
            celery="returns None; uid 65534; gid 65534; groups 65534",
            ours=f"{_WARNED}; uid 65534; groups 0",
        )
        for group in (0, "0", "root")
    ),
    # 5: a uid without an entry.
    *(
        _from_root(
            *who,
            number=5,
            celery="raises KeyError; gid 4",
            ours="returns None; uid 12345; gid 4; groups 4",
        )
        for who in ((12345, 4), ("12345", "adm"))
    ),
    # 6: strict ids.
    _from_root(True, number=6, celery="returns None; uid 1; gid 1; groups 1", ours=_REFUSED),
    _from_root(3.9, number=6, celery="returns None; uid 3; gid 3; groups 3", ours=_REFUSED),
    _from_root(False, number=6, celery="returns None", ours=_REFUSED),
    _from_root(0.0, number=6, celery="returns None", ours=_REFUSED),
    _from_root("12_345", "adm", number=6, celery="raises KeyError; gid 4", ours=_REFUSED),
    *(
        _from_root(value, number=6, celery="raises KeyError", ours=_REFUSED)
        for value in (-1, "-1", 2**32 - 1, 2**40)
    ),
    _from_root(
        "nobody",
        True,
        number=6,
        celery="returns None; uid 65534; gid 1; groups 1",
        ours=_REFUSED,
    ),
    _from_root("nobody", -1, number=6, celery="raises OSError(EINVAL)", ours=_REFUSED),
    _from_root("nobody", 2**40, number=6, celery="raises OverflowError", ours=_REFUSED),
    # 16: what is no name.
    _from_root("nobody:nogroup", number=16, celery="raises KeyError", ours=_REFUSED),
    _from_root(b"nobody", number=16, celery="raises TypeError", ours=_REFUSED),
    # An ordinary user.
    same(_DROP, start=ORDINARY),
    *(
        same(_DROP, *who, start=NOBODY)
        for who in (
            ("games",),
            (5, 4),
            (0, 4),
            ("nobody", "root"),
            ("no-such-user",),
            ("games", "no-such-group"),
            (12345, 4),
        )
    ),
    *(same(_DROP, gid=group, start=NOBODY) for group in ("adm", "nogroup", "no-such-group")),
    differs(7, _DROP, start=ORDINARY, doing=to_oneself, celery=_DENIED, ours="returns None"),
    *(
        differs(7, _DROP, *who, start=NOBODY, celery=_DENIED, ours="returns None")
        for who in (("nobody",), ("65534",), ("nobody", "nogroup"))
    ),
    *(
        differs(18, _DROP, *who, start=NOBODY, celery="returns None", ours=_DENIED)
        for who in ((0,), ("root",), (0, 0))
    ),
    differs(18, _DROP, gid=0, start=NOBODY, celery="returns None", ours=_DENIED),
    # Root by halves.
    *(
        same(_DROP, "games", start=start)
        for start in (root_with(euid=5), root_with(ruid=5), root_with(gid=4))
    ),
    same(_DROP, gid="adm", start=root_with(euid=5)),
    differs(
        19,
        _DROP,
        "games",
        start=NO_SETGID,
        celery=_DENIED,
        ours="raises SecurityError",
    ),
    differs(
        19,
        _DROP,
        "games",
        start=root_with(ruid=5, euid=5),
        celery=_DENIED,
        ours="raises SecurityError",
    ),
    differs(
        20,
        _DROP,
        start=root_with(euid=5),
        celery="raises SecurityError",
        ours="returns None",
    ),
    # 9: what holds is proven, and what fails after the first change is no `Exception`.
    differs(
        9,
        _DROP,
        "games",
        start=NO_FIXUP,
        celery="raises SecurityError; gid 60; groups 60",
        ours="returns None; uid 5; gid 60; groups 60",
    ),
    differs(
        9,
        _DROP,
        "games",
        start=NO_SETUID_CALL,
        celery="raises PermissionError(EPERM); gid 60; groups 60",
        ours="raises IncompleteDropError; gid 60; groups 60",
    ),
)


def forced(m: Module, accepted: object, force: str) -> object:
    """Check with that value of C_FORCE_ROOT in the environment."""
    os.environ["C_FORCE_ROOT"] = force
    return m.check_privileges(accepted)


_CHECK = "check_privileges"
_CHECKS: tuple[Case, ...] = (
    *(
        same(_CHECK, accepted, start=ROOT)
        for accepted in (
            (),
            ["json"],
            ["pickle"],
            {"pickle", "json"},
            {"pickle": 1},
            ("application/group-python-serialize",),
            ["application/x-python-serialize"],
            ["Pickle"],
            "pickle",
            "json,pickle",
            "json",
            ["json", []],
            None,
        )
    ),
    *(
        same(_CHECK, accepted, start=start)
        for start in (
            NOBODY,
            root_with(ruid=5, euid=5, gid=27),
            root_with(ruid=5, euid=5, gid=60),
            root_with(ruid=5, euid=5, gid=12345),
            root_with(euid=5, gid=60),
            root_with(ruid=5, euid=0, gid=60),
            root_with(gid=12345),
        )
        for accepted in (["json"], ["pickle"])
    ),
    same(_CHECK, ["json", "pickle"], start=NOBODY),
    *(
        same(_CHECK, accepted, force, start=ROOT, doing=forced)
        for accepted in (["json"], ["pickle"])
        for force in ("1", "", "0")
    ),
)

CASES: tuple[Case, ...] = (*_DROPS, *_CHECKS)
