"""The strict grammar: ids, names, and user[:group]. Nothing is guessed."""

from __future__ import annotations

import copy
import pickle
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from abdicate.errors import SpecError
from abdicate.identity.ids import (
    ID_MAX,
    Gid,
    GroupName,
    Owner,
    Uid,
    UserName,
    parse_group,
    parse_owner,
    parse_user,
)
from unit.making import BAD_OWNERS, BAD_USERS, shown_input

# The grammar of names once more, written down another way than the code has it.
_NAME = re.compile(r"(?!-)(?!\.{1,2}\Z)(?=.{1,256}\Z)[A-Za-z0-9_.-]+\$?\Z")
_NUMBER = re.compile(r"0[xX]_?[0-9a-fA-F]+(_[0-9a-fA-F]+)*|0[oObB][0-7_]+|[0-9]+(_[0-9]+)*")

# Much of what Hypothesis draws from all of Unicode is refused at its first character.
texts = st.one_of(
    st.text(),
    st.text(alphabet="0123456789"),
    st.text(alphabet="01279_xXbo.$-+: \n\0"),
    st.text(alphabet="abcXYZ019_.-$", min_size=1, max_size=300),
    st.integers(-5, 2**33).map(str),
)


def _refused(error: SpecError, field: str) -> str:
    """Return the text of *error*, which is one line, short, and names field and rule."""
    text = str(error)
    assert error.field == field
    assert text.startswith(f"{field} ")
    assert error.rule in text
    assert "\n" not in text
    assert len(text) < 400
    return text


@pytest.mark.parametrize("kind", [Uid, Gid])
class TestId:
    """`Uid` and `Gid` alike."""

    @pytest.mark.parametrize("number", [0, 1, 1000, 65534, 65535, 65536, 2**31, ID_MAX])
    def test_every_number_of_the_kernel_is_an_id(self, kind: type[Uid | Gid], number: int) -> None:
        """0 to 2^32-2, by number and by text."""
        assert kind(number) == number
        assert kind.parse(str(number)) == number

    def test_zero_is_an_id_and_not_absent(self, kind: type[Uid | Gid]) -> None:
        """P7: root is 0, and a value as good as every other."""
        assert kind(0) == 0
        assert kind(0) is not None
        assert kind.parse("0") == 0

    @pytest.mark.parametrize("number", [-1, ID_MAX + 1])
    def test_the_number_that_changes_nothing_is_refused(
        self, kind: type[Uid | Gid], number: int
    ) -> None:
        """P6: -1 and 2^32-1 are "no change" to the kernel: a no-op that reports success."""
        with pytest.raises(SpecError, match="'no change' to the kernel"):
            kind(number)

    @pytest.mark.parametrize("number", [-2, 2**32, 2**32 + 1000, 2**64, 10**5000], ids=shown_input)
    def test_a_number_that_32_bits_would_cut_is_refused(
        self, kind: type[Uid | Gid], number: int
    ) -> None:
        """P5: 4294967296 becomes root where it is cut to 32 bits."""
        with pytest.raises(SpecError) as caught:
            kind(number)
        assert "0 to 4294967294" in _refused(caught.value, kind.field)

    @pytest.mark.parametrize("value", [True, False, 3.9, 3.0, "1000", b"1000", None, [1]])
    def test_only_a_whole_number_is_taken(self, kind: type[Uid | Gid], value: object) -> None:
        """P4: int() would take True, 3.9, a text and bytes."""
        with pytest.raises(SpecError, match=f"and not a {type(value).__name__}"):
            kind(value)  # type: ignore[arg-type]  # what a caller without a type checker does

    def test_a_truth_value_says_what_yaml_did(self, kind: type[Uid | Gid]) -> None:
        """P9: ``user: no`` is False in YAML."""
        with pytest.raises(SpecError, match="in YAML, quote the name"):
            kind(False)

    @pytest.mark.parametrize(
        "text",
        ["", " 12 ", "12\n", "+1", "-1", "1_000", "１２", "²", "٣", "1.0", "1e3", "0x1f", "1000\0"],
    )
    def test_a_text_has_the_digits_0_to_9_only(self, kind: type[Uid | Gid], text: str) -> None:
        """P4: int() would take "1_000", "１２", " 12 " and "+1"."""
        with pytest.raises(SpecError, match="in the digits 0 to 9 only"):
            kind.parse(text)

    @pytest.mark.parametrize("text", ["007", "00", "01000", "0" * 1_000_000], ids=shown_input)
    def test_a_text_has_no_leading_zero(self, kind: type[Uid | Gid], text: str) -> None:
        """P2: it might be meant as octal."""
        with pytest.raises(SpecError, match="no leading zero"):
            kind.parse(text)

    def test_a_megabyte_of_digits_is_refused_at_once(self, kind: type[Uid | Gid]) -> None:
        """P5: before int() is asked to read it."""
        with pytest.raises(SpecError) as caught:
            kind.parse("9" * 1_000_000)
        _refused(caught.value, kind.field)

    @given(number=st.integers(0, ID_MAX))
    def test_it_survives_text_pickle_and_copy(self, kind: type[Uid | Gid], number: int) -> None:
        """It stays the same number, of the same type."""
        made = kind(number)
        for again in (
            kind.parse(str(made)),
            pickle.loads(pickle.dumps(made)),
            copy.copy(made),
            copy.deepcopy(made),
        ):
            assert again == number
            assert type(again) is kind

    def test_it_is_a_number_in_every_use(self, kind: type[Uid | Gid]) -> None:
        """It prints, formats, adds and hashes like the plain number."""
        made = kind(1000)
        assert (str(made), f"{made}", f"{made:06}", made + 1) == ("1000", "1000", "001000", 1001)
        assert hash(made) == hash(1000)
        assert repr(made) == f"{kind.__name__}(1000)"

    def test_the_16_bit_minus_one_is_refused_on_request_only(self, kind: type[Uid | Gid]) -> None:
        """P6: 65535 is a plain id on Linux, and "no change" to formats with 16 bits."""
        assert kind(65535) == 65535
        assert kind(65534).portable() == 65534
        assert kind(65536).portable() == 65536
        with pytest.raises(SpecError, match="16 bits"):
            kind(65535).portable()


