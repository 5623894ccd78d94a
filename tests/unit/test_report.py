"""The report as a value: explained, summed up, written down and read again."""

from __future__ import annotations

import json
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abdicate.errors import SpecError
from abdicate.plan.report import REPORT_VERSION, Attempt, Check, DropReport, StepOutcome
from abdicate.plan.steps import Step
from unit.making import APP, AS_APP, AS_ROOT, linux_credentials, planned, plans

_PLAN = planned(APP)
_DONE = tuple(StepOutcome(step, "done") for step in _PLAN.steps)
_CHECKS = (
    Check("real uid", "1000", "1000", "ok"),
    Check("every slot in /proc", "as planned", "as planned", "ok", 4242),
)
_ATTEMPTS = (Attempt("setuid(0)", "refused", "EPERM"), Attempt("setgid(0)", "refused", "EPERM"))

_GOOD = DropReport(_PLAN, _DONE, _CHECKS, _ATTEMPTS, AS_ROOT, AS_APP)
_BAD = DropReport(
    plan=_PLAN,
    outcomes=(
        _DONE[0],
        StepOutcome(_PLAN.steps[1], "failed", "EPERM: Operation not permitted"),
        StepOutcome(_PLAN.steps[2], "not reached"),
    ),
    checks=(
        *_CHECKS,
        Check("saved uid", "1000", "0", "mismatch"),
        Check("umask", "0022", None, "not verified", 7),
    ),
    attempts=(
        *_ATTEMPTS,
        Attempt("setuid(0)", "succeeded"),
        Attempt("capset", "not tried", "none"),
    ),
    before=AS_ROOT,
    after=None,
    surrendered=("the groups", "the gid"),
    failure="step 2, gid: Operation not permitted",
)

_texts = st.text(max_size=5)


def _outcome(step: Step) -> st.SearchStrategy[StepOutcome]:
    return st.sampled_from(
        [
            StepOutcome(step, "done"),
            StepOutcome(step, "failed", "EPERM: Operation not permitted"),
            StepOutcome(step, "not reached"),
        ]
    )


@st.composite
def _reports(draw: st.DrawFn) -> DropReport:
    plan = draw(plans())
    return DropReport(
        plan=plan,
        outcomes=tuple(draw(_outcome(step)) for step in plan.steps),
        checks=tuple(
            draw(
                st.lists(
                    st.builds(
                        Check,
                        _texts,
                        _texts,
                        st.none() | _texts,
                        st.sampled_from(["ok", "mismatch", "not verified"]),
                        st.none() | st.integers(1, 2**22),
                    ),
                    max_size=3,
                )
            )
        ),
        attempts=tuple(
            draw(
                st.lists(
                    st.builds(
                        Attempt,
                        _texts,
                        st.sampled_from(["refused", "succeeded", "not tried"]),
                        _texts,
                    ),
                    max_size=3,
                )
            )
        ),
        before=plan.prior,
        after=draw(st.none() | linux_credentials()),
        surrendered=tuple(draw(st.lists(_texts, max_size=2))),
        failure=draw(st.none() | _texts),
    )


def test_a_good_report_says_so() -> None:
    """Nothing failed, nothing mismatched, nothing was regained."""
    assert _GOOD.ok
    assert (_GOOD.mismatches, _GOOD.unverified, _GOOD.regained) == ((), (), ())


def test_a_bad_report_sums_up_what_was_wrong() -> None:
    """Each kind by itself; "not verified" is neither good nor bad."""
    assert not _BAD.ok
    assert [check.slot for check in _BAD.mismatches] == ["saved uid"]
    assert [check.slot for check in _BAD.unverified] == ["umask"]
    assert [attempt.call for attempt in _BAD.regained] == ["setuid(0)"]


def test_a_good_report_is_explained() -> None:
    """In a few lines."""
    assert _GOOD.explain() == (
        "Became app (uid 1000, gid 1000, groups 4 1000).\n"
        "  done         Set the supplementary groups to 1000 4.\n"
        "  done         Set the real, effective and saved gid to 1000.\n"
        "  done         Set the real, effective and saved uid to 1000.\n"
        "Read back: 2 of 2 as planned.\n"
        "Tries to take it back: 2 of 2 refused."
    )


