"""Finding the command as execvp(3) will, as the new user; and saying so while nothing changed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.program import (
    ABDICATE,
    BECOME,
    PLAIN,
    ROOT,
    Ran,
    abdicate,
    execute,
    refusal,
    spelt,
    succeeded,
    through_shell,
)

_SCRIPT = "#!/bin/sh\necho found\n"


def _script(path: Path, text: str = _SCRIPT, mode: int = 0o755) -> Path:
    path.write_bytes(text.encode())
    path.chmod(mode)
    return path


def _private(place: Path) -> Path:
    """Make a directory that the new user may not enter; its owner may, as root."""
    folder = place / "private"
    folder.mkdir()
    folder.chmod(0o700 if ROOT else 0)
    return folder


# 127: not found.


@pytest.mark.parametrize(
    "command", ["abdicate-no-such-command", "/no/such", "./no-such", "no/such"]
)
def test_what_is_not_there_is_127(command: str) -> None:
    """The status that shells and env(1) have for it."""
    assert "no command" in refusal(abdicate("run", *BECOME, "--", command), "run", 127)


@pytest.mark.parametrize("command", ["x" * 100_000, "/" + "x" * 100_000, "x/" * 50_000])
def test_a_huge_name_is_not_repeated_in_full(command: str) -> None:
    """One clear line, also where the word is 100 kB long."""
    ran = abdicate("run", *BECOME, "--", command)
    refusal(ran, "run", 126 if ran.returncode == 126 else 127)


def test_a_name_that_is_not_utf_8_is_one_clear_line() -> None:
    """Words are bytes; the message shows what it can't print."""
    refusal(abdicate("run", *BECOME, "--", b"/no/\xff\xfe"), "run", 127)


@pytest.mark.parametrize("name", ["two\nlines", "esc\x1b[2Jape", "car\rriage"], ids=ascii)
def test_a_name_with_control_characters_stays_on_one_line(name: str, place: Path) -> None:
    """Found or not found, the name of a file can't draw on the terminal."""
    refusal(abdicate("run", *BECOME, "--", str(place / name)), "run", 127)
    _script(place / name, mode=0o644)
    refusal(abdicate("run", *BECOME, "--", str(place / name)), "run", 126)


# 126: found, and not executable by the new user.


def test_a_file_without_execute_permission_is_126(place: Path) -> None:
    """It is there, and it is not a program."""
    refusal(abdicate("run", *BECOME, "--", str(_script(place / "x", mode=0o644))), "run", 126)


@pytest.mark.needs("root")
def test_a_file_that_only_its_owner_may_execute_is_126(place: Path) -> None:
    """P37: root may execute it, and the new user may not."""
    target = str(_script(place / "x", mode=0o700))
    assert "may not be executed by nobody" in refusal(
        abdicate("run", "--user", "nobody", "--", target), "run", 126
    )


def test_a_directory_is_126(place: Path) -> None:
    """A directory has execute bits, and is no program."""
    refusal(abdicate("run", *BECOME, "--", str(place)), "run", 126)


def test_a_file_behind_a_directory_out_of_reach_is_126(place: Path) -> None:
    """P37: every directory above counts; what can't be looked at is not "not found"."""
    folder = _private(place)
    if ROOT:
        _script(folder / "x")
    refusal(abdicate("run", *BECOME, "--", str(folder / "x")), "run", 126)


def test_a_slash_behind_a_program_is_126() -> None:
    """ENOTDIR is not ENOENT: the program is there, and is no directory."""
    refusal(abdicate("run", *BECOME, "--", "/bin/sh/"), "run", 126)


def test_a_link_in_a_circle_is_126(place: Path) -> None:
    """ELOOP ends in a clear line, and not in a hang."""
    (place / "a").symlink_to(place / "b")
    (place / "b").symlink_to(place / "a")
    refusal(abdicate("run", *BECOME, "--", str(place / "a")), "run", 126)


