"""Credentials: parsed from what old and new kernels write, compared, and read from /proc."""

from __future__ import annotations

import ctypes
import os
import pickle
import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abdicate.identity.capabilities import CapabilitySet, CapabilitySets, Securebits
from abdicate.identity.credentials import Credentials, Difference, ResGid, ResUid, read_threads
from abdicate.identity.ids import Gid, Uid
from harness.child import held_child, in_child, thread_statuses
from unit.making import AS_APP, AS_ROOT, EVERY, gids, holding, linux_credentials

_PR_SET_NAME = 15  # linux/prctl.h

# As Linux 3.10 wrote it, without seccomp: no Umask, no CapAmb, no NoNewPrivs, no Seccomp.
_LINUX_3_10 = """\
Name:\tnginx
State:\tS (sleeping)
Tgid:\t2081
Pid:\t2081
PPid:\t1
TracerPid:\t0
Uid:\t0\t0\t0\t0
Gid:\t0\t0\t0\t0
FDSize:\t64
Groups:\t
VmPeak:\t   46352 kB
VmSize:\t   46352 kB
VmRSS:\t    1968 kB
Threads:\t1
SigQ:\t0/7282
SigPnd:\t0000000000000000
SigCgt:\t0000000198016a07
CapInh:\t0000000000000000
CapPrm:\t0000001fffffffff
CapEff:\t0000001fffffffff
CapBnd:\t0000001fffffffff
Cpus_allowed:\tf
Cpus_allowed_list:\t0-3
Mems_allowed_list:\t0
voluntary_ctxt_switches:\t41
nonvoluntary_ctxt_switches:\t0
"""

# Linux 4.2 had Seccomp (3.8) and pid namespaces' lines (4.1), and no CapAmb yet (4.3).
_LINUX_4_2 = """\
Name:\tsshd
State:\tS (sleeping)
Tgid:\t913
Ngid:\t0
Pid:\t913
PPid:\t1
TracerPid:\t0
Uid:\t1000\t0\t1000\t0
Gid:\t1000\t1000\t27\t1000
FDSize:\t128
Groups:\t4 27 1000\x20
NStgid:\t913
NSpid:\t913
NSpgid:\t913
NSsid:\t913
VmPeak:\t   65508 kB
Threads:\t1
CapInh:\t0000000000000000
CapPrm:\t0000000000000400
CapEff:\t0000000000000000
CapBnd:\t0000003fffffffff
Seccomp:\t2
Cpus_allowed:\t3
Cpus_allowed_list:\t0-1
"""

# Linux 4.19: Umask (4.7), NoNewPrivs (4.10), Speculation_Store_Bypass (4.17).
_LINUX_4_19 = """\
Name:\tgunicorn: worke
Umask:\t0027
State:\tR (running)
Tgid:\t7
Ngid:\t0
Pid:\t7
PPid:\t1
TracerPid:\t0
Uid:\t65534\t65534\t65534\t65534
Gid:\t65534\t65534\t65534\t65534
FDSize:\t64
Groups:\t65534\x20
NStgid:\t4411\t7
NSpid:\t4411\t7
NSpgid:\t4405\t1
NSsid:\t4405\t1
VmPeak:\t    4508 kB
HugetlbPages:\t       0 kB
CoreDumping:\t0
Threads:\t2
CapInh:\t00000000a80425fb
CapPrm:\t0000000000000000
CapEff:\t0000000000000000
CapBnd:\t00000000a80425fb
CapAmb:\t0000000000000000
NoNewPrivs:\t1
Seccomp:\t2
Speculation_Store_Bypass:\tthread vulnerable
Cpus_allowed:\tff
"""