@pytest.mark.parametrize("kind", [UserName, GroupName])
class TestName:
    """`UserName` and `GroupName` alike."""

    @pytest.mark.parametrize(
        "text",
        ["nobody", "N", "_apt", "www-data", "a.b", "...", "machine$", "0day", "1000.x", "x" * 256],
        ids=shown_input,
    )
    def test_letters_digits_and_three_signs_make_a_name(
        self, kind: type[UserName | GroupName], text: str
    ) -> None:
        """With a trailing dollar, and up to 256 characters."""
        assert kind(text) == text

    def test_it_is_text_in_every_use(self, kind: type[UserName | GroupName]) -> None:
        """It prints, joins and hashes like the plain text."""
        name = kind("adm")
        assert (str(name), f"{name}", name + "s", hash(name)) == ("adm", "adm", "adms", hash("adm"))
        assert repr(name) == f"{kind.__name__}('adm')"
        assert type(pickle.loads(pickle.dumps(name))) is kind

    def test_empty_text_names_nobody(self, kind: type[UserName | GroupName]) -> None:
        """P1, P8: an unset variable is an error, never "stay root"."""
        with pytest.raises(SpecError, match="empty text names nobody; is a variable unset"):
            kind("")

    @pytest.mark.parametrize("text", ["-", "-u", "--help"])
    def test_it_does_not_begin_with_a_dash(
        self, kind: type[UserName | GroupName], text: str
    ) -> None:
        """A program that gets it as an argument would read an option."""
        with pytest.raises(SpecError, match="does not begin with '-'"):
            kind(text)

    @pytest.mark.parametrize("text", [".", ".."])
    def test_it_is_no_directory(self, kind: type[UserName | GroupName], text: str) -> None:
        """A program that makes a path of it would leave its directory."""
        with pytest.raises(SpecError):
            kind(text)

    @pytest.mark.parametrize(
        "sign", list(":/\\ \t\n\r\0\x1b\x7f,;*?!@#%&'\"(){}[]<>|~`^+=é１\ud800")
    )
    @pytest.mark.parametrize("shape", ["{}", "{}a", "a{}", "a{}b"])
    def test_no_other_sign_is_taken_anywhere(
        self, kind: type[UserName | GroupName], sign: str, shape: str
    ) -> None:
        """P8: ``:`` separates, ``/`` is a path, NUL ends a C string, a newline a passwd entry."""
        with pytest.raises(SpecError) as caught:
            kind(shape.format(sign))
        _refused(caught.value, kind.field)

    @pytest.mark.parametrize("text", ["$", "$a", "a$b", "a$$"])
    def test_a_dollar_stands_at_the_end_alone(
        self, kind: type[UserName | GroupName], text: str
    ) -> None:
        """As useradd(8) has it, for machine accounts."""
        with pytest.raises(SpecError):
            kind(text)

    @pytest.mark.parametrize("text", ["a" * 257, "a" * 256 + "$", "a" * 1_000_000], ids=shown_input)
    def test_it_has_at_most_256_characters(
        self, kind: type[UserName | GroupName], text: str
    ) -> None:
        """LOGIN_NAME_MAX."""
        with pytest.raises(SpecError, match="at most 256 characters"):
            kind(text)

    @pytest.mark.parametrize(
        "text", ["1a", "9a", "0a", "0xg", "0b2", "0o8", "1__0", "1_", "a$", "_"]
    )
    def test_it_may_look_a_little_like_one(
        self, kind: type[UserName | GroupName], text: str
    ) -> None:
        """Digits and letters that no program reads as a number are a name like any other."""
        assert kind(text) == text

    @pytest.mark.parametrize(
        "text", ["0", "1000", "1_000", "0x1f", "0X1F", "0b101", "0o17", "00_0", "0_8", "0_9"]
    )
    def test_it_does_not_read_as_a_number(
        self, kind: type[UserName | GroupName], text: str
    ) -> None:
        """P2: one program's name is another's number (systemd#15985, CVE-2020-13776)."""
        with pytest.raises(SpecError, match="reads as a number"):
            kind(text)

    @pytest.mark.parametrize("value", [1000, True, None, b"nobody", ["nobody"]])
    def test_only_text_is_taken(self, kind: type[UserName | GroupName], value: object) -> None:
        """P4: a number is no name."""
        with pytest.raises(SpecError, match=f"and not a {type(value).__name__}"):
            kind(value)  # type: ignore[arg-type]  # what a caller without a type checker does


