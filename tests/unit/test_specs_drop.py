"""`UserSpec`, `GroupSpec` and `PrivilegeDrop`: shape, types and grammar, before any look-up."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ValidationError

from abdicate.errors import PreflightError, SpecError, UnknownGroupError, UnknownUserError
from abdicate.identity.accounts import Account, Group, StaticAccounts
from abdicate.identity.capabilities import Capability, CapabilitySet
from abdicate.identity.ids import Gid, GroupName, Owner, Uid, UserName
from abdicate.identity.resolve import (
    AddGroups,
    ExactGroups,
    GroupPolicy,
    InitGroups,
    KeepGroups,
    OnlyGroup,
)
from abdicate.identity.situation import ResourceLimit
from abdicate.plan.policy import DropPolicy
from abdicate.request import DropRequest
from abdicate.specs.drop import Add, Exactly, GroupSpec, PrivilegeDrop, UserSpec
from abdicate.testing import FakeKernel
from unit.making import BAD_OWNERS, BAD_USERS, NONE, gids, shown_input

_ACCOUNTS = StaticAccounts(
    [Account("root", Uid(0), Gid(0), "/root"), Account("app", Uid(1000), Gid(1000), "/srv/app")],
    [Group("adm", Gid(4), ("app",)), Group("web", Gid(33))],
)


def _drop(value: object) -> PrivilegeDrop:
    return PrivilegeDrop.model_validate(value)


def _refusal(value: object, model: type[BaseModel] = PrivilegeDrop) -> tuple[str, str]:
    """Return where and why *value* is refused: one error, short."""
    with pytest.raises(ValidationError) as caught:
        model.model_validate(value)
    errors = caught.value.errors(include_url=False)
    assert len(errors) == 1
    assert len(str(caught.value)) < 1500
    return ".".join(map(str, errors[0]["loc"])), str(errors[0]["msg"])


class TestUserAndGroup:
    """`UserSpec` and `GroupSpec`."""

    @pytest.mark.parametrize(
        ("value", "user"),
        [
            ("nobody", UserName("nobody")),
            ("1000", Uid(1000)),
            (1000, Uid(1000)),
            (0, Uid(0)),
            ("0", Uid(0)),
            ({"user": "nobody"}, UserName("nobody")),
            ({"user": 0}, Uid(0)),
        ],
    )
    def test_a_user_has_three_forms(self, value: object, user: Uid | UserName) -> None:
        """P3, P7: a name, an id, a text of digits; and a mapping of any."""
        spec = UserSpec.model_validate(value)
        assert spec.user == user
        assert type(spec.user) is type(user)
        assert UserSpec.model_validate(spec) == spec
        assert UserSpec.model_validate_json(spec.model_dump_json()) == spec

    @pytest.mark.parametrize(
        ("value", "group"),
        [
            ("adm", GroupName("adm")),
            ("4", Gid(4)),
            (0, Gid(0)),
            ({"group": "adm"}, GroupName("adm")),
        ],
    )
    def test_a_group_has_three_forms(self, value: object, group: Gid | GroupName) -> None:
        """P3, P7."""
        spec = GroupSpec.model_validate(value)
        assert spec.group == group
        assert type(spec.group) is type(group)
        assert GroupSpec.model_validate_json(spec.model_dump_json()) == spec

    @pytest.mark.parametrize(
        "value", [*BAD_USERS, "nobody:nogroup", "nobody:", ":adm", ":"], ids=shown_input
    )
    def test_nothing_else_is_taken(self, value: object) -> None:
        """P1 to P9: the error names the field, and its text is short."""
        for model, name in ((UserSpec, "user"), (GroupSpec, "group")):
            for given_as in (value, {name: value}):
                if isinstance(given_as, dict) and set(given_as) != {name}:
                    continue  # a mapping of other keys
                where, why = _refusal(given_as, model)
                assert where == name
                assert why.startswith(f"Value error, {name} ")

    def test_an_unknown_key_is_refused(self) -> None:
        """It may be what matters."""
        assert _refusal({"user": "nobody", "surprise": 1}, UserSpec)[0] == "surprise"
        assert _refusal({}, GroupSpec)[0] == "group"

    def test_they_resolve(self) -> None:
        """A number needs no entry; a name does."""
        assert UserSpec(user="app").resolve(_ACCOUNTS) == 1000
        assert UserSpec(user=4242).resolve(_ACCOUNTS) == 4242
        assert GroupSpec(group="web").resolve(_ACCOUNTS) == 33
        assert GroupSpec(group="0").resolve(_ACCOUNTS) == 0
        with pytest.raises(UnknownUserError):
            UserSpec(user="nosuch").resolve(_ACCOUNTS)
        with pytest.raises(UnknownGroupError):
            GroupSpec(group="nosuch").resolve(_ACCOUNTS)

    def test_they_resolve_in_the_systems_own_database(self) -> None:
        """Where none is given."""
        assert UserSpec(user="root").resolve() == 0
        assert GroupSpec(group=0).resolve() == 0


#: Every form of a drop that is one text, one number or a short mapping.
_FORMS: tuple[tuple[object, Owner], ...] = (
    ("nobody", Owner(UserName("nobody"))),
    ("1000", Owner(Uid(1000))),
    (1000, Owner(Uid(1000))),
    (0, Owner(Uid(0))),
    ("nobody:nogroup", Owner(UserName("nobody"), GroupName("nogroup"))),
    ("nobody:", Owner(UserName("nobody"))),
    (":adm", Owner(None, GroupName("adm"))),
    (":0", Owner(None, Gid(0))),
    ("0:0", Owner(Uid(0), Gid(0))),
    ({}, Owner()),
    ({"user": "nobody"}, Owner(UserName("nobody"))),
    ({"user": 0, "group": 0}, Owner(Uid(0), Gid(0))),
    ({"user": "nobody", "group": "adm"}, Owner(UserName("nobody"), GroupName("adm"))),
    ({"group": "adm"}, Owner(None, GroupName("adm"))),
    ({"user": None, "group": None}, Owner()),
    ({"user": "nobody:nogroup"}, Owner(UserName("nobody"), GroupName("nogroup"))),
    ({"user": "nobody:"}, Owner(UserName("nobody"))),
    ({"user": ":adm"}, Owner(None, GroupName("adm"))),
    ({"user": "nobody:nogroup", "group": None}, Owner(UserName("nobody"), GroupName("nogroup"))),
)

#: Every way to choose the supplementary groups.
_CHOICES: tuple[tuple[object, GroupPolicy | None], ...] = (
    (None, None),
    ("init", InitGroups()),
    ("only", OnlyGroup()),
    ("keep", KeepGroups()),
    ({"exactly": []}, ExactGroups(())),
    ({"exactly": ["adm", 33, "0"]}, ExactGroups((GroupName("adm"), Gid(33), Gid(0)))),
    ({"add": []}, AddGroups(())),
    ({"add": ["adm"]}, AddGroups((GroupName("adm"),))),
)

#: Every other field, with what it becomes in the policy.
_WISHES: tuple[tuple[dict[str, object], DropPolicy], ...] = (
    ({"umask": "0027"}, DropPolicy(umask=0o027)),
    ({"umask": 0}, DropPolicy(umask=0)),
    ({"no_new_privs": True}, DropPolicy(no_new_privs=True)),
    ({"capabilities": []}, DropPolicy(capabilities=NONE)),
    (
        {"capabilities": ["kill"], "ambient": True},
        DropPolicy(capabilities=CapabilitySet.of(Capability.KILL), ambient=True),
    ),
    ({"bounding": []}, DropPolicy(bounding=NONE)),
    ({"lock_securebits": True}, DropPolicy(lock_securebits=True)),
    ({"limits": {"core": 0}}, DropPolicy(limits=(ResourceLimit("core", 0, 0),))),
    ({"nice": -20}, DropPolicy(nice=-20)),
    ({"nice": 0}, DropPolicy(nice=0)),
    ({"chroot": "/srv"}, DropPolicy(chroot="/srv")),
    ({"working_directory": "/"}, DropPolicy(working_directory="/")),
    ({"environment": "reset"}, DropPolicy(environment="reset")),
    ({"dumpable": False}, DropPolicy(dumpable=False)),
    ({"parent_death_signal": "TERM"}, DropPolicy(parent_death_signal=15)),
    ({"parent_death_signal": 0}, DropPolicy(parent_death_signal=0)),
    ({"session_keyring": True}, DropPolicy(session_keyring=True)),
    ({"allow_root": True}, DropPolicy(allow_root=True)),
    ({"allow_root_group": True}, DropPolicy(allow_root_group=True)),
)


class TestForms:
    """What may be written."""

    @pytest.mark.parametrize(("value", "owner"), _FORMS, ids=shown_input)
    def test_each_form_of_a_user_and_group(self, value: object, owner: Owner) -> None:
        """P8: the same in a text, in a mapping, and in JSON."""
        drop = _drop(value)
        assert drop.request() == DropRequest(owner)
        assert _drop(drop) == drop
        assert PrivilegeDrop.model_validate_json(json.dumps(value)) == drop

    @pytest.mark.parametrize(("value", "policy"), _CHOICES, ids=shown_input)
    def test_each_choice_of_groups(self, value: object, policy: GroupPolicy | None) -> None:
        """P13: one explicit choice; an empty list is one."""
        assert _drop({"user": "app", "groups": value}).request().groups == policy

    def test_groups_may_be_any_collection(self) -> None:
        """In a program."""
        for groups in (["adm"], ("adm",), {"adm"}, frozenset({"adm"})):
            assert Exactly(exactly=groups) == Exactly(exactly=("adm",))
            assert Add(add=groups).add == (GroupName("adm"),)

    @pytest.mark.parametrize(("wish", "policy"), _WISHES, ids=shown_input)
    def test_each_wish_becomes_the_policys(
        self, wish: dict[str, object], policy: DropPolicy
    ) -> None:
        """P7: and what is 0, False or empty is a wish too."""
        assert _drop({"user": "app", **wish}).request().policy == policy

    def test_every_field_of_the_policy_can_be_asked_for(self) -> None:
        """None is left to programs alone."""
        wishes = {key for wish, _ in _WISHES for key in wish}
        assert wishes == set(DropPolicy.__fields__)
        assert set(PrivilegeDrop.model_fields) == wishes | {"user", "group", "groups", "home"}

    def test_a_home_may_be_given(self) -> None:
        """In place of the account's."""
        assert _drop({"user": "app", "home": "/var/app"}).request().home == "/var/app"

    def test_nothing_is_looked_up(self) -> None:
        """A spec of a user that does not exist is a spec."""
        assert _drop("no.such-user:nor_group$").user == "no.such-user"


