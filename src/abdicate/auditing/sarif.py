"""Findings as SARIF 2.1.0, the format in which code review tools take them."""

from __future__ import annotations

from abdicate.auditing.findings import RULES, Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["sarif"]

# OASIS SARIF 2.1.0, section 3.27.10: the levels that a result may have.
_LEVELS = {"error": "error", "warning": "warning", "info": "note"}


def sarif(found: Iterable[tuple[str, int | None, Finding]], version: str) -> dict[str, object]:
    """Return a SARIF log of one run.

    Args:
        found: each finding, with its file and line (None where it is not known).
        version: abdicate's version.
    """
    rules = [
        {
            "id": rule.code,
            "shortDescription": {"text": rule.title},
            "defaultConfiguration": {"level": _LEVELS[rule.severity]},
            "help": {"text": f"docs/findings/{rule.code}.md"},
        }
        for rule in RULES.values()
    ]
    index = {code: number for number, code in enumerate(RULES)}
    results = [
        {
            "ruleId": finding.code,
            "ruleIndex": index[finding.code],
            "level": _LEVELS[finding.severity],
            "message": {"text": f"{finding.profile}: {finding.message}"},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": path},
                        "region": {"startLine": line or 1},
                    },
                    "logicalLocations": [
                        {"fullyQualifiedName": f"profiles.{finding.profile}.{finding.key}"}
                    ],
                }
            ],
        }
        for path, line, finding in found
    ]
    driver = {"name": "abdicate", "version": version, "rules": rules}
    return {
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/"
        "sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    }
