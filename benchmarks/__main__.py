"""``python -m benchmarks``: measure everything, and print one table in Markdown."""

from __future__ import annotations

import argparse
import sys
import time
from datetime import date
from importlib import import_module

from benchmarks.harness import Contest
from benchmarks.machine import described

_SUBJECTS = (
    *("startup", "drop", "threads", "validation", "pidfile"),
    *("descriptors", "daemon", "audit", "profiles", "memory"),
)


def main() -> int:
    """Run the subjects that were asked for, and print or write the table."""
    words = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure abdicate beside its peers, alternately in one run.",
    )
    words.add_argument("--quick", action="store_true", help="a fifth of the rounds, less of each")
    words.add_argument(
        "--only",
        metavar="NAME",
        action="append",
        choices=_SUBJECTS,
        help=f"one subject, may be repeated: {', '.join(_SUBJECTS)}",
    )
    words.add_argument("--output", metavar="FILE", help="write the table there as well")
    options = words.parse_args()
    if options.output:
        try:
            # Now, and not after minutes.
            open(options.output, "a", encoding="utf-8").close()
        except OSError as error:
            words.error(f"--output {options.output}: {error.strerror}")
    lines = _preface(options.quick)
    print("\n".join(lines), flush=True)
    begun = time.perf_counter()
    contests: list[Contest] = []
    for name in options.only or _SUBJECTS:
        subject = import_module(f"benchmarks.{name}")
        for contest in subject.contests(options.quick):
            contest.run()
            contests.append(contest)
            print(contest.row(), flush=True)
    end = _summary(contests, time.perf_counter() - begun)
    print(end)
    if options.output:
        with open(options.output, "w", encoding="utf-8") as file:
            file.write("\n".join([*lines, *(contest.row() for contest in contests), end]) + "\n")
    return 0


def _preface(quick: bool) -> list[str]:
    rounds = " (`--quick`: few rounds)" if quick else ""
    return [
        f"Measured on {date.today().isoformat()} by `python -m benchmarks`{rounds}.",
        "",
        *described(),
        "",
        "| what | abdicate | others | ratio | goal | |",
        "|---|---|---|---|---|---|",
    ]


def _summary(contests: list[Contest], seconds: float) -> str:
    judged = [contest.met for contest in contests if contest.met is not None]
    return f"\nMedians; {sum(judged)} of {len(judged)} goals are met. The run took {seconds:.0f} s."


if __name__ == "__main__":
    sys.exit(main())
