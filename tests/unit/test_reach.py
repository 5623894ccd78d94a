"""Which files an identity will be able to reach, told from the mode bits beforehand."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from abdicate.identity.ids import Gid, Uid
from abdicate.identity.reach import Obstacle, find_obstacle
from abdicate.identity.resolve import Identity
from unit.making import ROOT, gids

_OWNER = Identity("owner", Uid(os.getuid() or 777), Gid(54321), gids(54321))
_STRANGER = Identity("stranger", Uid(54321), Gid(54321), gids(54321, 54322))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a root directory for the walk: pytest's own is closed to strangers."""
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    for path in (root, root / "bin"):
        path.chmod(0o755)
    _program(root / "bin" / "run")
    return root


def _program(path: Path, text: bytes = b"\x7fELF", mode: int = 0o755) -> Path:
    path.write_bytes(text)
    path.chmod(mode)
    return path


def _is_free(path: str, tree: Path, who: Identity = _STRANGER, *, directory: bool = False) -> bool:
    return find_obstacle(path, who, root=str(tree), directory=directory) is None


def _blocked(path: str, tree: Path, who: Identity = _STRANGER, *, directory: bool = False) -> str:
    """Return why, which is one line, and speaks of paths as the new root has them."""
    found = find_obstacle(path, who, root=str(tree), directory=directory)
    assert found is not None
    assert str(tree) not in found.reason
    assert "\n" not in found.reason
    assert str(found) == found.reason
    return found.reason


def test_an_open_way_has_no_obstacle(tree: Path) -> None:
    """For an executable, and for a directory."""
    assert _is_free("/bin/run", tree)
    assert _is_free("/bin", tree, directory=True)
    assert _is_free("/bin/", tree, directory=True)
    assert _is_free("/", tree, directory=True)
    assert find_obstacle("/", _STRANGER, directory=True) is None
    assert find_obstacle("/bin/sh", _STRANGER) is None


def test_slashes_and_dots_are_no_matter(tree: Path) -> None:
    """Nor is one at the end of the root."""
    assert find_obstacle("//bin/./run", _STRANGER, root=f"{tree}/") is None
    assert _is_free("/bin/../bin//run", tree)


def test_a_closed_directory_on_the_way_is_named(tree: Path) -> None:
    """P37: with its mode and owner, and who can't enter it."""
    (tree / "bin").chmod(0o700)
    for found in (_blocked("/bin/run", tree), _blocked("/bin", tree, directory=True)):
        assert found.startswith("/bin (mode 0700, owner ")
        assert found.endswith("may not be entered by stranger, uid 54321")


def test_a_uid_without_a_name_is_named_by_its_number(tree: Path) -> None:
    """P43."""
    (tree / "bin").chmod(0o700)
    nameless = _STRANGER.replace(user=None)
    assert _blocked("/bin/run", tree, nameless).endswith("may not be entered by uid 54321")


@pytest.mark.parametrize(
    ("mode", "reason"), [(0o640, "is not executable for anybody"), (0o744, "may not be executed")]
)
def test_a_file_that_may_not_be_executed_is_named(tree: Path, mode: int, reason: str) -> None:
    """P37."""
    (tree / "bin" / "run").chmod(mode)
    found = _blocked("/bin/run", tree)
    assert found.startswith(f"/bin/run (mode {mode:04o}, owner ")
    assert reason in found


@pytest.mark.needs("root")
@pytest.mark.parametrize(
    ("mode", "group", "reached"),
    [
        (0o755, 0, True),
        (0o754, 0, False),
        (0o750, 54321, True),
        (0o750, 54322, True),
        (0o750, 54323, False),
        (0o705, 54321, False),
        (0o705, 54322, False),
        (0o705, 54323, True),
    ],
)
def test_the_first_class_that_fits_decides(
    tree: Path, mode: int, group: int, reached: bool
) -> None:
    """Gid or supplementary group, others: a member of the group is not one of the others."""
    program = tree / "bin" / "run"
    os.chown(program, -1, group)
    program.chmod(mode)
    assert _is_free("/bin/run", tree) is reached


def test_an_owner_without_the_bit_is_refused_though_others_have_it(tree: Path) -> None:
    """As the kernel does."""
    program = tree / "bin" / "run"
    if os.getuid() == 0:
        os.chown(program, _OWNER.uid, 0)
    program.chmod(0o655)
    assert _is_free("/bin/run", tree)
    assert "may not be executed by owner" in _blocked("/bin/run", tree, _OWNER)


