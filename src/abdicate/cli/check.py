"""``abdicate check``: config files, judged: what is wrong with them, and what is risky."""

from __future__ import annotations

import json

from abdicate.auditing.findings import RULES
from abdicate.cli.console import UsageError, complain, say
from abdicate.cli.options import Parser
from abdicate.cli.profiles import WithoutPlugIns
from abdicate.errors import ConfigError, ConfigProblem, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from abdicate.auditing.findings import Finding
    from abdicate.auditing.lint import Surroundings

    Placed = tuple[str, int | None, Finding]

__all__ = ["main", "parser"]

_VERSION = 1
_EXIT_FINDINGS = 1


def parser() -> Parser:
    """Return what the command line of ``check`` may say."""
    words = Parser(
        "check",
        "Judge config files: errors, and findings, each with a code that the documentation "
        "explains. Exit status 1 where there is an error or a warning.",
        "[OPTION…] FILE…",
    )
    words.add_argument("files", metavar="FILE", nargs="+", help="TOML, JSON or YAML")
    words.add_argument("--ignore", metavar="CODE,CODE…", default="", help="leave these out")
    shape = words.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="as JSON")
    shape.add_argument("--sarif", action="store_true", help="as SARIF 2.1.0")
    return words


def main(words: list[str]) -> int:
    """Print what was found. Return 1 where there is an error or a warning, else 0."""
    options = parser().parse_args(words)
    ignore: str = options.ignore
    ignored = frozenset(filter(None, ignore.split(",")))
    for code in sorted(ignored - RULES.keys()):
        raise UsageError(f"--ignore: there is no finding {code[:40]!r}")
    found: list[Placed] = []
    problems: list[ConfigProblem] = []
    around = _surroundings()
    for path in options.files:
        try:
            found += _judged(path, around)
        except ConfigError as error:
            problems += error.problems
        except OSError as error:
            problems.append(ConfigProblem(path, None, "", error.strerror or str(error)))
    found = [placed for placed in found if placed[2].code not in ignored]
    if options.json:
        say(json.dumps(_data(found, problems), indent=2))
    elif options.sarif:
        from abdicate import __version__
        from abdicate.auditing.sarif import sarif

        say(json.dumps(sarif(found, __version__), indent=2))
    elif found:
        say("\n".join(_line(*placed) for placed in found))
    if not options.json:
        for problem in problems:
            complain("check", str(problem))
    bad = any(finding.severity != "info" for _, _, finding in found)
    return _EXIT_FINDINGS if bad or problems else 0


def _surroundings() -> Surroundings:
    from abdicate.auditing.lint import Surroundings
    from abdicate.identity.accounts import SystemAccounts
    from abdicate.identity.cached import CachedAccounts
    from abdicate.identity.credentials import Credentials
    from abdicate.kernel.namespace import all_subordinate_ranges

    return Surroundings(
        CachedAccounts(SystemAccounts()),
        Credentials.current(),
        subordinate=all_subordinate_ranges("/etc/subuid"),
    )


def _judged(path: str, around: Surroundings) -> list[Placed]:
    from abdicate.auditing.findings import Finding
    from abdicate.auditing.lint import lint
    from abdicate.errors import AbdicateError

    with WithoutPlugIns():
        from abdicate.specs.config import load_config

        config = load_config(path, any_owner=True)
    found: list[Placed] = []
    for name, profile in config.profiles.items():
        try:
            service = profile.service(around.accounts)
        except AbdicateError as error:
            rule = RULES["ABD106"]
            unknown = Finding(rule.code, rule.severity, name, "pidfile", str(error))
            found.append((path, config.line_of(name, "pidfile"), unknown))
            continue
        found += [
            (path, config.line_of(name, finding.key), finding) for finding in lint(service, around)
        ]
    return found


def _line(path: str, line: int | None, finding: Finding) -> str:
    place = path if line is None else f"{path}:{line}"
    key = f"{finding.profile}.{finding.key}"
    return printable(f"{place}: {finding.code} {finding.severity}: {key}: {finding.message}")


def _data(found: list[Placed], problems: list[ConfigProblem]) -> dict[str, object]:
    return {
        "version": _VERSION,
        "errors": [
            {"file": problem.path, "line": problem.line, "key": problem.key, "rule": problem.rule}
            for problem in problems
        ],
        "findings": [
            {
                "file": path,
                "line": line,
                "code": finding.code,
                "severity": finding.severity,
                "profile": finding.profile,
                "key": finding.key,
                "message": finding.message,
            }
            for path, line, finding in found
        ],
    }
