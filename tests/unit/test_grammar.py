"""How umasks, resource limits and signals are written."""

from __future__ import annotations

import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abdicate.errors import SpecError
from abdicate.identity.situation import ResourceLimit
from abdicate.plan.grammar import parse_limit, parse_mode, parse_signal
from unit.making import shown_input


def _is_short(error: SpecError, field: str) -> None:
    """Check that the text of *error* is one line, short, and names the field."""
    text = str(error)
    assert text.startswith(field)
    assert text.isprintable()
    assert len(text) < 400


class TestMode:
    """`parse_mode`."""

    @pytest.mark.parametrize(
        ("value", "mode"),
        [
            ("0", 0),
            ("00", 0),
            ("0000", 0),
            ("022", 0o022),
            ("00000022", 0o022),
            ("0022", 0o022),
            ("0o022", 0o022),
            ("0o22", 0o022),
            ("0777", 0o777),
            ("0o777", 0o777),
            (0, 0),
            (0o022, 0o022),
            (0o777, 0o777),
        ],
    )
    def test_octal_text_or_a_number(self, value: object, mode: int) -> None:
        """P9: the number 18 is what YAML 1.1 and TOML's 0o022 make of it."""
        assert parse_mode(value) == mode

    @pytest.mark.parametrize("value", ["22", "18", "755", "777"])
    def test_text_without_the_zero_is_refused(self, value: str) -> None:
        """P9: it could be meant either way, and the error says what to write."""
        with pytest.raises(SpecError, match="octal text with a leading 0, as in '0022'"):
            parse_mode(value)

    @pytest.mark.parametrize(
        "value",
        [
            "", " ", "0o", "0O22", "o22", "0x12", "0b1", "0_22", "0022 ", " 0022", "+022", "-022",
            "08", "0o8", "0o-1", "00o7", "０22", "0٢", "0" * 9, "0" * 1_000_000,
            "0022\n", -1, True, False, 18.0, b"0022", None, [18], {"a": 1}, 10**5000,
        ],
        ids=shown_input,
    )  # fmt: skip
    def test_what_is_no_mode_is_refused(self, value: object) -> None:
        """P4: and is named in one short line."""
        with pytest.raises(SpecError) as caught:
            parse_mode(value)
        _is_short(caught.value, "umask ")

    @pytest.mark.parametrize("value", ["01000", "07777", "0o1000", 0o1000, 1000, 10**9])
    def test_more_than_the_most_is_refused(self, value: object) -> None:
        """A umask has nine bits; elsewhere twelve may be wanted."""
        with pytest.raises(SpecError):
            parse_mode(value)

    def test_another_field_may_take_more(self) -> None:
        """The error names it."""
        assert parse_mode("04755", field="mode", most=0o7777) == 0o4755
        with pytest.raises(SpecError, match="up to 0o7777") as caught:
            parse_mode("010000", field="mode", most=0o7777)
        _is_short(caught.value, "mode ")

    @given(mode=st.integers(0, 0o777))
    def test_every_mode_survives_its_text(self, mode: int) -> None:
        """In the three ways it is written."""
        assert parse_mode(f"0{mode:o}") == parse_mode(f"0o{mode:o}") == parse_mode(mode) == mode

    @given(text=st.text() | st.text(alphabet="0o1789_ +-x"))
    def test_any_text_is_octal_or_refused(self, text: str) -> None:
        """Nothing else is raised."""
        try:
            mode = parse_mode(text)
        except SpecError as error:
            _is_short(error, "umask ")
        else:
            digits = text.removeprefix("0o")
            assert text[0] == "0"
            assert set(digits) <= set("01234567")
            assert mode == int(digits, 8) <= 0o777


