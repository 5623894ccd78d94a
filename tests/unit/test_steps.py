"""Each kind of step: its name, its call, its scope, its sentence and its reason."""

from __future__ import annotations

import pytest

from abdicate.identity.capabilities import Securebits
from abdicate.identity.ids import Gid, Uid
from abdicate.identity.situation import ResourceLimit
from abdicate.plan import steps
from abdicate.plan.steps import (
    STEPS,
    ChangeDirectory,
    ChangeRoot,
    DropBounding,
    KeepCapabilities,
    NewSessionKeyring,
    SetAmbient,
    SetCapabilities,
    SetDumpable,
    SetEnvironment,
    SetGid,
    SetGroups,
    SetNice,
    SetNoNewPrivs,
    SetParentDeathSignal,
    SetResourceLimit,
    SetSecurebits,
    SetUid,
    SetUmask,
    Step,
)
from unit.making import BIND, NONE, gids

#: One of each, with its sentence; two where the sentence depends on the value.
_SENTENCES: tuple[tuple[Step, str], ...] = (
    (
        SetResourceLimit(ResourceLimit("nofile", 1, None)),
        "Set the limit nofile to 1:unlimited (soft:hard).",
    ),
    (SetNice(-5), "Set the nice value to -5."),
    (NewSessionKeyring(), "Join a new session keyring."),
    (ChangeRoot("/srv"), 'Make /srv the root directory, and go to its "/".'),
    (DropBounding(BIND), "Drop from the bounding set: CAP_NET_BIND_SERVICE."),
    (KeepCapabilities(True), "Let the permitted capabilities outlive the change of the user."),
    (KeepCapabilities(False), "Let no later change of the user keep capabilities."),
    (SetGroups(gids(1000, 4)), "Set the supplementary groups to 1000 4."),
    (SetGroups(()), "Set the supplementary groups to none."),
    (SetGid(Gid(0)), "Set the real, effective and saved gid to 0."),
    (SetUid(Uid(0)), "Set the real, effective and saved uid to 0."),
    (
        SetCapabilities(BIND, NONE, NONE),
        "Hold these capabilities: permitted CAP_NET_BIND_SERVICE; effective none; "
        "inheritable none.",
    ),
    (SetAmbient(BIND), "Let these capabilities survive an exec: CAP_NET_BIND_SERVICE."),
    (SetAmbient(NONE), "Empty the ambient set."),
    (SetSecurebits(Securebits.NOROOT), "Set the securebits to noroot."),
    (SetParentDeathSignal(0), "Let the parent's death send no signal."),
    (
        SetParentDeathSignal(9),
        "Let the parent's death send signal 9, and see that the parent lives.",
    ),
    (SetDumpable(True), "Allow core dumps, and tracing by the same user."),
    (SetDumpable(False), "Forbid core dumps, and tracing by the same user."),
    (SetNoNewPrivs(), "Let no exec give privileges any more."),
    (ChangeDirectory("/srv"), "Go to /srv."),
    (SetUmask(0), "Set the umask to 0000."),
    (
        SetEnvironment((("HOME", "/srv"), ("USER", "app")), ("LOGNAME", "SHELL")),
        "Set HOME=/srv, USER=app; Remove LOGNAME, SHELL.",
    ),
    (
        SetEnvironment((("HOME", "/"),), (), ("TERM",)),
        "Clear the environment, except TERM; Set HOME=/.",
    ),
    (SetEnvironment((), (), ()), "Clear the environment, except nothing."),
)


def test_every_kind_of_step_is_tried_here() -> None:
    """And is in the table by which a stored plan is read."""
    kinds = {type(step) for step, _ in _SENTENCES}
    public = {getattr(steps, name) for name in steps.__all__ if name != "STEPS"} - {Step}
    assert kinds == set(STEPS.values()) == public
    assert all(kind.kind == name for name, kind in STEPS.items())


@pytest.mark.parametrize(("step", "sentence"), _SENTENCES, ids=lambda value: str(value)[:40])
def test_a_step_is_told_in_one_sentence(step: Step, sentence: str) -> None:
    """With every number in it."""
    assert step.sentence() == sentence


@pytest.mark.parametrize("kind", STEPS.values(), ids=STEPS)
def test_a_step_has_a_reason_for_its_place(kind: type[Step]) -> None:
    """Without a full stop: it stands within a sentence."""
    assert kind.reason
    assert not kind.reason.endswith(".")
    assert "\n" not in kind.reason


@pytest.mark.parametrize("kind", STEPS.values(), ids=STEPS)
def test_a_step_names_its_system_call(kind: type[Step]) -> None:
    """All but the environment, which the kernel knows nothing of."""
    assert bool(kind.call) == (kind is not SetEnvironment)


def test_what_the_kernel_changes_in_one_thread_says_so() -> None:
    """P31: libc makes the set*id calls in every thread, and these in none but the caller."""
    assert {kind for kind, step in STEPS.items() if step.scope == "thread"} == {
        "nice",
        "session-keyring",
        "root-directory",  # of a thread that did not take its own, clone(2) CLONE_FS
        "bounding-set",
        "keep-capabilities",
        "capabilities",
        "ambient-set",
        "securebits",
        "parent-death-signal",
        "no-new-privs",
    }


def test_the_kinds_are_promises() -> None:
    """They stand in stored plans and in reports: a change of one is a new version."""
    assert sorted(STEPS) == [
        "ambient-set",
        "bounding-set",
        "capabilities",
        "dumpable",
        "environment",
        "gid",
        "groups",
        "keep-capabilities",
        "nice",
        "no-new-privs",
        "parent-death-signal",
        "resource-limit",
        "root-directory",
        "securebits",
        "session-keyring",
        "uid",
        "umask",
        "working-directory",
    ]