# Linux 5.15: Seccomp_filters (5.9), SpeculationIndirectBranch (5.14).
_LINUX_5_15 = """\
Name:\tbash
Umask:\t0002
State:\tS (sleeping)
Tgid:\t88231
Ngid:\t0
Pid:\t88231
PPid:\t88230
TracerPid:\t0
Uid:\t4294967294\t4294967294\t4294967294\t4294967294
Gid:\t4294967294\t4294967294\t4294967294\t4294967294
FDSize:\t256
Groups:\t4 24 27 30 46 120 131 132 4294967294\x20
NStgid:\t88231
NSpid:\t88231
VmPeak:\t   14756 kB
THP_enabled:\t1
Threads:\t1
CapInh:\t0000000000000000
CapPrm:\t0000000000000000
CapEff:\t0000000000000000
CapBnd:\t000001ffffffffff
CapAmb:\t0000000000000000
NoNewPrivs:\t0
Seccomp:\t0
Seccomp_filters:\t0
Speculation_Store_Bypass:\tthread vulnerable
SpeculationIndirectBranch:\tconditional enabled
Cpus_allowed_list:\t0-7
"""

# Linux 6.12: Kthread (6.8), x86_Thread_features (6.6), untag_mask (6.4); ambient in use.
_LINUX_6_12 = """\
Name:\tcaddy
Umask:\t0000
State:\tS (sleeping)
Tgid:\t511
Ngid:\t0
Pid:\t514
PPid:\t1
TracerPid:\t0
Uid:\t999\t999\t999\t999
Gid:\t998\t998\t998\t998
FDSize:\t64
Groups:\t998\x20
NStgid:\t511
NSpid:\t514
NSpgid:\t511
NSsid:\t511
Kthread:\t0
VmPeak:\t 1262228 kB
RssShmem:\t       0 kB
HugetlbPages:\t       0 kB
CoreDumping:\t0
THP_enabled:\t1
untag_mask:\t0xffffffffffffffff
Threads:\t9
SigQ:\t0/31373
CapInh:\t0000000000000400
CapPrm:\t0000000000000400
CapEff:\t0000000000000400
CapBnd:\t000003ffffffffff
CapAmb:\t0000000000000400
NoNewPrivs:\t1
Seccomp:\t0
Seccomp_filters:\t0
Speculation_Store_Bypass:\tvulnerable
SpeculationIndirectBranch:\talways enabled
Cpus_allowed:\t00000000,00000003
Cpus_allowed_list:\t0-1
Mems_allowed_list:\t0
voluntary_ctxt_switches:\t1
nonvoluntary_ctxt_switches:\t0
x86_Thread_features:\tshstk wrss
x86_Thread_features_locked:\t
"""

_TEXTS = {
    "3.10": _LINUX_3_10,
    "4.2": _LINUX_4_2,
    "4.19": _LINUX_4_19,
    "5.15": _LINUX_5_15,
    "6.12": _LINUX_6_12,
}


def _sets(inheritable: int, permitted: int, effective: int, bounding: int, ambient: int) -> object:
    return CapabilitySets(
        *map(CapabilitySet, (inheritable, permitted, effective, bounding, ambient))
    )


def _with_name(name: bytes, text: str = _LINUX_6_12) -> str:
    """Return *text* with another Name line, decoded as the reader decodes it."""
    line = b"Name:\t" + name
    decoded = line.decode(errors="surrogateescape")
    return decoded + "\n" + text.partition("\n")[2]


