"""The plan as a value: explained, compared, written down and read again."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abdicate.errors import SpecError
from abdicate.identity.capabilities import CapabilitySet, Securebits
from abdicate.identity.credentials import Difference
from abdicate.identity.ids import Uid
from abdicate.identity.situation import ResourceLimit
from abdicate.plan.plan import PLAN_VERSION, Plan
from abdicate.plan.policy import DropPolicy
from unit.making import (
    APP,
    AS_APP,
    AS_ROOT,
    BIND,
    NOBODY,
    NONE,
    planned,
    plans,
    surrounding,
)

#: A plan with one step of each kind.
_FULL = planned(
    APP,
    DropPolicy(
        umask=0o027,
        no_new_privs=True,
        capabilities=BIND,
        ambient=True,
        bounding=BIND,
        lock_securebits=True,
        limits=(ResourceLimit("nofile", 64, None),),
        nice=5,
        chroot="/srv",
        working_directory="/app",
        environment="reset",
        dumpable=False,
        parent_death_signal=15,
        session_keyring=True,
    ),
)


class TestExplain:
    """`Plan.explain`."""

    @given(plan=plans())
    def test_it_tells_every_step_with_call_and_reason(self, plan: Plan) -> None:
        """Numbered, in order; and every slot that changes."""
        text = plan.explain()
        assert text.startswith(f"Become {plan.identity}.\n")
        place = 0
        for number, step in enumerate(plan.steps, 1):
            call = f"  [{step.call}]" if step.call else ""
            block = f"{number:2}. {step.sentence()}{call}\n    Why here: {step.reason}.\n"
            place = text.index(block, place) + len(block)
        if plan:
            for change in plan.changes():
                assert f"{change.expected} -> {change.observed}" in text
        assert all(line.isprintable() for line in text.split("\n"))

    def test_the_whole_text_of_a_plan(self) -> None:
        """As the README shows it."""
        plan = planned(NOBODY, DropPolicy(environment="keep", umask=0o077))
        assert plan.explain() == (
            "Become nobody (uid 65534, gid 65534, groups 65534).\n"
            "\n"
            " 1. Set the supplementary groups to 65534.  [setgroups]\n"
            "    Why here: needs CAP_SETGID, so it comes before the user changes.\n"
            " 2. Set the real, effective and saved gid to 65534.  [setresgid]\n"
            "    Why here: needs CAP_SETGID, so it comes before the user changes.\n"
            " 3. Set the real, effective and saved uid to 65534.  [setresuid]\n"
            "    Why here: the point of no return: with the saved uid too, there is no way back; "
            "a change from root also clears the ambient, permitted and effective sets.\n"
            " 4. Set the umask to 0077.  [umask]\n"
            "    Why here: nothing before it creates files.\n"
            "\n"
            "What changes:\n"
            "  real uid              0 -> 65534\n"
            "  effective uid         0 -> 65534\n"
            "  saved uid             0 -> 65534\n"
            "  filesystem uid        0 -> 65534\n"
            "  real gid              0 -> 65534\n"
            "  effective gid         0 -> 65534\n"
            "  saved gid             0 -> 65534\n"
            "  filesystem gid        0 -> 65534\n"
            "  supplementary groups  0 4 27 -> 65534\n"
            "  permitted set         all -> none\n"
            "  effective set         all -> none\n"
            "  umask                 0022 -> 0077"
        )

    def test_an_empty_plan_says_so(self) -> None:
        """P42: nothing to do is success."""
        assert planned(APP, None, surrounding(AS_APP)).explain() == (
            "Become app (uid 1000, gid 1000, groups 4 1000).\n"
            "Nothing to do: the process is that already."
        )

    def test_a_plan_that_changes_no_credentials_says_so(self) -> None:
        """Steps there are."""
        plan = planned(APP, DropPolicy(environment="keep", nice=5), surrounding(AS_APP))
        assert plan.explain().endswith("What changes:\n  no credentials")


class TestValue:
    """`Plan` as a value."""

    def test_it_is_true_where_there_is_something_to_do(self) -> None:
        """And only there."""
        assert planned()
        assert not planned(APP, None, surrounding(AS_APP))

    def test_changes_go_from_prior_to_goal(self) -> None:
        """Each as (slot, before, after)."""
        plan = planned(APP, DropPolicy(environment="keep", umask=0), surrounding(AS_APP))
        assert plan.changes() == (Difference("umask", "0022", "0000"),)
        assert planned(APP, None, surrounding(AS_APP)).changes() == ()

    @given(plan=plans())
    def test_it_is_compared_hashed_and_pickled_as_a_value(self, plan: Plan) -> None:
        """Every part of it counts."""
        for again in (pickle.loads(pickle.dumps(plan)), copy.deepcopy(plan), plan.replace()):
            assert again == plan
            assert hash(again) == hash(plan)
        assert plan != plan.replace(goal=plan.goal.replace(umask=0o111))
        assert plan != plan.replace(identity=plan.identity.replace(home="/elsewhere"))

    def test_the_same_question_has_the_same_answer(self) -> None:
        """Planning is pure."""
        assert planned(NOBODY) == planned(NOBODY)


class TestJson:
    """`Plan.to_json` and `Plan.from_json`."""

    @given(plan=plans())
    def test_it_survives(self, plan: Plan) -> None:
        """As text and as data, to the last bit that has no name."""
        assert Plan.from_json(plan.to_json()) == plan
        assert Plan.from_data(json.loads(json.dumps(plan.to_data()))) == plan

    def test_a_plan_of_every_kind_of_step_survives(self) -> None:
        """With its steps as values of their own types."""
        again = Plan.from_json(_FULL.to_json())
        assert again == _FULL
        assert [type(step) for step in again.steps] == [type(step) for step in _FULL.steps]
        assert type(again.identity.uid) is Uid

    def test_bits_without_a_name_survive(self) -> None:
        """A newer kernel's capabilities and securebits."""
        held = AS_ROOT.replace(securebits=Securebits(1 << 8 | 1))
        sets = AS_ROOT.capabilities
        assert sets is not None
        held = held.replace(capabilities=sets.replace(bounding=CapabilitySet(1 << 41 | 1 << 63)))
        plan = planned(NOBODY, None, surrounding(held))
        assert Plan.from_json(plan.to_json()) == plan

    def test_it_has_a_version_and_names(self) -> None:
        """So that people can read it, and programs refuse what they don't know."""
        data = json.loads(_FULL.to_json())
        assert data["version"] == PLAN_VERSION == 1
        assert data["identity"]["user"] == "app"
        assert data["policy"]["capabilities"] == ["CAP_NET_BIND_SERVICE"]
        assert {"kind": "uid", "uid": 1000} in data["steps"]
        assert data["prior"]["securebits"] == []
        assert _FULL.to_json().endswith("}\n")

    def test_an_empty_set_is_not_null(self) -> None:
        """P13: "keep none" and "nothing was said" are told apart."""
        for capabilities in (None, NONE):
            policy = DropPolicy(environment="keep", capabilities=capabilities)
            again = Plan.from_json(planned(NOBODY, policy).to_json())
            assert again.policy.capabilities == capabilities