@given(text=texts)
@example(text="0x1f")
@example(text="1_000")
@example(text="１２")
@example(text="nobody\n")
def test_any_text_is_an_id_a_name_or_refused(text: str) -> None:
    """P1, P2, P3: digits are an id, the grammar makes a name, and there is no third way."""
    canonical = text.isascii() and text.isdigit() and (text == "0" or text[0] != "0")
    is_id = canonical and int(text) <= ID_MAX
    is_name = bool(_NAME.match(text)) and not _NUMBER.fullmatch(text)
    assert not (is_id and is_name)
    try:
        user, group = parse_user(text), parse_group(text)
    except SpecError as error:
        assert not is_id
        assert not is_name
        _refused(error, "user")
    else:
        assert str(user) == str(group) == text
        assert (type(user), type(group)) == ((Uid, Gid) if is_id else (UserName, GroupName))
        assert is_id or is_name


@given(text=texts)
def test_users_and_groups_have_one_grammar(text: str) -> None:
    """What is refused as a user is refused as a group."""

    def taken(parse: object) -> bool:
        try:
            assert callable(parse)
            parse(text)
        except SpecError:
            return False
        return True

    assert taken(parse_user) == taken(parse_group)


@given(text=texts)
def test_any_text_is_an_owner_or_refused(text: str) -> None:
    """P8: every form with a colon is defined or refused, and both halves follow the grammar."""
    try:
        owner = parse_owner(text)
    except SpecError as error:
        _refused(error, "user")
        return
    user, colon, group = text.partition(":")
    assert (user, group) != ("", "")
    assert owner.user == (parse_user(user) if user else None)
    assert owner.group == (parse_group(group) if group else None)
    if colon and not group:
        assert isinstance(owner.user, UserName)


