"""P37 to P40: what surrounds a drop: the target, limits, plug-ins, the environment. P41 waits."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from abdicate import IncompleteDropError, PreflightError, PrivilegeDrop
from drops import raw
from drops.cases import START_GROUPS, as_root_often_starts
from drops.commandline import Finished, abdicate_in
from drops.outside import dropped, held_by_threads, refused
from harness.child import held_child, in_child

pytestmark = pytest.mark.needs("root")


def _drop(**fields: object) -> None:
    PrivilegeDrop.model_validate({"user": "www-data", **fields}).apply()


# P37: the target of an exec.


def _program(path: Path, text: str = "#!/bin/sh\necho it ran\n", mode: int = 0o755) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def _run(command: Path | str, *options: str) -> Finished:
    return abdicate_in("run", "--user", "www-data", *options, "--", str(command))


def test_p37_a_program_that_the_user_can_reach_runs(public_directory: Path) -> None:
    ended = _run(_program(public_directory / "program"))
    assert (ended.exit_code, ended.out, ended.err) == (0, "it ran\n", "")


@pytest.mark.parametrize(
    ("folder", "mode", "text", "said"),
    [
        (0o700, 0o755, "#!/bin/sh\n", "may not be entered by www-data, uid 33"),
        (0o755, 0o700, "#!/bin/sh\n", "may not be executed by www-data, uid 33"),
        (0o755, 0o644, "#!/bin/sh\n", "mode 0644"),
        (0o755, 0o755, "#!/root/interpreter\n", "interpreter"),
        (0o755, 0o755, "#!/absent/interpreter\n", "interpreter"),
    ],
)
def test_p37_what_the_user_can_not_execute_is_told_before_the_drop(
    folder: int, mode: int, text: str, said: str, public_directory: Path
) -> None:
    """Exit 126 and one line; nothing was changed to find out."""
    program = _program(public_directory / "inner" / "program", text, mode)
    program.parent.chmod(folder)
    ended = _run(program)
    assert (ended.exit_code, ended.out) == (126, "")
    assert len(ended.err.splitlines()) == 1
    assert said in ended.err


def test_p37_a_directory_in_the_way_is_no_program(public_directory: Path) -> None:
    ended = _run(public_directory)
    assert (ended.exit_code, len(ended.err.splitlines())) == (126, 1)


@pytest.mark.parametrize("command", ["no-such-program", "/usr/bin/no-such-program", "./absent"])
def test_p37_what_is_not_there_is_127(command: str) -> None:
    ended = _run(command)
    assert (ended.exit_code, ended.out) == (127, "")
    assert ended.err == f"abdicate run: there is no command {command!r}\n"


@pytest.mark.parametrize(
    ("option", "path", "said"),
    [
        ("--chdir", "private", "may not be entered by www-data"),
        ("--chdir", "private/inner", "may not be entered by www-data"),
        ("--chdir", "absent", "does not exist"),
        ("--chdir", "file", "is not a directory"),
        ("--chroot", "private", "may not be entered by www-data"),
        ("--chroot", "absent", "absent"),
    ],
)
def test_p37_a_directory_that_the_user_can_not_enter_is_told_before_the_drop(
    option: str, path: str, said: str, public_directory: Path
) -> None:
    (public_directory / "private").mkdir(mode=0o700)
    (public_directory / "private" / "inner").mkdir()
    (public_directory / "file").touch()
    words = (option, str(public_directory / path))
    value = {"chroot" if option == "--chroot" else "working_directory": words[1]}
    error = refused(as_root_often_starts, lambda: _drop(**value))
    assert isinstance(error, PreflightError)
    assert said in str(error)
    # The command is looked for first: in an absent root there is none.
    ended = _run("/bin/true", *words)
    assert ended.exit_code in (125, 126, 127)
    assert (ended.out, len(ended.err.splitlines())) == ("", 1)
    assert ended.err.startswith("abdicate run: ")


def test_p37_groups_open_doors(public_directory: Path) -> None:
    """What the mode bits give to a supplementary group counts."""
    program = _program(public_directory / "program", mode=0o750)
    os.chown(program, 0, 27)
    assert _run(program).exit_code == 126
    ended = _run(program, "--groups", "add:27")
    # sh reads the script as well, which mode 0750 lets the group do.
    assert (ended.exit_code, ended.out) == (0, "it ran\n")


# P38: limits.


def _without_sys_resource() -> None:
    as_root_often_starts()
    permitted, effective, inheritable = raw.capget()
    lost = raw.mask(["CAP_SYS_RESOURCE"])
    raw.capset(permitted & ~lost, effective & ~lost, inheritable)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, 1024))


@pytest.mark.parametrize("limit", [2048, "unlimited", "512:1025"])
def test_p38_a_hard_limit_that_root_can_not_raise_is_told_before_anything(
    limit: int | str,
) -> None:
    """Root without CAP_SYS_RESOURCE, as in a container; probed, not assumed."""
    error = refused(_without_sys_resource, lambda: _drop(limits={"nofile": limit}))
    assert isinstance(error, PreflightError)
    assert "the hard limit of nofile can't be raised from 512:1024" in str(error)
    assert "CAP_SYS_RESOURCE" in str(error)


@pytest.mark.parametrize(
    ("limit", "pair"), [(1024, (1024, 1024)), ("64:1024", (64, 1024)), ("64", (64, 64))]
)
def test_p38_lowering_needs_nothing(limit: int | str, pair: tuple[int, int]) -> None:
    def drop() -> tuple[int, int]:
        _without_sys_resource()
        _drop(limits={"nofile": limit})
        return resource.getrlimit(resource.RLIMIT_NOFILE)

    assert in_child(drop) == pair


@pytest.mark.parametrize("soft", [0, 3, 5, 8])
def test_p38_a_limit_of_few_descriptors_does_not_end_half_way(soft: int) -> None:
    """RLIMIT_NOFILE is lowered first, and reading back opens files.

    Either it is told beforehand, or the drop is complete and verified.
    """

    def drop() -> tuple[str, list[str]]:
        as_root_often_starts()
        value = {"user": "www-data", "limits": {"nofile": soft}}
        try:
            proof = PrivilegeDrop.model_validate(value).apply()
        except PreflightError as error:
            return str(error), []
        except IncompleteDropError as error:
            return f"half-way: {error}", []
        return "dropped", [str(check) for check in proof.report.unverified]

    with held_child(as_root_often_starts) as untouched, held_child(drop) as child:
        outcome, unverified = child.value
        (seen,) = held_by_threads(child.pid).values()
        (before,) = held_by_threads(untouched.pid).values()
    if outcome == "dropped":
        assert (seen.uids, unverified) == ((33,) * 4, [])
    else:
        assert not outcome.startswith("half-way"), outcome
        assert seen == before


@pytest.mark.parametrize("name", ["nosuch", "nofiles"])
def test_p38_a_resource_that_this_platform_does_not_have_is_refused(name: str) -> None:
    error = refused(as_root_often_starts, lambda: _drop(limits={name: 0}))
    assert isinstance(error, PreflightError)
    assert f"this platform has no resource limit {name!r}" in str(error)


# P39: plug-ins.


_PLUG_IN = """
open({marker!r}, "w").close()