class TestParse:
    """`Credentials.parse`."""

    def test_linux_3_10(self) -> None:
        """What that kernel did not write is None; no ambient line is an empty ambient set."""
        assert Credentials.parse(_LINUX_3_10) == Credentials(
            uid=ResUid.all(Uid(0)),
            gid=ResGid.all(Gid(0)),
            groups=(),
            filesystem_uid=Uid(0),
            filesystem_gid=Gid(0),
            capabilities=CapabilitySets(
                permitted=CapabilitySet(0x1FFFFFFFFF),
                effective=CapabilitySet(0x1FFFFFFFFF),
                bounding=CapabilitySet(0x1FFFFFFFFF),
            ),
        )

    def test_linux_4_2(self) -> None:
        """P22, P28: real, effective, saved and filesystem ids are told apart."""
        found = Credentials.parse(_LINUX_4_2)
        assert found.uid == ResUid(real=Uid(1000), effective=Uid(0), saved=Uid(1000))
        assert found.gid == ResGid(real=Gid(1000), effective=Gid(1000), saved=Gid(27))
        assert (found.filesystem_uid, found.filesystem_gid) == (0, 1000)
        assert found.groups == gids(4, 27, 1000)
        assert found.capabilities == _sets(0, 0x400, 0, 0x3FFFFFFFFF, 0)
        assert (found.seccomp, found.no_new_privs, found.umask) == (2, None, None)

    def test_linux_4_19(self) -> None:
        """P24: a container's inheritable set is seen; the Name has a colon."""
        found = Credentials.parse(_LINUX_4_19)
        assert found.uid == ResUid.all(Uid(65534))
        assert found.groups == gids(65534)
        assert found.capabilities == _sets(0xA80425FB, 0, 0, 0xA80425FB, 0)
        assert (found.seccomp, found.no_new_privs, found.umask) == (2, True, 0o027)

    def test_linux_5_15(self) -> None:
        """The greatest id that there is."""
        found = Credentials.parse(_LINUX_5_15)
        assert found.uid == ResUid.all(Uid(2**32 - 2))
        assert found.filesystem_gid == 2**32 - 2
        assert found.groups == gids(4, 24, 27, 30, 46, 120, 131, 132, 2**32 - 2)
        assert (found.seccomp, found.no_new_privs, found.umask) == (0, False, 0o002)

    def test_linux_6_12(self) -> None:
        """A capability without a name here is in the bounding set, and stays there."""
        found = Credentials.parse(_LINUX_6_12)
        assert found.uid == ResUid.all(Uid(999))
        assert found.gid == ResGid.all(Gid(998))
        assert found.capabilities == _sets(0x400, 0x400, 0x400, 0x3FFFFFFFFFF, 0x400)
        assert (found.seccomp, found.no_new_privs, found.umask) == (0, True, 0)

    @pytest.mark.parametrize("text", _TEXTS.values(), ids=_TEXTS)
    def test_no_file_tells_securebits_and_dumpable(self, text: str) -> None:
        """They are None then, not 0."""
        found = Credentials.parse(text)
        assert found.securebits is None
        assert found.dumpable is None

    @pytest.mark.parametrize(
        "name",
        [
            b"a:b",
            b"Uid:\t0 0 0 0",
            b"\\nUid:\\t0",  # a newline, as the kernel escapes it
            b"caf\xe9 \xff\xfe",
            b"",
            b" ",
            "日本".encode(),
        ],
        ids=repr,
    )
    def test_any_name_is_passed_over(self, name: bytes) -> None:
        """It is whatever bytes the program chose for itself."""
        assert Credentials.parse(_with_name(name)) == Credentials.parse(_LINUX_6_12)

    @pytest.mark.parametrize(
        "separator", [b"\r", b"\x0b", b"\x0c", b"\x1c", b"\xc2\x85", "\u2028".encode()], ids=repr
    )
    def test_a_name_can_not_forge_a_line(self, separator: bytes) -> None:
        """The kernel escapes newlines only; what Python takes for one besides is no end of line."""
        forged = _with_name(b"x" + separator + b"Seccomp:\t2", _LINUX_3_10)
        assert Credentials.parse(forged).seccomp is None
        forged = _with_name(b"x" + separator + b"Umask:\t0777", _LINUX_4_2)
        assert Credentials.parse(forged).umask is None

    def test_thousands_of_groups_are_all_taken(self) -> None:
        """P17: as many as NGROUPS_MAX allows, in whatever order the kernel has them."""
        groups = " ".join(map(str, range(65535, -1, -1)))
        text = _LINUX_6_12.replace("Groups:\t998 ", f"Groups:\t{groups} ")
        assert Credentials.parse(text).groups == tuple(map(Gid, range(65536)))

    def test_no_groups_are_an_empty_tuple(self) -> None:
        """P13: which is not None."""
        assert Credentials.parse(_LINUX_3_10).groups == ()

    @pytest.mark.parametrize("missing", ["Uid", "Gid", "Groups"])
    @pytest.mark.parametrize("text", _TEXTS.values(), ids=_TEXTS)
    def test_a_text_without_an_identity_is_refused(self, text: str, missing: str) -> None:
        """Unknown is not root, and not nobody."""
        lines = [line for line in text.splitlines() if not line.startswith(f"{missing}:")]
        with pytest.raises(ValueError, match="not the text of a /proc/<pid>/status"):
            Credentials.parse("\n".join(lines))

    @pytest.mark.parametrize(
        ("line", "malformed"),
        [
            ("Uid:\t999\t999\t999\t999", "Uid:\t999\t999\t999"),
            ("Uid:\t999\t999\t999\t999", "Uid:\t999\t999\t999\t999\t999"),
            ("Uid:\t999\t999\t999\t999", "Uid:\t"),
            ("Uid:\t999\t999\t999\t999", "Uid:\t-1\t-1\t-1\t-1"),
            ("Uid:\t999\t999\t999\t999", "Uid:\t4294967296\t0\t0\t0"),
            ("Gid:\t998\t998\t998\t998", "Gid:\ta\tb\tc\td"),
            ("Gid:\t998\t998\t998\t998", "Gid:\t998,998,998,998"),
            ("Groups:\t998 ", "Groups:\t998 adm"),
            ("Groups:\t998 ", "Groups:\t4294967295"),
            ("CapEff:\t0000000000000400", "CapEff:\tall"),
            ("CapEff:\t0000000000000400", "CapEff:\t"),
            ("CapBnd:\t000003ffffffffff", "CapBnd:\t1ffffffffffffffff"),
            ("CapInh:\t0000000000000400", "CapInh:\t-1"),
            ("Umask:\t0000", "Umask:\t0888"),
            ("Umask:\t0000", "Umask:\t"),
            ("NoNewPrivs:\t1", "NoNewPrivs:\tyes"),
            ("Seccomp:\t0", "Seccomp:\tfilter"),
        ],
    )
    def test_a_malformed_line_is_refused(self, line: str, malformed: str) -> None:
        """As a ValueError that says what was read."""
        assert line in _LINUX_6_12
        with pytest.raises(ValueError, match="not the text of a /proc/<pid>/status"):
            Credentials.parse(_LINUX_6_12.replace(line, malformed))

    @pytest.mark.parametrize("text", ["", "\n", "Uid", "hello: world", "\0" * 1000])
    def test_another_file_is_refused(self, text: str) -> None:
        """It says so."""
        with pytest.raises(ValueError, match="not the text of a /proc/<pid>/status"):
            Credentials.parse(text)

    @given(text=st.text())
    def test_nothing_else_is_raised(self, text: str) -> None:
        """Whatever the text."""
        with pytest.raises(ValueError, match="not the text"):
            Credentials.parse(text)


