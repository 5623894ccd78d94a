"""``--config`` and ``--profile``: everything is said by the profile, or by the options."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from cli.program import ABDICATE, PLAIN, ROOT, abdicate, execute, refusal, succeeded

_WHO = 'user = "nobody"' if ROOT else f'user = "{os.geteuid()}:{os.getegid()}", groups = "keep"'


@pytest.fixture
def profile(tmp_path: Path) -> tuple[str, ...]:
    """The options that name a profile, whose command prints its environment."""
    path = tmp_path / "abdicate.toml"
    path.write_text(
        f'[profiles.web]\ndrop = {{ {_WHO} }}\nexec = ["/usr/bin/env", "-0"]\n', encoding="utf-8"
    )
    path.chmod(0o644)
    return ("--config", str(path), "--profile", "web")


@pytest.mark.parametrize("command", ["explain", "rehearse", "run"])
def test_a_profile_stands_for_the_options(command: str, profile: tuple[str, ...]) -> None:
    """The three commands take it alike."""
    succeeded(abdicate(command, *profile))


@pytest.mark.parametrize(
    "option",
    [
        ("--user", "root"),
        ("--group", "root"),
        ("--groups", "only"),
        ("--home", "/"),
        ("--allow-root",),
        ("--allow-root-group",),
        ("--no-new-privs",),
        ("--keep-capabilities", ""),
        ("--ambient",),
        ("--bounding", ""),
        ("--lock-securebits",),
        ("--new-session-keyring",),
        ("--no-dumpable",),
        ("--parent-death-signal", "TERM"),
        ("--chroot", "/"),
        ("--chdir", "/"),
        ("--umask", "022"),
        ("--limit", "core=0"),
        ("--nice", "1"),
        ("--keep-env",),
        ("--reset-env",),
    ],
    ids=lambda option: option[0],
)
def test_an_option_beside_a_profile_is_refused(
    option: tuple[str, ...], profile: tuple[str, ...]
) -> None:
    """None of them is silently without effect."""
    said = refusal(abdicate("run", *profile, *option), "run")
    assert option[0] in said
    assert "is given, and a profile" in said


@pytest.mark.parametrize("half", [("--config", "abdicate.toml"), ("--profile", "web")])
def test_half_of_the_pair_is_refused(half: tuple[str, ...]) -> None:
    """A profile is never looked for in a place that nobody named."""
    assert "go together" in refusal(abdicate("run", *half, "--", "true"), "run")


@pytest.mark.parametrize("command", ["run", "check", "schema"])
def test_no_plug_in_of_pydantic_is_executed_on_the_way(
    command: str, tmp_path: Path, profile: tuple[str, ...]
) -> None:
    """P39: what the environment registers is not what root named; the command may have it."""
    information = tmp_path / "site" / "intruder-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: intruder\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[pydantic]\nintruder = intruder:plugin\n")
    mark = tmp_path / "executed"
    (tmp_path / "site" / "intruder.py").write_text(f"open({str(mark)!r}, 'w')\nplugin = None\n")
    search = os.pathsep.join(filter(None, (str(tmp_path / "site"), PLAIN.get("PYTHONPATH"))))
    env = {**PLAIN, "PYTHONPATH": search, "KEPT": "1"}

    probe = "import pydantic\nclass M(pydantic.BaseModel): x: int"
    execute([sys.executable, "-c", probe], env=env)
    assert mark.exists(), "the test's plug-in is one that pydantic executes"
    mark.unlink()

    words = {"run": profile, "check": profile[1:2], "schema": ()}[command]
    ran = execute([*ABDICATE, command, *words], env=env)
    assert not mark.exists()
    assert ran.stdout, ran
    if command == "run":
        assert b"KEPT=1\0" in succeeded(ran)
        assert b"PYDANTIC_DISABLE_PLUGINS" not in ran.stdout