_BAD_FIRST_LINES = {
    "missing": "#!/no/such/interpreter\n",
    "dos": "#!/bin/sh\r\n",
    "form feed": "#!/bin/sh\x0c\n",
    "relative": "#!no/such/interpreter\n",
    "a directory": "#!/usr\n",
    "not executable": "#!/etc/passwd\n",
}


@pytest.mark.parametrize("kind", _BAD_FIRST_LINES)
def test_a_script_whose_interpreter_does_not_run_is_126(kind: str, place: Path) -> None:
    """The kernel's ENOENT would speak of the script, which is there."""
    target = str(_script(place / "x", f"{_BAD_FIRST_LINES[kind]}echo ran\n"))
    assert "interpreter" in refusal(abdicate("run", *BECOME, "--", target), "run", 126)


def test_a_script_whose_interpreter_is_out_of_reach_is_126(place: Path) -> None:
    """P37: the interpreter, too, must be reachable by the new user."""
    folder = _private(place)
    if ROOT:
        shutil.copy("/bin/sh", folder / "sh")
    target = str(_script(place / "x", f"#!{folder}/sh\necho ran\n"))
    refusal(abdicate("run", *BECOME, "--", target), "run", 126)


@pytest.mark.needs("root", "strace")
@pytest.mark.parametrize("kind", [*_BAD_FIRST_LINES, "unreachable", "absent", "directory"])
def test_nothing_has_changed_when_the_command_is_refused(kind: str, place: Path) -> None:
    """P37: what stands in the way is said before the first step, as a trace shows."""
    target = place / "x"
    match kind:
        case "unreachable":
            target = _script(_private(place) / "x")
        case "directory":
            target.mkdir()
        case "absent":
            pass
        case _:
            _script(target, f"{_BAD_FIRST_LINES[kind]}echo ran\n")
    trace = place / "trace"
    calls = "trace=setgroups,setresgid,setresuid"
    prefix = ["strace", "-f", "-qq", "-o", str(trace), "-e", calls, "-e", "signal=none"]
    ran = execute([*prefix, *ABDICATE, "run", *BECOME, "--", str(target)])
    assert ran.returncode in (126, 127)
    assert trace.read_text() == ""


def test_a_file_without_a_known_format_is_126(place: Path) -> None:
    """ENOEXEC: no shell is guessed for it."""
    ran = abdicate("run", *BECOME, "--", str(_script(place / "x", "echo ran\n")))
    assert (ran.returncode, ran.stdout) == (126, b"")


# Where it is looked for.


def test_path_is_searched_in_order_and_past_what_does_not_run(place: Path) -> None:
    """As execvp(3) does: an entry that may not be executed does not end the search."""
    for number, mode in enumerate((0o644, 0o755, 0o755)):
        folder = place / str(number)
        folder.mkdir()
        folder.chmod(0o755)
        _script(folder / "prog", f"#!/bin/sh\necho {number}\n", mode)
    path = f"/no/such:{place}/0:{place}/1:{place}/2"
    assert succeeded(abdicate("run", *BECOME, "prog", env={**PLAIN, "PATH": path})) == b"1\n"


@pytest.mark.parametrize("path", ["", ":/no/such", "/no/such:", "/no/such::/nor/this", "."])
def test_an_empty_entry_of_path_is_the_working_directory(path: str, place: Path) -> None:
    """environ(7): also where the whole of PATH is empty."""
    _script(place / "prog")
    ran = abdicate(
        "run", *BECOME, "--keep-env", "prog", env={**PLAIN, "PATH": path}, cwd=str(place)
    )
    assert succeeded(ran) == b"found\n"


def test_without_path_the_usual_places_are_searched() -> None:
    """An unset PATH is not an empty one, execvp(3)."""
    plain = {name: value for name, value in PLAIN.items() if name != "PATH"}
    assert succeeded(abdicate("run", *BECOME, "--", "id", "-u", env=plain)).strip().isdigit()


def test_the_working_directory_is_not_searched_unasked(place: Path) -> None:
    """Without an empty entry or ".", a name without a slash is looked for in PATH alone."""
    _script(place / "prog")
    refusal(abdicate("run", *BECOME, "prog", env=PLAIN, cwd=str(place)), "run", 127)