class Plugin:
    def new_schema_validator(self, *given, **named):
        return None, None, None

plugin = Plugin()
"""


def test_p39_no_plug_in_runs_in_the_part_that_runs_as_root(tmp_path: Path) -> None:
    """Pydantic loads what its entry points name; the command line never loads pydantic."""
    marker, site = tmp_path / "it-ran", tmp_path / "site"
    info = site / "evil-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "evil.py").write_text(_PLUG_IN.format(marker=str(marker)))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pydantic]\nevil = evil:plugin\n")
    path = os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path}

    def run(*words: str) -> str:
        command = [sys.executable, *words]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=environment,
            extra_groups=START_GROUPS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run("-m", "abdicate", "run", "--user", "www-data", "--", "id", "-u") == "33\n"
    run("-m", "abdicate", "explain", "--user", "www-data")
    run("-m", "abdicate", "rehearse", "--user", "www-data")
    assert not marker.exists()
    # The plug-in is a working one: whoever asks for the models gets it, and as whom he asks.
    run("-c", "from abdicate import PrivilegeDrop; PrivilegeDrop(user='www-data')")
    assert marker.exists()


@pytest.mark.parametrize("statement", ["import abdicate", "import abdicate.request"])
def test_p39_importing_the_privileged_part_loads_no_pydantic(statement: str) -> None:
    program = f"{statement}, sys; print('pydantic' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


# P40: the environment.

_ROOTS = {"HOME": "/root", "USER": "root", "LOGNAME": "root", "SHELL": "/bin/bash", "X": "1"}


def _environment(start: dict[str, str], **fields: object) -> dict[str, str]:
    def drop() -> dict[str, str]:
        as_root_often_starts()
        os.environ.clear()
        os.environ.update(start)
        _drop(**fields)
        return dict(os.environ)

    return in_child(drop)


@pytest.mark.parametrize("start", [_ROOTS, {}, {"HOME": "/root"}])
def test_p40_home_user_logname_and_shell_become_the_users(start: dict[str, str]) -> None:
    """gosu#3, supervisor#307: ~ is not root's any more. Nothing else is touched."""
    seen = _environment(start)
    assert seen == {
        **start,
        "HOME": "/var/www",
        "USER": "www-data",
        "LOGNAME": "www-data",
        "SHELL": "/usr/sbin/nologin",
    }