class TestRefusals:
    """What may not be written."""

    @pytest.mark.parametrize("value", [*BAD_USERS, *BAD_OWNERS], ids=shown_input)
    def test_a_bad_user_is_refused(self, value: object) -> None:
        """P1 to P9: as the whole and as a field; the error names field, value and rule."""
        if not isinstance(value, dict):
            where, why = _refusal(value)
            assert where == ""
            assert why.startswith("Value error, user ")
        if value is not None:  # "user: null" leaves the user as it is
            where, why = _refusal({"user": value})
            assert "user " in why

    @pytest.mark.parametrize("value", BAD_USERS, ids=shown_input)
    def test_a_bad_group_is_refused(self, value: object) -> None:
        """P1 to P9: as the group, and within the list of groups."""
        if value is not None:
            assert _refusal({"group": value})[0] == "group"
        for choice in ("exactly", "add"):
            where, why = _refusal({"groups": {choice: ["adm", value]}})
            assert where.startswith("groups")
            assert "group " in why

    @pytest.mark.parametrize(
        "value",
        [
            "", "all", "INIT", "init ", True, False, 0, [], ["adm"], {}, {"exactly": "adm"},
            {"exactly": None}, {"exactly": {"adm": 1}}, {"add": 4}, {"exactly": [], "add": []},
            {"surprise": []}, {"exactly": [], "surprise": 1}, b"init", 1.5,
        ],
        ids=shown_input,
    )  # fmt: skip
    def test_a_choice_of_groups_that_is_none_is_refused(self, value: object) -> None:
        """P13: a list alone is not "exactly", and False is not "only"."""
        with pytest.raises(ValidationError) as caught:
            _drop({"user": "app", "groups": value})
        assert {error["loc"][0] for error in caught.value.errors()} == {"groups"}

    @pytest.mark.parametrize(
        ("field", "values"),
        [
            ("no_new_privs", (1, 0, "true", "yes", None, 1.0)),
            ("ambient", (1, "on", None)),
            ("lock_securebits", (1, "on", None)),
            ("session_keyring", (1, "on", None)),
            ("allow_root", (1, "yes", None)),
            ("allow_root_group", (1, "yes", None)),
            ("dumpable", (1, 0, "no")),
            ("nice", (True, "5", 5.0, -21, 20, 10**400)),
            ("umask", (True, "22", "18", "", 0o1000, -1, 18.0)),
            ("home", (5, b"/srv", True, ["/srv"])),
            ("chroot", (5, "", "srv", "/srv\0", b"/srv")),
            ("working_directory", (5, "", ".", "/srv\0", b"/srv")),
            ("environment", ("", "clear", None, True, 1)),
            ("parent_death_signal", ("", "SURPRISE", 65, -1, True, 9.0)),
            ("capabilities", ("CAP_KILL", ["SURPRISE"], [5], {"CAP_KILL": 1}, True)),
            ("bounding", ("all", ["SURPRISE"], [5], True)),
            ("limits", ("nofile=1", {"nofile": True}, {"nofile": "2:1"}, {"no file": 1}, None)),
        ],
    )
    def test_a_value_of_another_type_or_range_is_refused(
        self, field: str, values: tuple[object, ...]
    ) -> None:
        """P4: strictly, where pydantic's own mode would take 1, "yes" and 5.0."""
        for value in values:
            with pytest.raises(ValidationError) as caught:
                _drop({"user": "app", field: value})
            assert field in str(caught.value)
            assert len(str(caught.value)) < 1500

    @pytest.mark.parametrize("home", ["", "srv", "/srv\0x", "/\ud800"], ids=repr)
    def test_a_home_that_could_not_be_set_is_refused(self, home: str) -> None:
        """P29: the variable would fail after the point of no return; an unset one is an error."""
        with pytest.raises(ValidationError, match="home"):
            _drop({"user": "app", "home": home})

    @pytest.mark.parametrize("key", ["surprise", "User", "uid", "supplementary_groups", "nice "])
    def test_an_unknown_key_is_refused(self, key: str) -> None:
        """A misspelt wish is no wish."""
        assert _refusal({"user": "app", key: None})[0] == key

    def test_a_group_that_is_named_twice_is_refused(self) -> None:
        """P8: which of the two is meant?"""
        _, why = _refusal({"user": "app:adm", "group": "web"})
        assert "named twice" in why
        assert _refusal({"user": ":adm", "group": "adm"})[1] == why.replace("app:adm", ":adm")

    def test_the_login_group_and_another_are_refused(self) -> None:
        """P8: ``app:`` asks for the one, ``group`` for the other."""
        _refusal({"user": "app:", "group": "web"})

    def test_ambient_without_capabilities_is_refused(self) -> None:
        """Whatever goes into one policy has to go together."""
        assert "no kept capabilities" in _refusal({"user": "app", "ambient": True})[1]
        assert "no kept capabilities" in _refusal({"ambient": True, "capabilities": []})[1]

    def test_a_resource_that_is_named_twice_is_refused(self) -> None:
        """In either case of letters."""
        assert "named once" in _refusal({"limits": {"nofile": 1, "NOFILE": 2}})[1]

    @pytest.mark.parametrize(
        ("value", "says"),
        [
            ({"user": False}, "in YAML, quote the name"),
            ({"group": True}, "in YAML, quote the name"),
            ({"umask": "22"}, "octal text with a leading 0, as in '0022'"),
            ({"umask": "18"}, "octal text with a leading 0, as in '0022'"),
            ({"umask": 755}, "in YAML quote it, in TOML write 0o022"),
            ({"groups": False}, "init, only, keep"),
        ],
        ids=shown_input,
    )
    def test_what_yaml_makes_of_it_is_told(self, value: object, says: str) -> None:
        """P9: ``user: no`` is False there, and 022 is 18 or 22 by its version."""
        assert says in _refusal(value)[1]

    def test_deep_nesting_is_refused(self) -> None:
        """As what it is: no user, no list of groups."""
        deep: list[object] = []
        for _ in range(100_000):
            deep = [deep]
        for value in (deep, {"user": deep}, {"groups": {"add": deep}}, {"limits": {"core": deep}}):
            with pytest.raises(ValidationError):
                _drop(value)