class TestValue:
    """`Credentials` as values."""

    def test_groups_are_a_set_in_order(self) -> None:
        """Their order and repetition mean nothing to the kernel."""
        assert holding(groups=(27, 4, 27, 0)).groups == gids(0, 4, 27)
        assert holding(groups=(4, 0)) == holding(groups=(0, 4, 4))
        assert AS_APP.replace(groups=gids(9, 1)).groups == gids(1, 9)

    def test_an_id_is_in_its_three_slots(self) -> None:
        """P22: the saved one counts."""
        uid = ResUid(Uid(1), Uid(2), Uid(3))
        assert [number for number in range(5) if number in uid] == [1, 2, 3]
        assert ResUid.all(Uid(7)) == ResUid(Uid(7), Uid(7), Uid(7))
        gid = ResGid(Gid(1), Gid(2), Gid(3))
        assert [number for number in range(5) if number in gid] == [1, 2, 3]
        assert ResGid.all(Gid(7)) == ResGid(Gid(7), Gid(7), Gid(7))

    @given(credentials=linux_credentials())
    def test_they_survive_pickling(self, credentials: Credentials) -> None:
        """And are equal, with one hash."""
        again = pickle.loads(pickle.dumps(credentials))
        assert again == credentials
        assert hash(again) == hash(credentials)