@pytest.mark.parametrize("value", BAD_USERS, ids=shown_input)
def test_no_bad_user_is_taken(value: object) -> None:
    """P1 to P8: everything that has made a program stay root before."""
    with pytest.raises(SpecError) as caught:
        parse_user(value)
    text = _refused(caught.value, "user")
    assert caught.value.value is value
    assert text.isprintable()


@pytest.mark.parametrize("value", BAD_USERS, ids=shown_input)
def test_no_bad_group_is_taken(value: object) -> None:
    """P1 to P8."""
    with pytest.raises(SpecError) as caught:
        parse_group(value)
    _refused(caught.value, "group")


@pytest.mark.parametrize("value", [*BAD_USERS, *BAD_OWNERS], ids=shown_input)
def test_no_bad_owner_is_taken(value: object) -> None:
    """P8."""
    with pytest.raises(SpecError) as caught:
        parse_owner(value)
    _refused(caught.value, "user")


@pytest.mark.parametrize(
    "value",
    [user for user in BAD_USERS if isinstance(user, str) and ":" not in user],
    ids=shown_input,
)
def test_neither_half_of_an_owner_may_be_bad(value: str) -> None:
    """P8: but for the empty text, which leaves that half out."""
    for text in {f"{value}:adm", f"nobody:{value}"} - {":adm", "nobody:"}:
        with pytest.raises(SpecError) as caught:
            parse_owner(text)
        _refused(caught.value, "user")


@pytest.mark.parametrize(
    ("value", "owner"),
    [
        ("nobody", Owner(UserName("nobody"), None)),
        ("1000", Owner(Uid(1000), None)),
        ("0", Owner(Uid(0), None)),
        (1000, Owner(Uid(1000), None)),
        (0, Owner(Uid(0), None)),
        ("nobody:nogroup", Owner(UserName("nobody"), GroupName("nogroup"))),
        ("1000:27", Owner(Uid(1000), Gid(27))),
        ("0:0", Owner(Uid(0), Gid(0))),
        ("1000:adm", Owner(Uid(1000), GroupName("adm"))),
        ("nobody:", Owner(UserName("nobody"), None)),
        (":adm", Owner(None, GroupName("adm"))),
        (":0", Owner(None, Gid(0))),
    ],
)
def test_each_form_of_an_owner_is_defined(value: object, owner: Owner) -> None:
    """P8, P7: and 0 stands for root in each of them."""
    assert parse_owner(value) == owner


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("", "empty text names nobody"),
        (":", "neither a user nor a group is named"),
        ("0:", "digits have no login group; write the uid alone, or uid:group"),
        ("no:body:x", "at most one ':'"),
    ],
)
def test_a_refused_owner_says_the_rule(value: str, rule: str) -> None:
    """P8."""
    with pytest.raises(SpecError, match=re.escape(rule)):
        parse_owner(value)


@pytest.mark.parametrize("number", [0, 1000, ID_MAX])
def test_a_name_of_digits_is_an_id(number: int) -> None:
    """P3: even where a user has that name; digits are never looked up as a name."""
    assert parse_user(str(number)) == Uid(number)
    assert parse_group(str(number)) == Gid(number)


def test_what_is_parsed_already_passes_through() -> None:
    """Parsing twice is parsing once."""
    name, uid = UserName("nobody"), Uid(5)
    assert parse_user(name) is name
    assert parse_user(uid) is uid
    group, gid = GroupName("adm"), Gid(5)
    assert parse_group(group) is group
    assert parse_group(gid) is gid


def test_an_error_can_name_another_field() -> None:
    """A config reader names the key, not only "user"."""
    for parse in (parse_user, parse_group, parse_owner):
        with pytest.raises(SpecError) as caught:
            parse("", field="profiles.web.user")
        _refused(caught.value, "profiles.web.user")