class TestValues:
    """Specs as values."""

    _DROP = _drop({"user": "app", "groups": {"add": ["adm"]}, "limits": {"core": 0}})

    @pytest.mark.parametrize("spec", [_DROP, _drop("app"), UserSpec(user="a"), GroupSpec(group=4)])
    def test_they_are_immutable_and_hashable(self, spec: BaseModel) -> None:
        """And equal by what they say."""
        for name in type(spec).model_fields:
            with pytest.raises(ValidationError, match="frozen"):
                setattr(spec, name, None)
        same = type(spec).model_validate(spec.model_dump())
        assert same == spec
        assert hash(same) == hash(spec)
        assert len({spec, same}) == 1

    def test_they_survive_pickling_and_copying(self) -> None:
        """With the types of their fields."""
        for again in (pickle.loads(pickle.dumps(self._DROP)), copy.deepcopy(self._DROP)):
            assert again == self._DROP
            assert type(again.user) is UserName

    def test_every_way_to_write_it_is_one_value(self) -> None:
        """By text, by mapping and by keyword."""
        assert (
            _drop("app:adm")
            == _drop({"user": "app:adm"})
            == _drop({"user": "app", "group": "adm"})
            == PrivilegeDrop(user="app", group="adm")
        )
        assert _drop("1000") == _drop(1000) == PrivilegeDrop(user=1000)


