"""Write one JSON file a host, and summary.json, of what the playbook's hosts answered.

Reads ``{host: {"check": answer, "audit": answer}}`` from standard input, each answer as Ansible
registers it. Exit status 1 where a host is not as it should be, or gave no answer.

    python3 gather.py FOLDER < answers.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def read(host: str, answers: dict[str, Any]) -> dict[str, Any]:
    """Return what one host found: ``check``, ``audit`` a process each, and ``errors``."""
    check, audit = answers["check"], answers["audit"]
    found: dict[str, Any] = {"version": 1, "host": host, "check": None, "audit": [], "errors": []}
    for name, answer in (("check", check), ("audit", audit)):
        if answer.get("unreachable"):
            found["errors"].append(f"{name}: unreachable")
        elif answer.get("rc") not in (0, 1):
            # 1 is "something was found"; anything else is no answer: 125, 127, no ssh.
            found["errors"].append(f"{name}: status {answer.get('rc')}: {_said(answer)}")
    try:
        if not any(error.startswith("check:") for error in found["errors"]):
            # Over ssh with a terminal, what was said on standard error comes in between.
            text = check["stdout"]
            found["check"], _ = json.JSONDecoder().raw_decode(text, max(text.find("{"), 0))
        lines = audit.get("stdout", "").splitlines()
        found["audit"] = [json.loads(line) for line in lines if line.startswith("{")]
    except ValueError as error:
        found["errors"].append(f"not JSON: {error}")
    if not found["audit"] and not found["errors"]:
        found["errors"].append("audit: no process was read")
    return found


def _said(answer: dict[str, Any]) -> str:
    texts = (str(answer.get(name, "")).strip() for name in ("stderr", "stdout", "msg"))
    return next(filter(None, texts), "nothing was said")


def codes(found: dict[str, Any]) -> list[str]:
    """Return the code of each finding of one host; ``DIFFERS slot`` for a deviation."""
    check = found["check"] or {"findings": [], "errors": []}
    named = [finding["code"] for finding in check["findings"]]
    named += ["config error"] * len(check["errors"])
    for process in found["audit"]:
        slots = {deviation["slot"] for deviation in process["deviations"] or ()}
        named += [f"DIFFERS {slot}" for slot in sorted(slots)]
        # Each process tells its ways back to root; only those of a wrong one are news.
        named += [] if process["ok"] else [way["code"] for way in process["regains"]]
    return named


def summary(hosts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return findings by code, each with its hosts; the hosts that differ, that did not answer."""
    by_code: dict[str, list[str]] = {}
    for found in hosts:
        for code in dict.fromkeys(codes(found)):
            by_code.setdefault(code, []).append(found["host"])
    return {
        "version": 1,
        "hosts": len(hosts),
        "findings": dict(sorted(by_code.items())),
        "differ": [h["host"] for h in hosts if not all(p["ok"] for p in h["audit"])],
        "failed": {h["host"]: h["errors"] for h in hosts if h["errors"]},
    }


def main() -> int:
    """Write the files, print the summary, return the exit status."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    hosts = [read(host, answers) for host, answers in sorted(json.load(sys.stdin).items())]
    for found in hosts:
        _write(folder / f"{found['host']}.json", found)
    whole = summary(hosts)
    _write(folder / "summary.json", whole)
    print(json.dumps(whole, indent=2))
    return 1 if whole["findings"] or whole["differ"] or whole["failed"] else 0


def _write(path: Path, data: dict[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