def test_p40_a_uid_without_an_entry_has_no_name_and_not_roots_either() -> None:
    assert _environment(_ROOTS, user="4242:4242") == {"HOME": "/", "SHELL": "/bin/sh", "X": "1"}


def test_p40_it_can_be_kept_and_it_can_be_reset() -> None:
    assert _environment(_ROOTS, environment="keep") == _ROOTS
    reset = _environment({**_ROOTS, "TERM": "dumb", "LD_PRELOAD": "x"}, environment="reset")
    assert set(reset) == {"HOME", "USER", "LOGNAME", "SHELL", "PATH", "TERM"}


def test_p40_another_home_can_be_given() -> None:
    assert _environment(_ROOTS, home="/srv/app")["HOME"] == "/srv/app"


def test_p40_libc_sees_the_same_environment_as_python() -> None:
    """A child process gets what os.environ says."""

    def drop() -> str:
        as_root_often_starts()
        os.environ.update(_ROOTS)
        _drop()
        return subprocess.run(["env"], capture_output=True, text=True, check=True).stdout

    lines = in_child(drop).splitlines()
    assert "HOME=/var/www" in lines
    assert "USER=www-data" in lines
    assert "HOME=/root" not in lines


@pytest.mark.parametrize("home", ["relative", ""])
def test_p40_a_home_is_an_absolute_path(home: str) -> None:
    """An empty one is an unset variable, and is not passed over in silence."""
    refused(as_root_often_starts, lambda: _drop(home=home))
    ended = abdicate_in("run", "--user", "www-data", "--home", home, "--", "echo", "it ran")
    assert ended.refused, ended


def test_the_group_alone_leaves_the_user_and_his_environment() -> None:
    """``:adm``: nobody else's HOME is put in the place of the present one."""

    def drop() -> dict[str, str]:
        os.setgroups([])
        os.environ.clear()
        os.environ["HOME"] = "/srv/app"
        raw.set_keep_capabilities(True)
        os.setresgid(54321, 54321, 54321)
        os.setresuid(54321, 54321, 54321)
        held = raw.mask(["CAP_SETGID"])
        raw.capset(held, held)
        PrivilegeDrop.model_validate(":adm").apply()
        return dict(os.environ)

    assert in_child(drop)["HOME"] == "/srv/app"


def test_bytes_that_are_no_text_are_no_traceback() -> None:
    """A home of bytes that are not UTF-8 is shown somehow, and is one line where it is wrong."""
    ended = abdicate_in("explain", "--user", "www-data", "--home", "/\udcff")
    assert ended.exit_code in (0, 125), ended
    assert "Traceback" not in ended.err
    assert "Error(" not in ended.err


def test_a_drop_within_a_drop_is_a_plan_from_where_it_stands() -> None:
    """First to a user that keeps CAP_SETUID and CAP_SETGID, then to another one."""

    def drop() -> None:
        _drop(user="daemon", capabilities=["CAP_SETUID", "CAP_SETGID"])
        _drop(user="www-data")

    seen = dropped(as_root_often_starts, drop)
    assert (seen.uids, seen.gids, seen.groups) == ((33,) * 4, (33,) * 4, frozenset({33}))
    assert (seen.permitted, seen.effective) == (0, 0)


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("run", "--user", "no-such-user", "--", "true"), 125),
        (("run", "--user", "www-data", "--", "/absent/program"), 127),
        (("run", "--user", "www-data", "--", "/bin/sh", "-c", "exit 7"), 7),
        (("run", "--user", "www-data"), 125),
    ],
)
def test_the_exit_status_tells_where_nobody_listens(
    words: tuple[str, ...], status: int, closed: str
) -> None:
    """Daemons start with closed descriptors: Python's sys.stderr is None then."""
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-m", "abdicate", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done
    assert "Traceback" not in done.stderr