def test_reset_env_searches_the_path_that_the_command_gets(place: Path) -> None:
    """The old PATH is gone by then."""
    _script(place / "prog")
    env = {**PLAIN, "PATH": str(place)}
    refusal(abdicate("run", *BECOME, "--reset-env", "prog", env=env), "run", 127)


@pytest.mark.parametrize("command", ["./prog", "sub/../prog", "sub/prog"])
def test_a_relative_command_starts_where_we_stand(command: str, place: Path) -> None:
    """With a slash in it, PATH is not asked."""
    (place / "sub").mkdir()
    (place / "sub").chmod(0o755)
    _script(place / "prog")
    _script(place / "sub" / "prog")
    assert succeeded(abdicate("run", *BECOME, "--", command, cwd=str(place))) == b"found\n"


def test_a_relative_command_starts_in_the_directory_of_chdir(place: Path) -> None:
    """It is executed after the step that goes there."""
    _script(place / "prog")
    (place / "sub").mkdir()
    (place / "sub").chmod(0o755)
    words = [*BECOME, "--chdir", str(place), "--"]
    assert succeeded(abdicate("run", *words, "./prog", cwd="/")) == b"found\n"
    refusal(
        abdicate("run", *BECOME, "--chdir", f"{place}/sub", "./prog", cwd=str(place)), "run", 127
    )


@pytest.mark.parametrize("folder", ["", "relative", "/no/such", "/etc/passwd"])
def test_a_directory_of_chdir_that_is_none_is_our_failure(folder: str) -> None:
    """125: it is our own step that can't be made, and the command is not what is missing."""
    refusal(abdicate("run", *BECOME, "--chdir", folder, "--", "echo", "ran"), "run")


@pytest.mark.parametrize("command", [["/bin/echo", "ran"], ["echo", "ran"]], ids=spelt)
def test_a_deleted_working_directory_does_not_matter_to_others(
    command: list[str], place: Path
) -> None:
    """What does not begin there is found without it."""
    (place / "gone").mkdir()
    script = 'rmdir ../gone && exec "$@"'
    ran = through_shell(script, "run", *BECOME, "--", *command, cwd=str(place / "gone"))
    assert succeeded(ran) == b"ran\n"


def test_a_command_relative_to_a_deleted_directory_is_not_found(place: Path) -> None:
    """There is nothing in a directory that is no more."""
    (place / "gone").mkdir()
    ran = through_shell(
        'rmdir ../gone && exec "$@"', "run", *BECOME, "./x", cwd=str(place / "gone")
    )
    refusal(ran, "run", 127)


def test_the_command_is_called_what_it_was_called(place: Path) -> None:
    """argv[0] is the word that was typed, as with execvp(3)."""
    ran = abdicate("run", *BECOME, "--", "cat", "/proc/self/cmdline")
    assert succeeded(ran) == b"cat\0/proc/self/cmdline\0"


@pytest.mark.needs("root")
def test_a_relative_command_needs_only_the_directory_we_stand_in(place: Path) -> None:
    """path_resolution(7): a relative path begins in the working directory, not at the root."""
    inner = _private(place) / "inner"
    inner.mkdir()
    inner.chmod(0o755)
    _script(inner / "prog")
    setpriv = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "./prog"]
    assert succeeded(execute(setpriv, cwd=str(inner))) == b"found\n"
    assert succeeded(abdicate("run", *BECOME, "./prog", cwd=str(inner))) == b"found\n"


@pytest.mark.needs("root", "CAP_DAC_OVERRIDE")
@pytest.mark.parametrize("capability", ["dac_override", "dac_read_search"])
def test_a_kept_capability_reaches_what_the_mode_bits_refuse(capability: str, place: Path) -> None:
    """Where more than the mode bits decides, the kernel is asked, and no obstacle is made up."""
    target = _private(place) / "true"
    shutil.copy("/bin/true", target)
    words = [*BECOME, "--keep-capabilities", capability, "--ambient"]
    assert succeeded(abdicate("run", *words, "--", str(target))) == b""
    assert succeeded(abdicate("run", *words, "--chdir", str(target.parent), "true")) == b""