class TestRequest:
    """From a spec to an identity and a plan."""

    def test_it_resolves_what_it_names(self) -> None:
        """With the given database."""
        identity = _drop("app:web").resolve(_ACCOUNTS)
        assert (identity.user, identity.uid, identity.gid) == ("app", 1000, 33)
        assert identity.groups == gids(4, 33)

    def test_it_makes_the_plan_of_its_request(self) -> None:
        """One path, whichever way it was asked."""
        drop = _drop({"user": "app", "umask": "0077", "environment": "keep"})
        kernel = FakeKernel.root(groups=(0, 4, 27))
        plan = drop.plan(_ACCOUNTS, kernel)
        assert plan == drop.request().plan(_ACCOUNTS, kernel)
        assert [step.kind for step in plan.steps] == ["groups", "gid", "uid", "umask"]
        assert kernel.calls == []

    def test_it_is_applied(self) -> None:
        """To the model of a kernel, here."""
        kernel = FakeKernel.root(groups=(0, 4, 27))
        proof = _drop("app").apply(_ACCOUNTS, kernel)
        assert proof.report.ok
        assert kernel.credentials().uid == proof.report.plan.goal.uid

    def test_an_unknown_name_is_told_by_the_look_up(self) -> None:
        """And not before."""
        for value, error in (("nosuch", UnknownUserError), ("app:nosuch", UnknownGroupError)):
            with pytest.raises(error):
                _drop(value).resolve(_ACCOUNTS)
        with pytest.raises(SpecError, match="a uid without an entry has no groups"):
            _drop({"user": "4242:web", "groups": "init"}).resolve(_ACCOUNTS)

    def test_root_has_to_be_allowed(self) -> None:
        """P1: by name, by number, and where nobody is named."""
        for value in ("root", 0, "0:0", {}, {"user": None}):
            with pytest.raises(PreflightError, match="allow_root"):
                _drop(value).plan(_ACCOUNTS, FakeKernel.root())
        allowed = _drop({"user": 0, "allow_root": True}).plan(_ACCOUNTS, FakeKernel.root())
        assert allowed.identity.uid == 0


