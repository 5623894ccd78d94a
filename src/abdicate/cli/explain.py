"""``abdicate explain``: the plan as people read it, and what stands in its way here."""

from __future__ import annotations

from abdicate.cli.console import say
from abdicate.cli.options import Parser, add_drop_options
from abdicate.cli.profiles import asked
from abdicate.executor import standing_in_the_way
from abdicate.kernel import system_kernel

__all__ = ["main", "parser"]


def parser() -> Parser:
    """Return what the command line of ``explain`` may say."""
    words = Parser("explain", "Show what would happen, step by step, and why.", "[OPTION…]")
    add_drop_options(words)
    words.add_argument("--json", action="store_true", help="the plan as JSON")
    return words


def main(words: list[str]) -> int:
    """Print the plan; nothing is changed. Return 0."""
    known = parser()
    options = known.parse_args(words)
    kernel = system_kernel()
    drop, _ = asked(known, options)
    plan = drop.plan(kernel=kernel)
    obstacles = standing_in_the_way(plan, kernel)
    if options.json:
        import json

        say(json.dumps(plan.to_data() | {"obstacles": list(obstacles)}, indent=2))
        return 0
    lines = [plan.explain()]
    if obstacles:
        lines += ["", "This process could not do it:", *(f"  {reason}" for reason in obstacles)]
    say("\n".join(lines))
    return 0