def _refused(data: object) -> SpecError:
    """Return the error, whose text is one short line."""
    with pytest.raises(SpecError) as caught:
        Plan.from_data(data)
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 600
    return caught.value


def _places(data: object, path: str = "Plan") -> Iterator[tuple[str, Callable[[object], None]]]:
    """Yield every place within *data*: its path, and a function that puts something there."""
    entries: list[tuple[object, str, object]] = []
    if isinstance(data, dict):
        entries = [(key, f"{path}.{key}", value) for key, value in data.items()]
    elif isinstance(data, list):
        entries = [(n, f"{path}[{n}]", value) for n, value in enumerate(data)]
    for key, place, value in entries:

        def put(new: object, key: object = key) -> None:
            data[key] = new  # type: ignore[index]  # a dict or a list

        yield place, put
        yield from _places(value, place)


def _data() -> dict[str, object]:
    """Return the data of a plan, to be damaged."""
    data: dict[str, object] = json.loads(_FULL.to_json())
    return data


def _at(data: object, path: str) -> object:
    """Return what stands at *path*."""
    for part in path.removeprefix("Plan.").replace("[", ".[").split("."):
        data = data[int(part[1:-1])] if part[0] == "[" else data[part]  # type: ignore[index]
    return data


_PLACES = [path for path, _ in _places(_data()) if path != "Plan.version"]
_OBJECTS = ["Plan", *(path for path in _PLACES if isinstance(_at(_data(), path), dict))]
_NUMBERS = [path for path in _PLACES if type(_at(_data(), path)) is int]
_TRUTHS = [path for path in _PLACES if type(_at(_data(), path)) is bool]


def test_the_damage_is_done_everywhere() -> None:
    """The plan has a place of every kind."""
    assert len(_PLACES) > 150
    assert len(_OBJECTS) > 20
    assert len(_NUMBERS) > 20
    assert len(_TRUTHS) > 5


