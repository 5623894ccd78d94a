"""P35, P36, P44: a new root directory, files that are out of reach, and no /proc."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from abdicate import (
    CredentialMismatchError,
    Gid,
    PreflightError,
    PrivilegeDrop,
    Uid,
)
from abdicate.kernel.linux import LinuxKernel
from drops import raw
from drops.cases import FULL, START_GROUPS, as_root_often_starts, in_root
from drops.outside import dropped, held_by_threads, refused
from harness.child import held_child, in_child

pytestmark = pytest.mark.needs("root", "CAP_SETPCAP", "CAP_SYS_CHROOT")


def _drop(**fields: object) -> None:
    PrivilegeDrop.model_validate({"user": "www-data", **fields}).apply()


# P35: chroot.


def _escape() -> tuple[int, int]:
    """Go up as far as it goes; return the directory where that ends."""
    for _ in range(64):
        os.chdir("..")
    here = os.stat(".")
    return here.st_dev, here.st_ino


@pytest.mark.parametrize("working_directory", [None, "/inner"])
def test_p35_nothing_leads_out_of_the_new_root(
    working_directory: str | None, root_directory: str
) -> None:
    """The working directory is inside, and ".." ends at the new root."""
    status = os.stat(root_directory)

    def drop() -> tuple[tuple[int, int], list[str], list[str]]:
        as_root_often_starts()
        _drop(chroot=root_directory, working_directory=working_directory)
        return _escape(), os.listdir("/"), os.listdir("../../..")

    where, top, above = in_child(drop)
    assert where == (status.st_dev, status.st_ino)
    assert top == above == ["inner"]


def test_p35_without_the_chdir_it_would_lead_out(root_directory: str) -> None:
    """What the step's second call is for."""
    outside = os.stat("/")

    def half_a_step() -> tuple[int, int]:
        os.chroot(root_directory)
        return _escape()

    assert in_child(half_a_step) == (outside.st_dev, outside.st_ino)


class _HalfStep(LinuxKernel):
    def change_root(self, path: str) -> None:
        os.chroot(path)


def test_p35_a_working_directory_that_stayed_outside_is_found(root_directory: str) -> None:
    def drop() -> str:
        as_root_often_starts()
        try:
            PrivilegeDrop(user="www-data", chroot=root_directory).apply(kernel=_HalfStep())
        except CredentialMismatchError as error:
            return str(error)
        raise AssertionError("it went through")

    assert "working directory: expected" in in_child(drop)


def test_p35_names_are_looked_up_before_the_root_changes(root_directory: str) -> None:
    """Inside there is no database: libc finds no user, and initgroups says "done" all the same."""

    def start() -> None:
        as_root_often_starts()

    seen = dropped(
        start,
        lambda: _drop(
            chroot=root_directory, groups={"add": ["adm", "sudo"]}, working_directory="/inner"
        ),
    )
    assert (seen.uids, seen.gids, seen.groups) == (
        (33,) * 4,
        (33,) * 4,
        frozenset({33, 4, 27}),
    )


@pytest.mark.parametrize("mode", [0o700, 0o711, 0o755])
def test_p35_a_root_directory_that_the_user_can_not_enter_is_told_before(
    mode: int, tmp_path: Path
) -> None:
    inside = tmp_path / "jail"
    inside.mkdir()
    inside.chmod(mode)
    if mode & 0o001:
        assert dropped(as_root_often_starts, lambda: _drop(chroot=str(inside))).uids == (33,) * 4
        return
    error = refused(as_root_often_starts, lambda: _drop(chroot=str(inside)))
    assert isinstance(error, PreflightError)
    assert "may not be entered by www-data, uid 33" in str(error)


# P36: imports.