# The JSON Schema.

_SCHEMA: dict[str, Any] = PrivilegeDrop.model_json_schema()
# Of the forms that may be written, the one that is an object.
_PROPERTIES = next(form["properties"] for form in _SCHEMA["anyOf"] if "properties" in form)
_VALIDATOR = Draft202012Validator(_SCHEMA)


class TestSchema:
    """What an editor knows of the config file."""

    @pytest.mark.parametrize("model", [PrivilegeDrop, UserSpec, GroupSpec])
    @pytest.mark.parametrize("mode", ["validation", "serialization"])
    def test_it_is_a_json_schema(self, model: type[BaseModel], mode: Any) -> None:
        """By the schema of schemas."""
        Draft202012Validator.check_schema(model.model_json_schema(mode=mode))

    def test_every_field_is_described(self) -> None:
        """For a person who reads it in the editor."""
        assert set(_PROPERTIES) == set(PrivilegeDrop.model_fields)
        assert all(field.get("description") for field in _PROPERTIES.values())

    def test_each_default_is_what_the_schema_allows(self) -> None:
        """And what the model makes of it is the default."""
        for name, field in _PROPERTIES.items():
            default = field["default"]
            assert _VALIDATOR.is_valid({name: default}), name
            assert _drop({name: default}) == _drop({}), name

    @pytest.mark.parametrize("value", [value for value, _ in _FORMS], ids=shown_input)
    def test_each_form_is_what_the_schema_allows(self, value: object) -> None:
        """A text, a number or a mapping."""
        assert _VALIDATOR.is_valid(value)

    @pytest.mark.parametrize("value", [value for value, _ in _CHOICES], ids=shown_input)
    def test_each_choice_of_groups_is_what_the_schema_allows(self, value: object) -> None:
        """By name and by list."""
        assert _VALIDATOR.is_valid({"groups": value})

    @pytest.mark.parametrize("wish", [wish for wish, _ in _WISHES], ids=shown_input)
    def test_each_wish_is_what_the_schema_allows(self, wish: dict[str, object]) -> None:
        """One by one."""
        assert _VALIDATOR.is_valid(wish)

    @pytest.mark.parametrize(
        "value",
        [
            None, True, 1.5, -1, 4294967295, [], ["nobody"], "", ":", "0:", "a:b:c", "no body",
            "007", {"surprise": 1}, {"user": True}, {"user": -1}, {"user": ""},
            {"user": "no body"}, {"user": "a:b:c"}, {"user": "0:"}, {"user": []}, {"group": "a:b"},
            {"group": "no group"}, {"groups": "all"}, {"groups": []}, {"groups": ["adm"]},
            {"groups": {}}, {"groups": {"exactly": "adm"}}, {"groups": {"exactly": [""]}},
            {"groups": {"exactly": [], "add": []}}, {"groups": {"add": [True]}},
            {"umask": "22"}, {"umask": "07777"}, {"umask": 512}, {"no_new_privs": "yes"},
            {"no_new_privs": 1}, {"nice": 20}, {"nice": "5"}, {"dumpable": 1},
            {"environment": "clear"}, {"environment": None}, {"chroot": "srv"}, {"chroot": ""},
            {"working_directory": "."}, {"home": ""}, {"home": "srv"}, {"capabilities": "CAP_KILL"},
            {"capabilities": ["SURPRISE"]}, {"bounding": [5]}, {"limits": {"nofile": -1}},
            {"limits": []}, {"limits": {"no file": 1}}, {"parent_death_signal": 65},
            {"parent_death_signal": ""}, {"allow_root": None},
        ],
        ids=shown_input,
    )  # fmt: skip
    def test_what_is_refused_is_refused_by_both(self, value: object) -> None:
        """The model, and the editor before it."""
        with pytest.raises(ValidationError):
            _drop(value)
        assert not _VALIDATOR.is_valid(value)


