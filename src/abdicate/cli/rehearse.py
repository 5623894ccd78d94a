"""``abdicate rehearse``: the plan, really carried out in a child; the exit status tells."""

from __future__ import annotations

from abdicate.cli.console import say
from abdicate.cli.options import Parser, add_drop_options
from abdicate.cli.profiles import asked
from abdicate.rehearsal import rehearse

__all__ = ["main", "parser"]


def parser() -> Parser:
    """Return what the command line of ``rehearse`` may say."""
    words = Parser(
        "rehearse",
        "Carry the plan out in a child process, verify it there, and report. An ordinary user "
        "with subordinate ids, subuid(5), rehearses in a user namespace.",
        "[OPTION…]",
    )
    add_drop_options(words)
    words.add_argument("--json", action="store_true", help="the report as JSON")
    return words


def main(words: list[str]) -> int:
    """Print what came of the rehearsal. Return 0 if the goal was reached, else 1."""
    known = parser()
    options = known.parse_args(words)
    drop, _ = asked(known, options)
    plan = drop.plan()
    rehearsal = rehearse(plan)
    if options.json:
        import json

        say(json.dumps(rehearsal.to_data(), indent=2))
    else:
        plain = f"{plan.explain()}\n\n" if rehearsal.stage == "none" else ""
        say(plain + rehearsal.explain())
    return 0 if rehearsal.ok else 1
