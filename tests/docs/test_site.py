"""The site is built without a warning: every link and every anchor in it leads somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

import abdicate
from abdicate import platforms, testing

_ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.needs("sphinx", "furo", "myst_parser")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as the page for contributors says."""
    folder = tmp_path_factory.mktemp("site")
    run = subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"),
            *("-d", str(folder / "doctrees"), str(_ROOT / "docs"), str(folder / "html")),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return folder / "html"


def test_it_builds_without_a_warning(site: Path) -> None:
    """Every page of the repository's docs is in it."""
    pages = {path.relative_to(_ROOT / "docs") for path in (_ROOT / "docs").glob("**/*.md")}
    built = {path.relative_to(site).with_suffix(".md") for path in site.glob("**/*.html")}
    assert pages <= built


def test_every_public_name_is_described(site: Path) -> None:
    """Sphinx's own list of what can be linked to has them all."""
    inventory = (site / "objects.inv").read_bytes()
    body = zlib.decompress(inventory.split(b"\n", 4)[4]).decode()
    described = {line.split()[0] for line in body.splitlines() if " py:" in line}
    for module in (abdicate, platforms, testing):
        assert {f"{module.__name__}.{name}" for name in module.__all__} <= described


def test_every_link_to_an_anchor_leads_to_one(site: Path) -> None:
    """Sphinx looks at links between pages; this one looks at what is behind the "#" too."""
    texts = {path: path.read_text(encoding="utf-8") for path in site.glob("**/*.html")}
    ids = {path: set(re.findall(r'\bid="([^"]+)"', text)) for path, text in texts.items()}
    for path, text in texts.items():
        for target in re.findall(r'class="reference internal" href="([^"]+)"', text):
            name, _, anchor = target.partition("#")
            page = (path.parent / name).resolve() if name else path
            assert page.exists(), (path, target)
            if anchor and page in ids:
                assert anchor in ids[page], (path, target)


def test_every_link_from_the_front_pages_leads_to_a_file() -> None:
    """README and its like are read in the repository, where no Sphinx looks at them."""
    for page in sorted(_ROOT.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#\s]+)\)|src=\"([^\"]+)\"", text):
            link = "".join(target)
            if "://" not in link:
                assert (_ROOT / link).exists(), (page.name, link)
