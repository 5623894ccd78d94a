"""The command: ``python -m greeter CONFIG [PORT]``."""

from __future__ import annotations

import sys

from abdicate import AbdicateError, load_config

from greeter.server import Settings, start


def main(words: list[str]) -> int:
    """Return the exit status: 2 for words that make no sense, 1 for a start that failed."""
    if not 1 <= len(words) <= 2 or not all(word.isdecimal() for word in words[1:]):
        print("usage: python -m greeter CONFIG [PORT]", file=sys.stderr)
        return 2
    port = int(words[1]) if len(words) == 2 else 79
    try:
        profile = load_config(words[0]).profile("greeter")
        start(Settings("localhost", port, profile.drop))
    except (AbdicateError, OSError) as error:
        print(f"greeter: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
