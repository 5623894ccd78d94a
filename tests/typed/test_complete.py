"""The package as it is installed is typed to the last public name, on every platform.

What is looked at is a wheel's content: a checkout has a py.typed whatever the build leaves out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]


def _is_installed_for_good() -> bool:
    """Tell whether this environment has a copy of the package, and not a way to the checkout."""
    origin = metadata.distribution("abdicate").read_text("direct_url.json")
    return not (origin and json.loads(origin).get("dir_info", {}).get("editable", False))


def _built(place: Path) -> Path:
    """Return an environment with a wheel of the checkout, built now; all else is this one's."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir"]
    ran = subprocess.run(
        [*command, str(place), str(_ROOT)], capture_output=True, text=True, timeout=300, check=False
    )
    if ran.returncode != 0:
        why = (ran.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        pytest.skip(f"needs a wheel, or a package that is not editable: {why}")
    environment = place / "environment"
    venv.create(environment, symlinks=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    (wheel,) = place.glob("abdicate-*.whl")
    with zipfile.ZipFile(wheel) as content:
        content.extractall(packages)
    others = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "others.pth").write_text("\n".join(others))
    return environment


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an environment in which abdicate is installed from a wheel."""
    if _is_installed_for_good():
        return Path(sys.prefix)
    return _built(tmp_path_factory.mktemp("wheel"))


@pytest.mark.needs("pyright")
@pytest.mark.parametrize("platform", ["Linux", "Darwin", "Windows"])
def test_every_public_name_has_a_type_that_no_checker_has_to_infer(
    platform: str, environment: Path, tmp_path: Path
) -> None:
    """``pyright --verifytypes``, 100 %: the guide to typing libraries, of typing.python.org."""
    command = [sys.executable, "-m", "pyright", "--verifytypes", "abdicate", "--ignoreexternal"]
    ran = subprocess.run(
        [*command, "--pythonplatform", platform, "--outputjson"],
        cwd=tmp_path,
        # With --verifytypes, pyright passes over --pythonpath.
        env={**os.environ, "PATH": f"{environment / 'bin'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    told = json.loads(ran.stdout)["typeCompleteness"]
    assert Path(told["pyTypedPath"]).is_relative_to(environment), told["pyTypedPath"]
    symbols = [symbol for symbol in told["symbols"] if symbol["isExported"]]
    assert [symbol["name"] for symbol in symbols if not symbol["isTypeKnown"]] == []
    assert told["completenessScore"] == 1
    assert len(symbols) > 1500
    assert ran.returncode == 0