_WATCHED = """
    import os, sys
    from abdicate.cli.options import Parser, add_drop_options, request
    from abdicate.errors import IncompleteDropError
    from abdicate.executor import execute
    from abdicate.kernel.linux import LinuxKernel

    parser = Parser("run", "", "")
    add_drop_options(parser)
    plan = request(parser.parse_args(sys.argv[2:])).plan()
    began, imported = False, []

    def watch(event, arguments):
        if began and event == "import":
            imported.append(arguments[0])

    class Watched(LinuxKernel):
        def parent(self):
            # The last question before the first step.
            global began
            began = True
            return super().parent()

        def set_uid(self, uid):
            if sys.argv[1] != "regained":
                super().set_uid(uid)

        def set_umask(self, mask):
            if sys.argv[1] == "failed":
                raise OSError(1, "")
            super().set_umask(mask)

        def set_environment(self, assign, remove, retain):
            if sys.argv[1] != "mismatched":
                super().set_environment(assign, remove, retain)

    sys.addaudithook(watch)
    try:
        proof = execute(plan, Watched())
        outcome, report = "succeeded", proof.report
    except IncompleteDropError as error:
        outcome, report = type(error).__name__, error.report
        str(error)
    report.to_json(), report.explain(), repr(report)
    os.write(1, f"{outcome} {imported}".encode())
    os._exit(0)
"""


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("none", "succeeded"),
        ("failed", "IncompleteDropError"),
        ("mismatched", "CredentialMismatchError"),
        ("regained", "PrivilegeRegainableError"),
    ],
)
def test_p36_nothing_is_imported_between_the_first_step_and_the_report(
    fault: str, outcome: str, root_directory: str
) -> None:
    """In a fresh interpreter, with every kind of step: on success and on every kind of failure."""
    words = in_root(FULL, root_directory).words
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_WATCHED), fault, *words],
        capture_output=True,
        text=True,
        extra_groups=START_GROUPS,
        check=False,
    )
    assert run.stderr == ""
    assert run.stdout == f"{outcome} []"