class TestLimit:
    """`parse_limit`."""

    @pytest.mark.parametrize(
        ("value", "soft", "hard"),
        [
            (0, 0, 0),
            (1024, 1024, 1024),
            ("1024", 1024, 1024),
            ("0", 0, 0),
            ("1024:4096", 1024, 4096),
            ("0:0", 0, 0),
            ("unlimited", None, None),
            ("1024:unlimited", 1024, None),
            ("unlimited:unlimited", None, None),
            ((1024, 4096), 1024, 4096),
            ([1024, 4096], 1024, 4096),
            ((1024, None), 1024, None),
            ([None, None], None, None),
            ([1024], 1024, 1024),
            ([None], None, None),
            (2**63 - 1, 2**63 - 1, 2**63 - 1),
        ],
    )
    def test_one_number_or_two(self, value: object, soft: int | None, hard: int | None) -> None:
        """P7: 0 is a limit; None in a pair is "unlimited"."""
        assert parse_limit("nofile", value) == ResourceLimit("nofile", soft, hard)

    def test_the_resource_is_written_in_either_case(self) -> None:
        """And kept in lower case."""
        assert parse_limit("NOFILE", 1).resource == "nofile"

    def test_a_name_of_32_letters_is_looked_up(self) -> None:
        """What is longer is no name of any system's."""
        with pytest.raises(SpecError, match=f"limits.{'a' * 32} "):
            parse_limit("a" * 32, -1)
        with pytest.raises(SpecError, match="a resource's name is wanted"):
            parse_limit("a" * 33, -1)

    @pytest.mark.parametrize(
        "value",
        [
            "", " ", ":", "1:", ":1", "1:2:3", "1,2", "1_000", "１２", " 12", "+1", "-1", "1.5",
            "1k", "infinity", "Unlimited", "unlimited:1", "2:1", "9" * 20, "9" * 1_000_000,
            ":" * 10**6, -1, 2**63, 10**5000, True, False, 1.0, None, b"1", [], [1, 2, 3],
            ["1"], [True, True], [1.0], [None, 1], [2, 1], {"soft": 1}, object(),
        ],
        ids=shown_input,
    )  # fmt: skip
    def test_what_is_no_limit_is_refused(self, value: object) -> None:
        """P4: None alone is a key without a value; -1 is RLIM_INFINITY to the kernel."""
        with pytest.raises(SpecError) as caught:
            parse_limit("nofile", value)
        _is_short(caught.value, "limit")
        assert "nofile" in str(caught.value)

    @pytest.mark.parametrize(
        "resource",
        ["", "no file", "nofile ", "no-file", "no_file", "nöfile", "7", "a" * 1_000_000, 7, True,
         None, b"nofile", ["nofile"]],
        ids=shown_input,
    )  # fmt: skip
    def test_what_is_no_name_of_a_resource_is_refused(self, resource: object) -> None:
        """As it is written in getrlimit(2), without RLIMIT_."""
        with pytest.raises(SpecError, match="a resource's name is wanted") as caught:
            parse_limit(resource, 1024)
        _is_short(caught.value, "limits ")

    @given(soft=st.integers(0, 2**63 - 1), hard=st.integers(0, 2**63 - 1) | st.none())
    def test_every_limit_survives_its_text(self, soft: int, hard: int | None) -> None:
        """The text that the limit gives of itself."""
        limit = ResourceLimit("core", soft if hard is None else min(soft, hard), hard)
        assert parse_limit("core", str(limit)) == limit


class TestSignal:
    """`parse_signal`."""

    @pytest.mark.parametrize("form", ["{}", "SIG{}", "sig{}", "Sig{}"])
    @pytest.mark.parametrize("name", ["TERM", "term", "USR1"])
    def test_a_signal_is_found_by_name(self, name: str, form: str) -> None:
        """With or without SIG, in either case."""
        assert parse_signal(form.format(name)) == getattr(signal, f"SIG{name.upper()}")

    @pytest.mark.parametrize("name", sorted(signal.Signals.__members__))
    def test_every_signal_of_this_platform_is_known(self, name: str) -> None:
        """Second names too."""
        assert parse_signal(name) == signal.Signals[name]
        assert type(parse_signal(name)) is int

    @pytest.mark.needs("linux")
    @pytest.mark.parametrize("name", ["RTMIN+3", "SIGRTMIN+3", "RTMAX-2"])
    def test_real_time_signals_have_names_too(self, name: str) -> None:
        """D12: as kill(1) has them."""
        wanted = signal.SIGRTMIN + 3 if "MIN" in name else signal.SIGRTMAX - 2
        assert parse_signal(name) == wanted

    @pytest.mark.needs("linux")
    @pytest.mark.parametrize(
        ("name", "number"),
        [
            ("RTMIN+0", signal.SIGRTMIN),
            ("RTMAX-0", signal.SIGRTMAX),
            (f"RTMIN+{signal.SIGRTMAX - signal.SIGRTMIN}", signal.SIGRTMAX),
            (f"rtmax-{signal.SIGRTMAX - signal.SIGRTMIN}", signal.SIGRTMIN),
        ],
    )
    def test_they_reach_from_the_first_to_the_last(self, name: str, number: int) -> None:
        """And no further."""
        assert parse_signal(name) == number
        beyond = f"{name[:6]}{signal.SIGRTMAX - signal.SIGRTMIN + 1}"
        for text in (beyond, f"{name[:6]}", f"{name[:6]}-1", f"{name[:6]}999", f"{name[:5]}*1"):
            with pytest.raises(SpecError):
                parse_signal(text)

    @pytest.mark.parametrize("value", [0, "0", 9, "9", 15, "15", 64, "64", signal.SIGTERM])
    def test_a_signal_is_found_by_number(self, value: object) -> None:
        """P7: 0 is "no signal", which is not "no answer"."""
        assert parse_signal(value) == int(value)  # type: ignore[call-overload]  # text or number

    @pytest.mark.parametrize(
        "value",
        [
            "", " ", "SIG", "SIG9", "SIGSIGTERM", "RTMIN+03", "TERMINATE", "TERM ", " 9",
            "+9", "-9", "9.0", "065",
            "１５", "ſigterm", "ınt", "kıll", "65", "999", "1" * 1_000_000, "A" * 1_000_000, -1, 65,
            10**5000, True, False, 9.0, None, b"TERM", [9],
        ],
        ids=shown_input,
    )  # fmt: skip
    def test_what_is_no_signal_is_refused(self, value: object) -> None:
        """P4: nor is a letter of another alphabet taken for one of ours."""
        with pytest.raises(SpecError) as caught:
            parse_signal(value, field="parent_death_signal")
        _is_short(caught.value, "parent_death_signal ")