class TestDamage:
    """A stored plan that is not one: refused, with the path of what is wrong."""

    @pytest.mark.parametrize("path", _PLACES)
    def test_a_value_of_another_type_is_refused(self, path: str) -> None:
        """Wherever it stands."""
        data = _data()
        dict(_places(data))[path]({"surprise": 1})
        field = _refused(data).field
        # A list of names is one value; an object is refused by what it has too much.
        assert path.startswith(field) or field == f"{path}.surprise" or field == f"{path}.kind"
        assert field == path or field.count(".") >= path.count(".")

    @pytest.mark.parametrize("path", _NUMBERS)
    def test_true_is_not_1(self, path: str) -> None:
        """P4: nor is a float, nor a text of digits."""
        for wrong in (True, False, 1.0, "1"):
            data = _data()
            dict(_places(data))[path](wrong)
            assert _refused(data).field == path

    @pytest.mark.parametrize("path", _TRUTHS)
    def test_1_is_not_true(self, path: str) -> None:
        """P4: nor is 0, nor a word."""
        for wrong in (1, 0, "true", "yes"):
            data = _data()
            dict(_places(data))[path](wrong)
            assert _refused(data).field == path

    @pytest.mark.parametrize("path", _OBJECTS)
    def test_an_unknown_key_is_refused(self, path: str) -> None:
        """Nothing is passed over: it may be what matters."""
        data = _data()
        where = data if path == "Plan" else _at(data, path)
        assert isinstance(where, dict)
        where["surprise"] = None
        assert _refused(data).field == f"{path}.surprise"

    @pytest.mark.parametrize(
        "path", [path for path in _PLACES if isinstance(path, str) and not path.endswith("]")]
    )
    def test_a_missing_key_is_refused(self, path: str) -> None:
        """No default stands in for it."""
        data = _data()
        parent, _, key = path.rpartition(".")
        where = data if parent == "Plan" else _at(data, parent)
        assert isinstance(where, dict)
        del where[key]
        assert _refused(data).field == path

    @pytest.mark.parametrize("version", [0, 2, -1, None, "1", [], {}, True, 1.0, 10**400])
    def test_another_version_is_refused(self, version: object) -> None:
        """P4: true and 1.0 are other versions."""
        error = _refused(_data() | {"version": version})
        assert error.field == "plan version"
        assert "version 1 is read here" in str(error)

    def test_a_missing_version_is_refused(self) -> None:
        """It might be any."""
        data = _data()
        del data["version"]
        assert _refused(data).field == "plan version"

    @pytest.mark.parametrize("kind", ["", "uid ", "UID", "exec", None, 1, [], {}])
    def test_an_unknown_step_is_refused(self, kind: object) -> None:
        """With the kinds that there are."""
        data = _data()
        steps = data["steps"]
        assert isinstance(steps, list)
        steps[3]["kind"] = kind
        error = _refused(data)
        assert error.field == "Plan.steps[3].kind"
        assert "umask" in str(error)

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            ("Plan.identity.uid", -1),
            ("Plan.identity.uid", 2**32 - 1),
            ("Plan.identity.uid", 2**32),
            ("Plan.identity.gid", 10**400),
            ("Plan.identity.groups[1]", -1),
            ("Plan.prior.uid.saved", 10**30),
            ("Plan.prior.groups[0]", 2**32 - 1),
            ("Plan.goal.capabilities.permitted", ["CAP_64"]),
            ("Plan.goal.capabilities.permitted", ["CAP_-1"]),
            ("Plan.goal.capabilities.permitted", ["CAP_" + "1" * 5000]),
            ("Plan.goal.capabilities.permitted", ["CAP_SURPRISE"]),
            ("Plan.goal.capabilities.permitted", "CAP_KILL"),
            ("Plan.goal.capabilities.permitted", [10]),
            ("Plan.goal.securebits", ["bit 64"]),
            ("Plan.goal.securebits", ["bit " + "1" * 5000]),
            ("Plan.goal.securebits", ["surprise"]),
            ("Plan.goal.securebits", 1),
            ("Plan.policy.limits[0].soft", -1),
            ("Plan.policy.limits[0].hard", 2**63),
        ],
        ids=lambda value: str(value)[:30],
    )
    def test_a_value_out_of_its_range_is_refused(self, path: str, value: object) -> None:
        """P5, P6: by its path, down to the value or to what it belongs to."""
        data = _data()
        dict(_places(data))[path](value)
        field = _refused(data).field
        assert path.startswith(field)
        assert field.count(".") >= 2

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("umask", 0o1000),
            ("umask", 10**400),
            ("nice", 20),
            ("parent_death_signal", 65),
            ("chroot", "srv"),
            ("working_directory", "/a\0b"),
            ("environment", "surprise"),
            ("ambient", True),
        ],
        ids=lambda value: str(value)[:20],
    )
    def test_a_policy_that_can_not_be_names_its_field(self, key: str, value: object) -> None:
        """Not only the policy as a whole: it has sixteen."""
        data = _data()
        policy = data["policy"]
        assert isinstance(policy, dict)
        policy[key] = value
        if key == "ambient":
            policy["capabilities"] = None
        assert _refused(data).field == f"Plan.policy.{key}"

    @pytest.mark.parametrize(
        ("kind", "key", "value"),
        [
            ("umask", "mask", -1),
            ("umask", "mask", 0o1000),
            ("umask", "mask", 10**400),
            ("nice", "value", 20),
            ("nice", "value", -21),
            ("parent-death-signal", "signal", -1),
            ("parent-death-signal", "signal", 65),
            ("root-directory", "path", "srv"),
            ("root-directory", "path", "/a\0b"),
            ("working-directory", "path", ""),
            ("environment", "assign", [["HOME", "/a\0b"]]),
            ("environment", "assign", [["A=B", "c"]]),
            ("environment", "assign", [["", "c"]]),
        ],
        ids=lambda value: str(value)[:20],
    )
    def test_a_step_that_can_not_be_made_is_refused(
        self, kind: str, key: str, value: object
    ) -> None:
        """P29: or it would fail in the middle of the drop, not in the kernel but in Python."""
        data = _data()
        steps = data["steps"]
        assert isinstance(steps, list)
        number = next(n for n, step in enumerate(steps) if step["kind"] == kind)
        steps[number][key] = value
        assert _refused(data).field.startswith(f"Plan.steps[{number}]")

    @pytest.mark.parametrize(
        "pair", [[], ["HOME"], ["HOME", "/", "x"], "HOME=/", {"HOME": "/"}, ["HOME", None]]
    )
    def test_a_pair_has_two_texts(self, pair: object) -> None:
        """No more and no fewer."""
        data = _data()
        steps = data["steps"]
        assert isinstance(steps, list)
        steps[-1]["assign"][0] = pair
        number = len(steps) - 1
        assert _refused(data).field.startswith(f"Plan.steps[{number}].assign[0]")

    @pytest.mark.parametrize("data", [None, [], "plan", 1, True, {}, [{"version": 1}]])
    def test_what_is_no_plan_is_refused(self, data: object) -> None:
        """Whatever it is."""
        assert _refused(data).field == "plan version"

    def test_a_hostile_key_does_not_fill_the_log(self) -> None:
        """A megabyte of it, or a forged line."""
        for key in ("a" * 1_000_000, "x\nabdicate: all is well", "\x1b[2J"):
            _refused(_data() | {key: 1})


