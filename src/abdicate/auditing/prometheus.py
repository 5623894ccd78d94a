"""Audits as metrics, for node_exporter's textfile collector: Prometheus text format 0.0.4."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from abdicate.auditing.running import ProcessAudit

__all__ = ["metrics"]


def metrics(audits: Iterable[ProcessAudit], profile: str, unseen: int) -> str:
    """Return the text of the metrics.

    Args:
        audits: what was found.
        profile: the profile that was compared with; empty: none.
        unseen: how many processes could not be read.
    """
    found = list(audits)
    states = {"root": 0, "regainable": 0, "clean": 0}
    for audit in found:
        state = "root" if audit.is_root else "regainable" if audit.can_regain else "clean"
        states[state] += 1
    states["unseen"] = unseen
    lines = [
        *_head("abdicate_audit_processes", "Processes by what they could do."),
        *(f"abdicate_audit_processes{_labels(state=name)} {n}" for name, n in states.items()),
        *_head("abdicate_audit_regains", "Ways back to root, by process and code."),
        *_regains(found),
        *_head("abdicate_audit_deviations", "Slots that are not as the profile wants them."),
        *_deviations(found, profile),
    ]
    return "\n".join(lines) + "\n"


def _head(name: str, what: str) -> tuple[str, str]:
    return f"# HELP {name} {what}", f"# TYPE {name} gauge"


def _regains(found: list[ProcessAudit]) -> Iterator[str]:
    for audit in found:
        counts: dict[str, int] = {}
        for regain in audit.regains:
            # Root is counted above: on a whole machine most processes are.
            if regain.code != "AUD100":
                counts[regain.code] = counts.get(regain.code, 0) + 1
        for code, count in counts.items():
            labels = _labels(pid=str(audit.pid), name=audit.name, code=code)
            yield f"abdicate_audit_regains{labels} {count}"


def _deviations(found: list[ProcessAudit], profile: str) -> Iterator[str]:
    for audit in found:
        if audit.deviations is not None:
            labels = _labels(pid=str(audit.pid), name=audit.name, profile=profile)
            yield f"abdicate_audit_deviations{labels} {len(audit.deviations)}"


def _labels(**labels: str) -> str:
    inside = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return "{" + inside + "}"


def _escaped(value: str) -> str:
    # What a process calls itself may be any bytes; the format is UTF-8.
    clean = value.encode("utf-8", "backslashreplace").decode("utf-8")
    return clean.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