@pytest.mark.needs("root", "CAP_DAC_OVERRIDE")
def test_root_enters_every_directory(tree: Path) -> None:
    """And executes what anybody may."""
    (tree / "bin").chmod(0)
    (tree / "bin" / "run").chmod(0o001)
    assert _is_free("/bin/run", tree, ROOT)
    (tree / "bin" / "run").chmod(0o644)
    assert "not executable for anybody" in _blocked("/bin/run", tree, ROOT)


@pytest.mark.parametrize("path", ["/nosuch", "/nosuch/run", "/bin/nosuch"])
@pytest.mark.parametrize("directory", [False, True])
def test_what_does_not_exist_is_missing(tree: Path, path: str, directory: bool) -> None:
    """The first component that does not; a shell says 127 to that."""
    absent = "/bin/nosuch" if path == "/bin/nosuch" else "/nosuch"
    found = find_obstacle(path, _STRANGER, root=str(tree), directory=directory)
    assert found == Obstacle(f"{absent} does not exist", missing=True)


def test_what_is_closed_is_not_missing(tree: Path) -> None:
    """A shell says 126 to that."""
    (tree / "bin").chmod(0o700)
    for path in ("/bin/run", "/bin/nosuch"):
        found = find_obstacle(path, _STRANGER, root=str(tree))
        assert found is not None
        assert not found.missing


def test_a_file_is_no_directory(tree: Path) -> None:
    """On the way, at its end, and behind a slash."""
    assert _blocked("/bin/run/x", tree) == "/bin/run is not a directory"
    assert _blocked("/bin/run", tree, directory=True) == "/bin/run is not a directory"
    assert _blocked("/bin/run/", tree) == "/bin/run is not a directory"


@pytest.mark.parametrize("kind", ["directory", "fifo"])
def test_only_a_regular_file_is_executed(tree: Path, kind: str) -> None:
    """And a FIFO is not opened to see what is in it."""
    odd = tree / "bin" / "odd"
    odd.mkdir() if kind == "directory" else os.mkfifo(odd, 0o755)
    assert _blocked("/bin/odd", tree) == "/bin/odd is not a regular file"


@pytest.mark.needs("ordinary user")
def test_what_this_process_can_not_look_at_is_told(tree: Path) -> None:
    """An ordinary user who explains a plan for root."""
    (tree / "bin").chmod(0)
    assert "can't be looked at: Permission denied" in _blocked("/bin/run", tree, ROOT)
    (tree / "bin").chmod(0o755)


class TestLinks:
    """Symbolic links."""

    def test_an_absolute_one_starts_at_the_new_root(self, tree: Path) -> None:
        """P35: and not at the old one, where there is an /etc."""
        (tree / "link").symlink_to("/bin/run")
        (tree / "bin" / "up").symlink_to("/bin")
        assert _is_free("/link", tree)
        assert _is_free("/bin/up/run", tree)
        (tree / "outside").symlink_to("/etc")
        assert _blocked("/outside", tree, directory=True) == "/etc does not exist"

    def test_a_relative_one_starts_where_it_stands(self, tree: Path) -> None:
        """And ``..`` does not leave the root."""
        (tree / "bin" / "link").symlink_to("run")
        (tree / "bin" / "out").symlink_to("../../../../bin/run")
        assert _is_free("/bin/link", tree)
        assert _is_free("/bin/out", tree)
        assert _is_free("/../../bin/run", tree)

    def test_the_parent_of_a_linked_directory_is_its_real_one(self, tree: Path) -> None:
        """``link/..`` is not where the link stands."""
        (tree / "deep" / "er").mkdir(parents=True, mode=0o755)
        (tree / "deep").chmod(0o755)
        _program(tree / "deep" / "run")
        (tree / "bin" / "link").symlink_to("/deep/er")
        assert _is_free("/bin/link/../run", tree)
        assert _blocked("/bin/link/../er/run", tree) == "/deep/er/run does not exist"

    def test_a_dangling_one_is_told_by_its_target(self, tree: Path) -> None:
        """Which is what does not exist."""
        (tree / "link").symlink_to("gone/away")
        assert _blocked("/link", tree) == "/gone does not exist"

    def test_a_loop_ends(self, tree: Path) -> None:
        """As the kernel ends it."""
        (tree / "a").symlink_to("b")
        (tree / "b").symlink_to("a")
        assert _blocked("/a", tree).endswith("is behind more than 40 symbolic links")

    def test_forty_are_followed(self, tree: Path) -> None:
        """path_resolution(7): the kernel follows as many, and not one more."""
        (tree / "0").symlink_to("bin/run")
        for number in range(1, 41):
            (tree / str(number)).symlink_to(str(number - 1))
        for name, followed in (("39", True), ("40", False)):
            assert _is_free(f"/{name}", tree) is followed
            assert os.path.exists(tree / name) is followed

    def test_the_way_of_a_link_is_searched_too(self, tree: Path) -> None:
        """Its own directory is not enough."""
        (tree / "closed").mkdir(mode=0o700)
        _program(tree / "closed" / "run")
        (tree / "bin" / "link").symlink_to("/closed/run")
        assert _blocked("/bin/link", tree).startswith("/closed (mode 0700")