@pytest.fixture
def hidden_interpreter(tmp_path: Path) -> dict[str, str]:
    """Abdicate in a folder that root alone can read, and the environment to find it there."""
    import abdicate

    folder = tmp_path / "hidden"
    folder.mkdir(mode=0o700)
    assert abdicate.__file__ is not None
    package = Path(abdicate.__file__).parent
    subprocess.run(["cp", "-r", package, folder], check=True)
    return {"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.mark.parametrize("command", [["id", "-u"], ["/usr/bin/id", "-u"]])
def test_p36_the_new_user_need_not_be_able_to_read_the_program(
    command: list[str], hidden_interpreter: dict[str, str]
) -> None:
    """`abdicate run` from files that only root can read."""
    words = ["run", "--user", "www-data", "--no-new-privs", "--umask", "0027", "--", *command]
    run = subprocess.run(
        [sys.executable, "-m", "abdicate", *words],
        capture_output=True,
        text=True,
        env=hidden_interpreter,
        cwd="/",
        check=False,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "33\n", "")


def test_p36_a_failure_is_told_from_files_that_can_not_be_read(
    hidden_interpreter: dict[str, str],
) -> None:
    """The report is written out after the drop, by modules that were there before."""
    words = ["rehearse", "--user", "www-data", "--json", "--limit", "nofile=4:4"]
    run = subprocess.run(
        [sys.executable, "-m", "abdicate", *words],
        capture_output=True,
        text=True,
        env=hidden_interpreter,
        cwd="/",
        check=False,
    )
    assert run.stderr == ""
    assert run.returncode in (0, 1)
    assert '"version": 1' in run.stdout


# P44: no /proc.


def _without_proc() -> None:
    as_root_often_starts()
    raw.hide_proc()


@pytest.mark.needs("mount namespace")
def test_p44_without_proc_the_drop_works_and_says_what_it_could_not_see() -> None:
    """Never "ok" for what was not read: the umask, the other threads."""

    def drop() -> tuple[list[str], list[str], bool]:
        _without_proc()
        proof = PrivilegeDrop(user="www-data", umask=0o027, no_new_privs=True).apply()
        report = proof.report
        return (
            sorted(check.slot for check in report.unverified),
            sorted(check.slot for check in report.checks if check.verdict == "ok"),
            os.path.exists("/proc/self"),
        )

    with held_child(drop) as child:
        unverified, verified, proc = child.value
        (seen,) = held_by_threads(child.pid).values()
    assert not proc
    assert unverified == ["every other thread", "umask"]
    assert {
        *("real uid", "effective uid", "saved uid", "filesystem uid"),
        *("real gid", "effective gid", "saved gid", "filesystem gid"),
        *("supplementary groups", "no_new_privs", "securebits"),
        *("permitted set", "effective set", "inheritable set", "bounding set", "ambient set"),
    } <= set(verified)
    assert (seen.uids, seen.gids, seen.groups) == ((33,) * 4, (33,) * 4, frozenset({33}))
    assert (seen.umask, seen.no_new_privs) == (0o027, True)


@pytest.mark.needs("mount namespace")
def test_p44_without_proc_every_lie_about_ids_is_found_all_the_same() -> None:
    """By getresuid, getgroups, capget and prctl."""

    def drop() -> str:
        _without_proc()
        try:
            PrivilegeDrop(user="www-data").apply(kernel=_DeafToUids())
        except CredentialMismatchError as error:
            return str(error)
        raise AssertionError("it went through")

    message = in_child(drop)
    assert "real uid: expected 33, observed 0" in message
    assert "permitted set: expected none" in message


class _DeafToUids(LinuxKernel):
    """A kernel that skips setresuid, and says that it is done."""

    def set_resuid(self, real: Uid | None, effective: Uid | None, saved: Uid | None) -> None:
        if real is None:
            super().set_resuid(real, effective, saved)


def test_p44_after_a_chroot_every_thread_is_read_back_through_the_old_proc(
    root_directory: str,
) -> None:
    """The new root has no /proc; what was opened before is still there."""

    def drop() -> list[str]:
        as_root_often_starts()
        proof = PrivilegeDrop(user="www-data", chroot=root_directory).apply()
        return [str(check) for check in proof.report.unverified]

    assert in_child(drop) == []


_FORGED = """\
Umask:\t0022
Uid:\t33\t33\t33\t33
Gid:\t33\t33\t33\t33
Groups:\t33
CapInh:\t0000000000000000
CapPrm:\t0000000000000000
CapEff:\t0000000000000000
CapBnd:\t{bounding:016x}
CapAmb:\t0000000000000000
NoNewPrivs:\t0
Seccomp:\t0
"""


def _forge_proc(root: str) -> None:
    text = _FORGED.format(bounding=raw.bounding())
    for folder in ("proc/thread-self", "proc/self/task/1"):
        os.makedirs(f"{root}/{folder}", exist_ok=True)
        with open(f"{root}/{folder}/status", "w") as file:
            file.write(text)


class _DeafToGroups(LinuxKernel):
    """A kernel that skips the first setgroups, and says that it is done."""

    _heard = False

    def set_groups(self, groups: Sequence[Gid]) -> None:
        if self._heard:
            super().set_groups(groups)
        self._heard = True


@pytest.mark.parametrize(
    "start",
    [
        as_root_often_starts,
        pytest.param(_without_proc, marks=pytest.mark.needs("mount namespace")),
    ],
)
def test_p44_a_proc_inside_the_new_root_is_not_believed(
    start: Callable[[], None], root_directory: str
) -> None:
    """Whoever owns the new root has put it there: here it says that all is well, and it is not."""

    def drop() -> tuple[str, list[int]]:
        start()
        _forge_proc(root_directory)
        try:
            PrivilegeDrop(user="www-data", chroot=root_directory).apply(kernel=_DeafToGroups())
        except CredentialMismatchError as error:
            return str(error), sorted(os.getgroups())
        return "a success", sorted(os.getgroups())

    message, groups = in_child(drop)
    assert message != "a success", groups
    assert "supplementary groups: expected 33, observed 0 4 27" in message