# In a new root.


@pytest.fixture(scope="module")
def static_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that needs no library, so that a directory with it alone is a root."""
    folder = tmp_path_factory.mktemp("static")
    source = folder / "hello.c"
    source.write_text(
        '#include <unistd.h>\nint main(void) { return write(1, "hello\\n", 6) != 6; }\n'
    )
    subprocess.run(["gcc", "-static", "-o", folder / "hello", source], check=True)
    return folder / "hello"


@pytest.fixture
def new_root(place: Path, static_program: Path) -> Path:
    """A directory that holds the program in two places, and nothing else."""
    for folder in ("bin", "opt", "opt/inside"):
        (place / folder).mkdir()
        (place / folder).chmod(0o755)
    for target in ("bin/hello", "opt/inside/hello"):
        shutil.copy(static_program, place / target)
        (place / target).chmod(0o755)
    return place


_CHROOT = pytest.mark.needs("root", "CAP_SYS_CHROOT", "gcc")


@_CHROOT
@pytest.mark.parametrize("command", [["/bin/hello"], ["hello"], ["--chdir", "/bin", "./hello"]])
def test_the_command_is_found_in_the_new_root(command: list[str], new_root: Path) -> None:
    """Seen from inside, as it will be executed."""
    assert succeeded(abdicate("run", *BECOME, "--chroot", str(new_root), *command)) == b"hello\n"


@_CHROOT
def test_what_is_only_outside_of_the_new_root_is_not_found(new_root: Path) -> None:
    """127: the old root's programs are out of sight by then."""
    refusal(abdicate("run", *BECOME, "--chroot", str(new_root), "/usr/bin/id"), "run", 127)
    (new_root / "ub").symlink_to("/usr/bin")
    refusal(abdicate("run", *BECOME, "--chroot", str(new_root), "/ub/id"), "run", 127)


@_CHROOT
def test_absolute_links_of_the_new_root_lead_inside(new_root: Path) -> None:
    """chroot(2): "/" in a link is the new root as well, for directories too."""
    (new_root / "link").symlink_to("/opt/inside")
    (new_root / "bin/again").symlink_to("/opt/inside/hello")
    for command in ("/link/hello", "again"):
        ran = abdicate("run", *BECOME, "--chroot", str(new_root), command)
        assert succeeded(ran) == b"hello\n"


@_CHROOT
def test_a_link_of_the_new_root_does_not_make_us_open_what_is_outside(new_root: Path) -> None:
    """Who owns the new root could have us hang on a FIFO, or touch a device, of the old one."""
    trap = new_root / "trap"
    os.mkfifo(trap)
    inside = Path(f"{new_root}{trap}")
    inside.parent.mkdir(parents=True)
    for folder in (new_root / "tmp", *(new_root / "tmp").rglob("*")):
        folder.chmod(0o755)
    shutil.copy(new_root / "bin/hello", inside)
    inside.chmod(0o755)
    (new_root / "bin/prog").symlink_to(trap)
    command = [*ABDICATE, "run", *BECOME, "--chroot", str(new_root), "prog"]
    ran = subprocess.run(["timeout", "5", *command], capture_output=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, b"hello\n")


@_CHROOT
@pytest.mark.parametrize("folder", ["/no/such", "/etc/passwd"])
def test_a_new_root_that_is_none_is_our_failure(folder: str) -> None:
    """125 and the real reason, rather than a command that is "not found" in it."""
    assert folder in refusal(abdicate("run", *BECOME, "--chroot", folder, "/bin/echo"), "run")


def test_an_ordinary_user_is_refused_before_anything(
    as_ordinary_user: Callable[..., Ran],
) -> None:
    """P18: what is lacking is the capability, and the message says which."""
    ran = as_ordinary_user("run", "--user", "daemon", "--", "echo", "ran")
    assert "CAP_SETUID" in refusal(ran, "run")
