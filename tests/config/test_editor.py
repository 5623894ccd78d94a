"""What an editor makes of the schema: taplo, which editors ask about TOML."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_SCHEMA = _ROOT / "docs" / "reference" / "config.schema.json"


def _checked(path: Path) -> subprocess.CompletedProcess[str]:
    taplo = Path(sys.executable).with_name("taplo")
    return subprocess.run(
        [taplo, "check", "--no-auto-config", "--schema", _SCHEMA.as_uri(), path],
        capture_output=True,
        text=True,
        cwd=path.parent,
        check=False,
    )


def test_the_example_is_valid_to_an_editor(tmp_path: Path) -> None:
    """The file that the documentation points at."""
    copy = tmp_path / "abdicate.toml"
    copy.write_bytes((_ROOT / "examples" / "web" / "abdicate.toml").read_bytes())
    ran = _checked(copy)
    assert ran.returncode == 0, ran.stderr


def test_an_unknown_key_is_underlined_by_an_editor(tmp_path: Path) -> None:
    """As `abdicate check` would say of it."""
    path = tmp_path / "abdicate.toml"
    path.write_text('[profiles.web.drop]\nuser = "web"\numsak = "0022"\n', encoding="utf-8")
    ran = _checked(path)
    assert ran.returncode != 0
    assert "umsak" in ran.stderr
