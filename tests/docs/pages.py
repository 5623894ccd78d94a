"""The pages of README and docs, taken apart: programs, files, and sessions at a root prompt."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = (
    README,
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").glob("**/*.md")),
)

_BLOCK = re.compile(
    r"(?:^`(?P<name>[\w./-]+)`:\n\n)?^```(?P<language>\w+)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """One block. A ``name`` in front of it, as in "`server.py`:", makes it a file."""

    page: Path
    language: str
    body: str
    name: str | None = None


@dataclass(frozen=True)
class Command:
    """What is typed behind a root prompt, and what the page shows under it."""

    page: Path
    text: str
    output: str

    def shows(self, printed: str) -> bool:
        """Tell whether *printed* is what the page shows; "..." stands for any text."""
        parts = map(re.escape, self.output.split("..."))
        pattern = ".*".join(parts)
        if self.output.endswith("...\n"):
            # The rest of the output, however it ends.
            pattern = pattern.removesuffix(re.escape("\n"))
        return re.fullmatch(pattern, printed, re.DOTALL) is not None


def blocks(page: Path) -> list[Block]:
    """Return the blocks of *page*, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, found["language"], found["body"], found["name"])
        for found in _BLOCK.finditer(text)
    ]


def commands(block: Block) -> Iterator[Command]:
    """Yield the commands of a ``console`` block. A line may end in a backslash, as in a shell."""
    for part in re.split(r"^# ", block.body, flags=re.MULTILINE)[1:]:
        text, _, output = part.partition("\n")
        while text.endswith("\\"):
            more, _, output = output.partition("\n")
            text += "\n" + more
        yield Command(block.page, text, output)


def needs(page: Path) -> tuple[str, ...]:
    """Return the modules that the page says it needs, in a comment under its title."""
    found = re.search(r"^<!-- needs: (.+) -->$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return tuple(found[1].split()) if found else ()


def is_story(page: Path) -> bool:
    """Tell whether the page makes files: then it is read from its top to its end, in one room."""
    return any(block.name for block in blocks(page))