class TestSlots:
    """`Credentials.slots` and `Credentials.differences`."""

    def test_every_slot_has_a_text(self) -> None:
        """Nineteen of them, by the names that reports use."""
        assert AS_ROOT.slots() == {
            "real uid": "0",
            "effective uid": "0",
            "saved uid": "0",
            "filesystem uid": "0",
            "real gid": "0",
            "effective gid": "0",
            "saved gid": "0",
            "filesystem gid": "0",
            "supplementary groups": "0 4 27",
            "inheritable set": "none",
            "permitted set": "all",
            "effective set": "all",
            "bounding set": "all",
            "ambient set": "none",
            "securebits": "none",
            "no_new_privs": "off",
            "seccomp": "0",
            "umask": "0022",
            "dumpable": "1",
        }

    def test_what_could_not_be_read_has_none(self) -> None:
        """It is neither 0 nor "none"."""
        bare = Credentials(ResUid.all(Uid(0)), ResGid.all(Gid(0)), ())
        slots = dict.fromkeys(AS_ROOT.slots())
        for kind in ("uid", "gid"):
            slots |= {f"real {kind}": "0", f"effective {kind}": "0", f"saved {kind}": "0"}
        assert bare.slots() == slots | {"supplementary groups": "none"}

    _CHANGES: tuple[tuple[str, dict[str, object], str], ...] = (
        ("real uid", {"uid": ResUid(Uid(9), Uid(0), Uid(0))}, "9"),
        ("effective uid", {"uid": ResUid(Uid(0), Uid(9), Uid(0))}, "9"),
        ("saved uid", {"uid": ResUid(Uid(0), Uid(0), Uid(9))}, "9"),
        ("filesystem uid", {"filesystem_uid": Uid(9)}, "9"),
        ("real gid", {"gid": ResGid(Gid(9), Gid(0), Gid(0))}, "9"),
        ("effective gid", {"gid": ResGid(Gid(0), Gid(9), Gid(0))}, "9"),
        ("saved gid", {"gid": ResGid(Gid(0), Gid(0), Gid(9))}, "9"),
        ("filesystem gid", {"filesystem_gid": Gid(9)}, "9"),
        ("supplementary groups", {"groups": ()}, "none"),
        ("securebits", {"securebits": Securebits.NOROOT}, "noroot"),
        ("securebits", {"securebits": Securebits(1 << 8)}, "bit 8"),
        ("no_new_privs", {"no_new_privs": True}, "on"),
        ("seccomp", {"seccomp": 2}, "2"),
        ("umask", {"umask": 0}, "0000"),
        ("dumpable", {"dumpable": 0}, "0"),
    )

    @pytest.mark.parametrize(("slot", "change", "text"), _CHANGES)
    def test_each_slot_is_told_apart(self, slot: str, change: dict[str, object], text: str) -> None:
        """P7: also where what is expected, or found, is 0, off or empty."""
        changed = AS_ROOT.replace(**change)
        was = AS_ROOT.slots()[slot]
        assert was is not None
        assert list(AS_ROOT.differences(changed)) == [Difference(slot, was, text)]
        assert list(changed.differences(AS_ROOT)) == [Difference(slot, text, was)]

    @pytest.mark.parametrize("name", CapabilitySets.__fields__)
    @pytest.mark.parametrize("extra", [1 << 10, 1 << 45])
    def test_each_set_is_told_apart(self, name: str, extra: int) -> None:
        """P24: also in a capability that has no name here."""
        sets = AS_ROOT.capabilities
        assert sets is not None
        held: CapabilitySet = getattr(sets, name)
        other = CapabilitySet(held.mask ^ extra)
        changed = AS_ROOT.replace(capabilities=sets.replace(**{name: other}))
        assert list(AS_ROOT.differences(changed)) == [
            Difference(f"{name} set", str(held), str(other))
        ]

    @pytest.mark.parametrize(
        "field",
        [name for name in Credentials.__fields__ if name not in ("uid", "gid", "groups")],
    )
    def test_what_one_side_could_not_read_is_no_difference(self, field: str) -> None:
        """P44: nor is it an agreement; the report says that it is not verified."""
        blind = AS_ROOT.replace(**{field: None})
        assert list(AS_ROOT.differences(blind)) == []
        assert list(blind.differences(AS_ROOT)) == []
        assert list(blind.differences(blind)) == []

    def test_all_differences_are_told_at_once(self) -> None:
        """Not only the first."""
        slots = [found.slot for found in AS_ROOT.differences(AS_APP)]
        assert slots == [
            "real uid",
            "effective uid",
            "saved uid",
            "filesystem uid",
            "real gid",
            "effective gid",
            "saved gid",
            "filesystem gid",
            "supplementary groups",
            "permitted set",
            "effective set",
        ]

    def test_a_difference_reads_as_a_sentence(self) -> None:
        """For a log."""
        difference = Difference("saved uid", "65534", "0")
        assert str(difference) == "saved uid: expected 65534, observed 0"

    @given(left=linux_credentials(), right=linux_credentials())
    def test_no_difference_means_equal_where_both_were_read(
        self, left: Credentials, right: Credentials
    ) -> None:
        """And the texts of the slots differ exactly where the values do."""
        found = {difference.slot for difference in left.differences(right)}
        ours, theirs = left.slots(), right.slots()
        assert found == {
            slot
            for slot in ours
            if None not in (ours[slot], theirs[slot]) and ours[slot] != theirs[slot]
        }
        if None not in (left.umask, right.umask):
            assert (left == right) == (not found)