class TestText:
    """Text that is no plan."""

    @pytest.mark.parametrize(
        "text",
        [
            "",
            " ",
            "{",
            "plan",
            '{"version": 1',
            '{"version": 1}}',
            "[" * 100_000,
            '{"a":' * 100_000,
            '{"version": ' + "1" * 5000 + "}",
            "\x00",
            "\ufeff{}",
            "\ud800",
            "NaN",
            "null",
        ],
        ids=lambda text: repr(text[:12]),
    )
    def test_it_is_refused(self, text: str) -> None:
        """In one short line."""
        with pytest.raises(SpecError) as caught:
            Plan.from_json(text)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 400

    @pytest.mark.parametrize("depth", [*range(100, 1200, 10), 5_000, 100_000])
    @pytest.mark.parametrize("key", ["steps", "identity", "surprise"])
    def test_deep_nesting_is_refused(self, depth: int, key: str) -> None:
        """Whether or not json can still read it."""
        text = f'{{"version": 1, "{key}": {"[" * depth}{"]" * depth}}}'
        with pytest.raises(SpecError) as caught:
            Plan.from_json(text)
        assert len(str(caught.value)) < 400

    def test_a_key_that_is_given_twice_is_refused(self) -> None:
        """Of two, one would be passed over, and people may have read the other."""
        text = _FULL.to_json().replace('"steps":', '"steps": [],\n  "steps":')
        with pytest.raises(SpecError):
            Plan.from_json(text)

    @given(text=st.text() | st.text(alphabet='{}[]":,0123456789 version'))
    def test_nothing_but_a_spec_error_is_raised(self, text: str) -> None:
        """Whatever the text."""
        with pytest.raises(SpecError):
            Plan.from_json(text)