_names = st.sampled_from(["nobody", "www-data", "_apt", "m$", "0day", "1000.x"])
_ids = st.sampled_from([0, 1, 1000, 65535, 4294967294])
_user_refs = _names | _ids | _ids.map(str)
_capabilities = st.lists(st.sampled_from([str(each) for each in Capability]), unique=True)
_paths = st.sampled_from(["/", "/srv", "/srv/a b", "/é"])


@st.composite
def _drops(draw: st.DrawFn) -> PrivilegeDrop:
    kept = draw(st.none() | _capabilities)
    wishes: dict[str, st.SearchStrategy[object]] = {
        "user": _user_refs,
        "group": _user_refs,
        "groups": st.sampled_from(["init", "only", "keep"])
        | st.fixed_dictionaries({"exactly": st.lists(_user_refs)})
        | st.fixed_dictionaries({"add": st.lists(_user_refs)}),
        "home": _paths,
        "umask": st.integers(0, 0o777),
        "no_new_privs": st.booleans(),
        "capabilities": st.just(kept),
        "ambient": st.just(bool(kept)),
        "bounding": _capabilities,
        "lock_securebits": st.booleans(),
        "limits": st.dictionaries(
            st.sampled_from(["core", "nofile", "cpu"]),
            st.sampled_from([0, "64", "64:unlimited", "unlimited", "1:2"]),
        ),
        "nice": st.integers(-20, 19),
        "chroot": _paths,
        "working_directory": _paths,
        "environment": st.sampled_from(["account", "keep", "reset"]),
        "dumpable": st.booleans(),
        "parent_death_signal": st.sampled_from([0, 9, "TERM", "SIGKILL"]),
        "session_keyring": st.booleans(),
        "allow_root": st.booleans(),
        "allow_root_group": st.booleans(),
    }
    assert set(wishes) == set(PrivilegeDrop.model_fields)
    chosen = draw(st.sets(st.sampled_from(sorted(wishes)))) | (
        {"ambient", "capabilities"} if kept else set()
    )
    return _drop({name: draw(wishes[name]) for name in sorted(chosen)})


@given(drop=_drops())
def test_any_drop_survives_being_written_down(drop: PrivilegeDrop) -> None:
    """As JSON and as Python data, in full and without the defaults; and the schema allows it."""
    text = drop.model_dump_json()
    assert PrivilegeDrop.model_validate_json(text) == drop
    assert _drop(drop.model_dump()) == drop
    assert PrivilegeDrop.model_validate_json(drop.model_dump_json(exclude_defaults=True)) == drop
    assert _VALIDATOR.is_valid(json.loads(text))
    again = PrivilegeDrop.model_validate_json(text)
    assert again.request() == drop.request()
    assert hash(again) == hash(drop)
