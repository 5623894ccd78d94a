"""The title of the process: composed always, set where setproctitle is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from abdicate.process.title import set_mp_process_title

# Stands in for the package, which is an extra: what matters is who imports it, and when.
_RECORDER = """
import os
print("imported by", os.getpid())
def setproctitle(title):
    print("set to", title)
"""


def _python(program: str, *, path: Path | None = None, **environ: str) -> list[str]:
    """Run a program in an interpreter of its own; the lines that it prints."""
    path_variable = {} if path is None else {"PYTHONPATH": str(path)}
    run = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | path_variable | environ,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return run.stdout.splitlines()


@pytest.fixture
def recorder(tmp_path: Path) -> Path:
    (tmp_path / "setproctitle.py").write_text(_RECORDER)
    return tmp_path


@pytest.mark.parametrize(
    ("progname", "info", "title"),
    [
        ("app", None, "[app]"),
        ("app", "", "[app]"),
        ("app", "serving", "[app] serving"),
        ("a b", "-x --y", "[a b] -x --y"),
    ],
)
def test_the_title_is_the_name_in_brackets_and_the_info(
    progname: str, info: str | None, title: str
) -> None:
    program = f"""
from abdicate.process.title import set_process_title
print(set_process_title({progname!r}, {info!r}))
"""
    assert _python(program) == [title]


def test_without_setproctitle_the_title_is_returned_and_nothing_set() -> None:
    program = """
import sys
sys.modules["setproctitle"] = None  # what the import system takes for "not installed"
from abdicate.process.title import set_process_title
before = open("/proc/self/cmdline").read()
assert set_process_title("app", "info") == "[app] info"
assert open("/proc/self/cmdline").read() == before
"""
    _python(program)


def test_d14_setproctitle_is_imported_when_a_title_is_first_set(recorder: Path) -> None:
    """D14: imported before a fork, it breaks the child on macOS."""
    program = """
import os
import abdicate.process.title as title
print("loaded")
if os.fork() == 0:
    print("child", os.getpid())
    title.set_process_title("app")
    os._exit(0)
os.wait()
"""
    # Unbuffered: parent and child share the pipe.
    lines = _python(program, path=recorder, PYTHONUNBUFFERED="1")
    loaded, child, imported, title = lines
    assert (loaded, title) == ("loaded", "set to [app]")
    assert imported.removeprefix("imported by ") == child.removeprefix("child ")


def test_a_title_with_nul_or_a_lone_surrogate_is_set_without_them(recorder: Path) -> None:
    program = r"""
from abdicate.process.title import set_process_title
assert set_process_title("a\0b", "\udcff") == "[a\0b] \udcff"
"""
    assert _python(program, path=recorder)[1:] == ["set to [a?b] ?"]


@pytest.mark.needs("setproctitle", "linux")
def test_ps_shows_the_title() -> None:
    program = """
from abdicate.process.title import set_process_title
set_process_title("app", "info")
print(open("/proc/self/cmdline").read().rstrip("\\0"))
"""
    assert _python(program) == ["[app] info"]


def test_the_multiprocessing_title_names_host_and_process() -> None:
    program = """
from abdicate.process.title import set_mp_process_title
print(set_mp_process_title("app"))
print(set_mp_process_title("app", "info", "example.org"))
print(set_mp_process_title("app", hostname=""))
"""
    assert _python(program) == [
        "[app:MainProcess]",
        "[app: example.org:MainProcess] info",
        "[app:MainProcess]",
    ]


def test_d14_multiprocessing_is_not_imported_for_it() -> None:
    """D14: only what is loaded already is asked."""
    program = """
import sys
from abdicate.process.title import set_mp_process_title
set_mp_process_title("app")
print(sorted(name for name in sys.modules if name.split(".")[0] in {"multiprocessing", "billiard"}))
"""
    assert _python(program) == ["[]"]


def test_a_child_of_multiprocessing_is_named() -> None:
    program = """
import multiprocessing
from abdicate.process.title import set_mp_process_title
def work():
    print(set_mp_process_title("app", hostname="h"), flush=True)
process = multiprocessing.get_context("fork").Process(target=work, name="Worker-7")
process.start()
process.join()
"""
    assert _python(program) == ["[app: h:Worker-7]"]


def test_a_child_of_billiard_is_named_by_billiard(tmp_path: Path) -> None:
    """Celery's pool runs on billiard, of which multiprocessing knows nothing."""
    (tmp_path / "billiard").mkdir()
    (tmp_path / "billiard" / "__init__.py").touch()
    (tmp_path / "billiard" / "process.py").write_text(
        "class current_process:\n    name = 'ForkPoolWorker-1'\n"
    )
    program = """
import billiard.process, multiprocessing.process
from abdicate.process.title import set_mp_process_title
print(set_mp_process_title("app"))
"""
    assert _python(program, path=tmp_path) == ["[app:ForkPoolWorker-1]"]


def test_nosetps_disables_it(recorder: Path) -> None:
    program = """
from abdicate.process.title import set_mp_process_title
print(set_mp_process_title("app"))
"""
    assert _python(program, path=recorder, NOSETPS="1") == ["None"]
    assert _python(program, path=recorder, NOSETPS="")[-1] == "[app:MainProcess]"


def test_nosetps_is_read_when_it_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOSETPS", "1")
    assert set_mp_process_title("app") is None
    monkeypatch.delenv("NOSETPS")


def test_nosetps_does_not_concern_the_plain_title() -> None:
    program = """
from abdicate.process.title import set_process_title
print(set_process_title("app"))
"""
    assert _python(program, NOSETPS="1") == ["[app]"]