@pytest.mark.needs("linux")
class TestReading:
    """`Credentials.current`, `of` and `of_threads`, against /proc read by hand."""

    @staticmethod
    def _agrees(credentials: Credentials, status: dict[str, str]) -> None:
        uid, gid, sets = credentials.uid, credentials.gid, credentials.capabilities
        assert sets is not None
        assert status["Uid"].split() == list(
            map(str, (uid.real, uid.effective, uid.saved, credentials.filesystem_uid))
        )
        assert status["Gid"].split() == list(
            map(str, (gid.real, gid.effective, gid.saved, credentials.filesystem_gid))
        )
        assert sorted(map(int, status["Groups"].split())) == list(credentials.groups)
        keys = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
        for name, key in zip(CapabilitySets.__fields__, keys, strict=True):
            assert getattr(sets, name).mask == int(status[key], 16)
        assert int(status["NoNewPrivs"]) == credentials.no_new_privs
        assert int(status["Seccomp"]) == credentials.seccomp
        assert int(status["Umask"], 8) == credentials.umask

    def test_the_calling_thread_is_read(self) -> None:
        """With what only the thread itself can ask for."""
        found = Credentials.current()
        self._agrees(found, thread_statuses(os.getpid())[threading.get_native_id()])
        assert found.securebits is not None
        assert found.dumpable in (0, 1, 2)

    def test_without_proc_the_calls_tell_the_same(self) -> None:
        """P44: what no call tells is None."""
        by_calls, by_proc = Credentials.by_calls(), Credentials.current()
        assert by_calls.replace(umask=by_proc.umask, seccomp=by_proc.seccomp) == by_proc
        assert (by_calls.umask, by_calls.seccomp) == (None, None)

    def test_another_process_is_read(self) -> None:
        """Its umask too; not its securebits."""
        with held_child(lambda: os.umask(0o123)) as child:
            found = Credentials.of(child.pid)
            self._agrees(found, thread_statuses(child.pid)[child.pid])
            assert found.umask == 0o123
            assert (found.securebits, found.dumpable) == (None, None)

    def test_the_first_process_is_read(self) -> None:
        """Whose status everybody may read."""
        self._agrees(Credentials.of(1), thread_statuses(1)[1])

    def test_a_zombie_still_has_credentials(self) -> None:
        """Until it is waited for."""
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        try:
            assert Credentials.of(pid).uid == Credentials.current().uid
            assert set(Credentials.of_threads(pid)) == {pid}
        finally:
            os.waitpid(pid, 0)

    def test_each_thread_is_read(self) -> None:
        """P31: by its thread id."""

        def threads() -> tuple[set[int], dict[int, Credentials]]:
            end = threading.Event()
            others = [threading.Thread(target=end.wait) for _ in range(5)]
            for other in others:
                other.start()
            ids = {other.native_id for other in others if other.native_id} | {os.getpid()}
            found = Credentials.of_threads(os.getpid())
            end.set()
            return ids, found

        ids, found = in_child(threads)
        assert set(found) == ids
        assert set(found.values()) == {Credentials.of(os.getpid())}

    def test_threads_may_come_and_go_meanwhile(self) -> None:
        """The one that ended between the listing and the reading is left out.

        One that is ending has no umask any more, which is no difference.
        """

        def churn() -> int:
            stop = threading.Event()

            def spawn() -> None:
                while not stop.is_set():
                    batch = [threading.Thread(target=lambda: None) for _ in range(4)]
                    for thread in batch:
                        thread.start()
                    for thread in batch:
                        thread.join()

            spawner = threading.Thread(target=spawn)
            spawner.start()
            seen, most = 0, time.monotonic() + 0.7
            try:
                while time.monotonic() < most:
                    found = Credentials.of_threads(os.getpid())
                    assert os.getpid() in found
                    own = found[os.getpid()]
                    assert not any(list(own.differences(other)) for other in found.values())
                    seen = max(seen, len(found))
            finally:
                stop.set()
                spawner.join()
            return seen

        assert in_child(churn) >= 2

    def test_threads_are_read_through_a_descriptor(self) -> None:
        """P44: the way that is left after a chroot."""
        folder = os.open("/proc/self/task", os.O_RDONLY)
        try:
            own = str(threading.get_native_id())
            assert read_threads(folder) == Credentials.of_threads(os.getpid())
            assert list(read_threads(folder, only=own)) == [int(own)]
            assert read_threads(folder, only="999999999") == {}
        finally:
            os.close(folder)

    def test_reading_leaves_no_descriptor_open(self) -> None:
        """Neither in success nor in failure."""

        def leak() -> int:
            before = len(os.listdir("/proc/self/fd"))
            for _ in range(50):
                Credentials.current()
                Credentials.of_threads(os.getpid())
                with pytest.raises(ProcessLookupError):
                    Credentials.of(2**22 + 1)
            return len(os.listdir("/proc/self/fd")) - before

        assert in_child(leak) == 0

    @pytest.mark.parametrize("read", [Credentials.of, Credentials.of_threads])
    def test_a_process_that_is_gone_is_told(self, read: Callable[[int], object]) -> None:
        """As kill(2) tells it."""
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        for missing in (pid, 2**22 + 1, 2**31, 2**32 + os.getpid(), 10**30):
            with pytest.raises(ProcessLookupError, match=f"no process {missing}"):
                read(missing)

    @pytest.mark.parametrize("read", [Credentials.of, Credentials.of_threads])
    @pytest.mark.parametrize("pid", [True, False, 0, -1, 1.0, "1", "self", None], ids=repr)
    def test_what_is_no_process_id_is_refused(
        self, read: Callable[[int], object], pid: int
    ) -> None:
        """P4: True is not process 1, and -1 is not "every process"."""
        with pytest.raises(ValueError, match="a process id is a whole number above 0"):
            read(pid)

    def test_a_process_with_an_odd_name_is_read(self) -> None:
        """A program may call itself anything, a line of this file included."""

        def rename() -> None:
            ctypes.CDLL(None).prctl(_PR_SET_NAME, b"\xff\nUid:\r0 0 0", 0, 0, 0)

        with held_child(rename) as child:
            assert Credentials.of(child.pid) == Credentials.of(os.getpid())


@pytest.mark.needs("root")
def test_a_process_of_root_with_thousands_of_groups_is_read() -> None:
    """P17: the status of such a process does not fit into one read."""
    groups = list(range(100_000, 110_000))
    with held_child(lambda: os.setgroups(groups)) as child:
        assert list(Credentials.of(child.pid).groups) == groups


def test_no_capabilities_is_not_the_same_as_not_read() -> None:
    """The one is a finding, the other a blind spot."""
    assert holding().capabilities == CapabilitySets(bounding=EVERY)
    assert Credentials.parse(_LINUX_5_15).capabilities is not None
    bare = "Uid:\t0 0 0 0\nGid:\t0 0 0 0\nGroups:\t\n"
    assert Credentials.parse(bare).capabilities is None