class TestScripts:
    """The ``#!`` line, execve(2) "Interpreter scripts"."""

    @pytest.mark.parametrize(
        "line",
        [
            b"#!/bin/run\n",
            b"#!/bin/run",
            b"#! /bin/run -e -u\n",
            b"#!\t/bin/run\t-e\n",
            b"#! \t /bin/run \n",
            b"#!/bin/run\n\xff\xfe\0",
        ],
        ids=repr,
    )
    def test_an_interpreter_in_reach_is_no_obstacle(self, tree: Path, line: bytes) -> None:
        """P37: its first word is a path in the new root."""
        _program(tree / "script", line)
        assert _is_free("/script", tree)

    @pytest.mark.parametrize(
        ("line", "interpreter"),
        [
            (b"#!/bin/nosuch\n", "/bin/nosuch"),
            (b"#!/nosuch/env run\n", "/nosuch"),
            (b"#!/bin/run\r\n", "/bin/run\r"),
            (b"#!/bin/caf\xe9\n", "/bin/caf\udce9"),
        ],
        ids=repr,
    )
    def test_an_interpreter_that_is_missing_is_told(
        self, tree: Path, line: bytes, interpreter: str
    ) -> None:
        """P37: the kernel would say "no such file" of the script itself."""
        _program(tree / "script", line)
        found = find_obstacle("/script", _STRANGER, root=str(tree))
        assert found is not None
        assert found.reason == f"the interpreter of the script, {interpreter} does not exist"
        assert not found.missing  # the script is there

    def test_an_interpreter_out_of_reach_is_told(self, tree: Path) -> None:
        """P37."""
        (tree / "bin").chmod(0o700)
        _program(tree / "script", b"#!/bin/run\n")
        assert _blocked("/script", tree).startswith(
            "the interpreter of the script, /bin (mode 0700"
        )

    @pytest.mark.parametrize("start", [b"", b"#", b"#!", b"#!\n", b"#! \t\n", b"# !/nosuch\n"])
    def test_what_names_no_interpreter_is_left_to_the_kernel(
        self, tree: Path, start: bytes
    ) -> None:
        """Whatever it makes of such a file."""
        _program(tree / "script", start)
        assert _is_free("/script", tree)

    def test_a_script_that_can_not_be_read_is_left_to_the_kernel(self, tree: Path) -> None:
        """The program that asks may see less than the one that is going to be."""
        _program(tree / "script", b"#!/nosuch\n", 0o111)
        if os.geteuid() != 0:
            assert _is_free("/script", tree)

    @pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6])
    def test_scripts_of_scripts_end_where_the_kernel_ends_them(
        self, tmp_path: Path, count: int
    ) -> None:
        """Held against this kernel, as this user."""
        me = Identity(None, Uid(os.geteuid()), Gid(os.getegid()), gids(*os.getgroups()))
        path = "/bin/true"
        for number in range(count):
            _program(tmp_path / f"{number}", f"#!{path}\n".encode())
            path = str(tmp_path / f"{number}")
        try:
            subprocess.run([path], check=True)
            executed = True
        except OSError:
            executed = False
        assert (find_obstacle(path, me) is None) is executed


class TestRelative:
    """A path that starts where the process is."""

    def test_it_starts_in_the_working_directory(
        self, tree: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Downwards, upwards, and through a link."""
        (tree / "bin" / "link").symlink_to("./run")
        monkeypatch.chdir(tree / "bin")
        for path in ("run", "./run", "../bin/run", "link"):
            assert find_obstacle(path, _STRANGER) is None, path
        assert find_obstacle("nosuch", _STRANGER) == Obstacle("./nosuch does not exist", True)
        assert find_obstacle("..", _STRANGER, directory=True) is None

    def test_a_closed_directory_on_the_way_is_named(
        self, tree: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As the path names it."""
        monkeypatch.chdir(tree)
        (tree / "bin").chmod(0o700)
        found = find_obstacle("bin/run", _STRANGER)
        assert found is not None
        assert found.reason.startswith("./bin (mode 0700")