def test_a_bad_report_is_explained() -> None:
    """The failure first; then everything that was found."""
    assert _BAD.explain() == (
        "FAILED: step 2, gid: Operation not permitted\n"
        "  done         Set the supplementary groups to 1000 4.\n"
        "  FAILED       Set the real, effective and saved gid to 1000. "
        "(EPERM: Operation not permitted)\n"
        "  not reached  Set the real, effective and saved uid to 1000.\n"
        "Read back: 2 of 4 as planned.\n"
        "  MISMATCH  saved uid: expected 1000, observed 0\n"
        "  not verified  umask (thread 7): expected 0022, could not be read here\n"
        "Tries to take it back: 2 of 4 refused.\n"
        "  setuid(0): succeeded\n"
        "  capset: not tried (none)\n"
        "  given up after the failure: the groups\n"
        "  given up after the failure: the gid"
    )


@pytest.mark.parametrize("report", [_GOOD, _BAD], ids=["good", "bad"])
def test_a_report_survives_json(report: DropReport) -> None:
    """With its version, and whether it is good."""
    data = json.loads(report.to_json())
    assert (data["version"], data["ok"]) == (REPORT_VERSION, report.ok)
    assert DropReport.from_data(data) == report
    assert report.to_json().endswith("}\n")


@given(report=_reports())
def test_any_report_survives_json(report: DropReport) -> None:
    """The child of a rehearsal tells its parent so."""
    assert DropReport.from_data(json.loads(json.dumps(report.to_data()))) == report


@pytest.mark.parametrize("version", [0, 2, "1", None, True, 1.0])
def test_another_version_is_refused(version: object) -> None:
    """P4: true and 1.0 are other versions."""
    with pytest.raises(SpecError, match="version 1 is read here") as caught:
        DropReport.from_data(_GOOD.to_data() | {"version": version})
    assert caught.value.field == "report version"


@pytest.mark.parametrize("data", [None, [], "report", {}])
def test_what_is_no_report_is_refused(data: object) -> None:
    """Whatever it is."""
    with pytest.raises(SpecError, match="report version"):
        DropReport.from_data(data)


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("outcomes", 0, "result"), "almost", "report.outcomes[0].result"),
        (("outcomes", 0, "error"), 5, "report.outcomes[0].error"),
        (("outcomes", 0, "step", "kind"), "exec", "report.outcomes[0].step.kind"),
        (("checks", 0, "verdict"), "fine", "report.checks[0].verdict"),
        (("checks", 0, "thread"), True, "report.checks[0].thread"),
        (("attempts", 0, "result"), "no", "report.attempts[0].result"),
        (("before",), None, "report.before"),
        (("after", "umask"), "0022", "report.after.umask"),
        (("surrendered",), "all", "report.surrendered"),
        (("plan", "identity", "uid"), -1, "report.plan.identity.uid"),
        (("surprise",), 1, "report.surprise"),
    ],
    ids=str,
)
def test_a_damaged_report_is_refused(
    path: tuple[str | int, ...], value: object, field: str
) -> None:
    """With the path of what is wrong; a verdict that is none is not taken for a good one."""
    data = json.loads(_GOOD.to_json())
    place = data
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(SpecError) as caught:
        DropReport.from_data(data)
    assert caught.value.field == field


@pytest.mark.parametrize("report", [_GOOD, _BAD], ids=["good", "bad"])
def test_a_report_that_contradicts_itself_is_refused(report: DropReport) -> None:
    """One part says that it failed, another that it did not: neither is believed."""
    with pytest.raises(SpecError):
        DropReport.from_data(report.to_data() | {"ok": not report.ok})


@pytest.mark.parametrize(
    ("verdict", "text"),
    [
        ("ok", "umask (thread 7): expected 0022, observed 0077"),
        ("mismatch", "umask (thread 7): expected 0022, observed 0077"),
        ("not verified", "umask (thread 7): expected 0022, could not be read here"),
    ],
)
def test_a_check_says_what_was_seen(
    verdict: Literal["ok", "mismatch", "not verified"], text: str
) -> None:
    """Or that nothing was."""
    assert str(Check("umask", "0022", "0077", verdict, 7)) == text


def test_what_is_only_equal_to_true_is_no_answer() -> None:
    """1 is equal to true."""
    with pytest.raises(SpecError, match=r"report\.ok"):
        DropReport.from_data(_GOOD.to_data() | {"ok": 1})
