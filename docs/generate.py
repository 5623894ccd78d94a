"""Write the parts of the reference that come from the code: ``python docs/generate.py``.

A page holds them between two comments, ``<!-- made: NAME -->`` and ``<!-- end -->``, so that
they can be read in the repository too. ``tests/docs/test_reference.py`` holds them to the code.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import abdicate
from abdicate import cli, platforms, testing
from abdicate.cli import target
from abdicate.cli.options import Parser
from abdicate.executor.apply import apply
from abdicate.identity.capabilities import CapabilitySet, CapabilitySets, Securebits
from abdicate.identity.credentials import Credentials, ResGid, ResUid
from abdicate.identity.ids import Gid, Uid
from abdicate.identity.resolve import Identity
from abdicate.identity.situation import ResourceLimit
from abdicate.kernel import linux, posix
from abdicate.kernel.port import Kernel
from abdicate.plan.plan import PLAN_VERSION, Plan
from abdicate.plan.policy import DropPolicy
from abdicate.plan.report import REPORT_VERSION, Attempt, Check, DropReport, StepOutcome
from abdicate.plan.steps import (
    STEPS,
    ChangeDirectory,
    ChangeRoot,
    DropBounding,
    KeepCapabilities,
    NewSessionKeyring,
    SetAmbient,
    SetCapabilities,
    SetDumpable,
    SetEnvironment,
    SetGid,
    SetGroups,
    SetNice,
    SetNoNewPrivs,
    SetParentDeathSignal,
    SetResourceLimit,
    SetSecurebits,
    SetUid,
    SetUmask,
    Step,
)
from abdicate.process import exits
from abdicate.specs.fields import OWNER_SCHEMA, id_or_name
from abdicate.specs.schema import config_schema
from abdicate.testing import strategies
from abdicate.values import Value

DOCS = Path(__file__).parent


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), ["---"] * len(list(head)), *map(list, rows)]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|")


# The command line, from its parsers.


def parsers() -> dict[str, Parser]:
    """Return the parser of each command, by its name."""
    return {
        name: importlib.import_module(f"abdicate.cli.{name}").parser() for name in cli._COMMANDS
    }


def command_line() -> str:
    """Return every command, with every option."""
    return "\n\n".join(_command(name, words) for name, words in parsers().items())


def _command(name: str, words: Parser) -> str:
    parts = [f"## abdicate {name}", words.description or "", f"```text\n{words.usage}\n```"]
    groups = [(group.title, group._group_actions) for group in words._action_groups]
    # argparse's own two come without a heading: the arguments, and the options of no group.
    loose = [action for _, actions in groups[:2] for action in actions]
    shown = [_option(action) for action in loose if action.dest != "help"]
    if shown:
        parts.append(_table(("option", "means"), shown))
    for title, actions in groups[2:]:
        parts.append(_table((title or "", "means"), [_option(action) for action in actions]))
    return "\n\n".join(parts)


def _option(action: argparse.Action) -> tuple[str, str]:
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    if not action.option_strings:
        return f"`{metavar}…`" if action.nargs else f"`{metavar}`", action.help or ""
    value = "" if action.nargs == 0 else f" {'|'.join(action.choices or ()) or metavar}"
    return ", ".join(f"`{option}{value}`" for option in action.option_strings), action.help or ""


# The config file, from the JSON Schema that the models give.


def config_keys() -> str:
    """Return every key of the config file, table by table."""
    schema = config_schema()
    definitions: dict[str, Any] = schema["$defs"]
    profile = "[profiles.NAME]"
    tables = {
        f"### `{profile}`": definitions["Profile"],
        "### `drop`": _table_form(definitions["PrivilegeDrop"]),
        "### `pidfile`": _table_form(definitions["PidfileSpec"]),
        "### `daemon`": definitions["DaemonSettings"],
    }
    parts = []
    for heading, table in tables.items():
        wanted = table.get("required", ())
        rows = [
            (
                f"`{key}`",
                _kind(value, definitions),
                "wanted" if key in wanted else _default(value),
                value.get("description", ""),
            )
            for key, value in table["properties"].items()
        ]
        parts += [heading, _table(("key", "value", "default", "means"), rows)]
    return "\n\n".join(parts)


def _table_form(schema: dict[str, Any]) -> dict[str, Any]:
    return next(form for form in schema["anyOf"] if form.get("type") == "object")


def _default(schema: dict[str, Any]) -> str:
    value = schema.get("default")
    if value in (None, [], {}):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int) and _is_mode(schema):
        return f'`"{value:04o}"`'
    return f'`"{value}"`' if isinstance(value, str) else f"`{value:g}`"


def _is_mode(schema: dict[str, Any]) -> bool:
    forms = schema.get("anyOf", [])
    return any("[0-7]" in form.get("pattern", "") or _is_modes(form) for form in forms)


def _is_modes(form: dict[str, Any]) -> bool:
    return all(re.fullmatch("0[0-7]{3}", str(text)) for text in form.get("enum", ["no"]))


def _kind(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    """Return in words what may stand there."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if "anyOf" in definitions[name]:
            return "a text, or a table; see below"
        keys = ", ".join(f"`{key}`" for key in definitions[name]["properties"])
        return f"a table: {keys}"
    if "anyOf" in schema or "oneOf" in schema:
        return _one_of(schema, definitions)
    if "CAP_CHOWN" in schema.get("enum", ()):
        return "a capability, capabilities(7)"
    if "enum" in schema:
        return " or ".join(f"`{json_text(value)}`" for value in schema["enum"])
    kind = schema.get("type")
    if kind == "string":
        return "an absolute path" if schema.get("pattern") == "^/" else "a text"
    if kind in ("integer", "number"):
        what = "a whole number" if kind == "integer" else "a number"
        low, high = schema.get("minimum"), schema.get("maximum")
        return what if low is None else f"{what} from {low:g} to {high:g}"
    if kind == "array":
        return f"a list of: {_kind(schema.get('items', {}), definitions)}"
    return {"boolean": "true or false", "object": "a table"}.get(str(kind), "")


def _one_of(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    forms = list(_forms(schema))
    if OWNER_SCHEMA in forms:
        return "an id, a name, or `user:group`"
    if _is_mode(schema):
        return "octal as text, with a leading 0; or a number"
    if id_or_name("user") in forms or id_or_name("group") in forms:
        return "an id, or a name"
    return ", or ".join(dict.fromkeys(_kind(form, definitions) for form in forms))


def _forms(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for form in schema.get("anyOf") or schema.get("oneOf") or [schema]:
        if "oneOf" in form:
            yield from _forms(form)
        elif form.get("type") != "null":
            yield form


def json_text(value: object) -> str:
    """Return *value* as a config file has it."""
    return f'"{value}"' if isinstance(value, str) else str(value)


# Exit statuses, from their constants.

_STATUSES = (
    (0, "all", "It was done, it runs, nothing was found."),
    (
        1,
        "rehearse, daemon --status, check, audit, export --strict",
        "No: the rehearsal failed, nothing runs, something was found, there is a warning.",
    ),
    (cli.EXIT_USAGE, "all but run and daemon", "Wrong usage."),
    (
        cli.EXIT_FAILURE,
        "all",
        "abdicate refused, or failed; in run and daemon, wrong usage too. "
        "The reason is one line on standard error.",
    ),
    (target.EXIT_NOT_EXECUTABLE, "run, daemon", "The command can't be executed."),
    (target.EXIT_NOT_FOUND, "run, daemon", "The command is not found."),
)


def exit_statuses() -> str:
    """Return the statuses of the command line."""
    rows = [(str(status), commands, meaning) for status, commands, meaning in _STATUSES]
    return _table(("status", "command", "means"), rows)


def platform_statuses() -> str:
    """Return the statuses that the function API has names for."""
    names = {
        "EX_OK": "Success.",
        "EX_FAILURE": "Failure of no particular kind.",
        "EX_USAGE": "Wrong usage.",
        "EX_UNAVAILABLE": "A service is unavailable.",
        "EX_CANTCREAT": "A file can't be made: `create_pidlock` found the pidfile held.",
    }
    rows = [(f"`{name}`", str(getattr(exits, name)), means) for name, means in names.items()]
    return _table(("name", "status", "means"), rows)


# The API, by its names; Sphinx reads the docstrings.

_MODULES = (abdicate, platforms, testing, strategies)


def api() -> str:
    """Return autodoc's directives, one for each public name."""
    parts = []
    for module in _MODULES:
        directives = "\n\n".join(
            _directive(module.__name__, name, getattr(module, name)) for name in module.__all__
        )
        parts.append(f"## {module.__name__}\n\n```{{eval-rst}}\n{directives}\n```")
    return "\n\n".join(parts)


def _directive(module: str, name: str, value: object) -> str:
    if inspect.isclass(value):
        if issubclass(value, BaseException):
            if module != abdicate.__name__ and name in abdicate.__all__:
                return f".. py:exception:: {module}.{name}\n\n   The same as `abdicate.{name}`."
            return f".. autoexception:: {module}.{name}\n   :members:"
        return f".. autoclass:: {module}.{name}\n   :members:"
    if inspect.isroutine(value):
        return f".. autofunction:: {module}.{name}"
    return f".. py:data:: {module}.{name}\n\n   {_said_of(name, value)}"


_CONSTANTS = {
    "DAEMON_WORKDIR": "The directory that a daemon goes to where none is named.",
    "IS_WINDOWS": "Whether this is Windows.",
    "IS_macOS": "Whether this is macOS.",
    "PIDFILE_FLAGS": "The flags with which Celery opens a pidfile; kept for those who import it.",
    "PIDFILE_MODE": "The mode of a pidfile.",
    "PIDLOCKED": "The message for a pidfile that is held.",
    "ROOT_DISALLOWED": "The message of `check_privileges` where root would accept pickle.",
    "ROOT_DISCOURAGED": "The message of `check_privileges` where the process is root.",
    "SIGMAP": "Names of signals by number.",
    "SIGNAMES": "Names of signals, without SIG.",
    "SYSTEM": "The platform's name, as uname(2) gives it.",
    "signals": "The one `Signals`.",
}


def _said_of(name: str, value: object) -> str:
    if name.startswith("EX_"):
        return f"Exit status {value}."
    return _CONSTANTS[name]


# Platforms, from the adapters.

_NETWORK = CapabilitySet.parse(["CAP_NET_BIND_SERVICE"])
_SAMPLES: tuple[Step, ...] = (
    SetResourceLimit(ResourceLimit("core", 0, 0)),
    SetNice(0),
    NewSessionKeyring(),
    ChangeRoot("/"),
    DropBounding(_NETWORK),
    KeepCapabilities(True),
    SetGroups(()),
    SetGid(Gid(1)),
    SetUid(Uid(1)),
    SetCapabilities(_NETWORK, _NETWORK, _NETWORK),
    SetAmbient(_NETWORK),
    SetSecurebits(Securebits(0)),
    SetParentDeathSignal(15),
    SetDumpable(False),
    SetNoNewPrivs(),
    ChangeDirectory("/"),
    SetUmask(0o22),
    SetEnvironment(),
)


class _Recorder:
    """Stands where the executor has its kernel, and writes down what it is asked."""

    def __init__(self) -> None:
        self.called: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: self.called.append(name)


def calls_of(step: Step) -> list[str]:
    """Return the methods of the kernel port that *step* is made with."""
    recorder = _Recorder()
    apply(cast(Kernel, recorder), step)
    return list(dict.fromkeys(recorder.called))


def _methods(module: ModuleType) -> dict[str, ast.FunctionDef]:
    """Return an adapter's methods as source: read, so that any machine gives the same page."""
    source = Path(inspect.getsourcefile(module) or "").read_text(encoding="utf-8")
    found: dict[str, ast.FunctionDef] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef) and node.name.endswith("Kernel"):
            found |= {sub.name: sub for sub in node.body if isinstance(sub, ast.FunctionDef)}
    return found


def _is_missing(method: ast.FunctionDef) -> bool:
    last = method.body[-1]
    return isinstance(last, ast.Raise) and "_no_such_call" in ast.unparse(last)


def platform_steps() -> str:
    """Return which step can be made on which platform."""
    here, there = _methods(linux), _methods(posix)
    rows = []
    for kind, step in zip(STEPS, _SAMPLES, strict=True):
        called = calls_of(step)
        on_linux = all(not _is_missing(here.get(name) or there[name]) for name in called)
        elsewhere = all(not _is_missing(there[name]) for name in called)
        special = any("darwin" in ast.unparse(there[name]) for name in called)
        on_macos = "no"
        if elsewhere:
            on_macos = f"`{step.call.replace('res', '')}`" if special else "yes"
        rows.append(
            (
                f"`{kind}`",
                f"`{step.call}`" if step.call else "",
                step.scope,
                "yes" if on_linux else "no",
                "yes" if elsewhere else "no",
                on_macos,
            )
        )
    return _table(("step", "call", "acts on", "Linux", "FreeBSD, OpenBSD", "macOS"), rows)


_STATUS = """Uid:	1	1	1	1
Gid:	1	1	1	1
Groups:	1
CapInh:	0
CapPrm:	0
CapEff:	0
CapBnd:	0
CapAmb:	0
NoNewPrivs:	0
Seccomp:	0
Umask:	0022
"""


def platform_slots() -> str:
    """Return which slot of the credentials is read back on which platform."""
    told = Credentials.parse(_STATUS).slots()
    bsd, macos = _posix_slots(saved=True), _posix_slots(saved=False)
    rows = [
        (
            slot,
            "every thread" if value is not None else "the calling thread",
            bsd.get(slot, "not verified"),
            macos.get(slot, "not verified"),
        )
        for slot, value in told.items()
    ]
    return _table(("slot", "Linux", "FreeBSD, OpenBSD", "macOS"), rows)


def _posix_slots(*, saved: bool) -> dict[str, str]:
    """Return what `Credentials.by_calls` fills in where only POSIX's calls are."""
    source = inspect.getsource(Credentials.by_calls)
    # What comes from abdicate.identity.native is None off Linux: each function there says so.
    none = set(re.findall(r"(\w+)=native\.", source))
    slots = dict.fromkeys(("real uid", "effective uid", "saved uid"), "the process")
    slots |= {slot.replace("uid", "gid"): text for slot, text in slots.items()}
    slots["supplementary groups"] = "the process"
    assert not none & {"uid", "gid", "groups"}
    blind = _unverifiable()
    if not saved:
        slots |= {slot: "not verified" for slot in blind if slot in slots}
    for slot in Credentials.parse(_STATUS).slots():
        if slot not in slots:
            slots[slot] = "not verified" if slot in blind else "there is none"
    return slots


def _unverifiable() -> set[str]:
    text = ast.unparse(_methods(posix)["platform"])
    return set(re.findall(r"'(saved \wid|umask)'", text))


# The JSON of plans and reports, from the values and the steps.


def plan_fields() -> str:
    """Return the keys of a plan and of what is in it."""
    versions = f"`version` is {PLAN_VERSION} for a plan, {REPORT_VERSION} for a report.\n\n"
    kinds: tuple[type[Value], ...] = (
        Plan,
        Identity,
        DropPolicy,
        Credentials,
        ResUid,
        ResGid,
        CapabilitySets,
        ResourceLimit,
        DropReport,
        StepOutcome,
        Check,
        Attempt,
    )
    rows = [
        (f"`{kind.__name__}`", f"`{field}`", _json_kind(annotation))
        for kind in kinds
        for field, annotation in kind.__fields__.items()
    ]
    return versions + _table(("object", "key", "value"), rows)


def plan_steps() -> str:
    """Return the steps by their kind, with the keys of each."""
    rows = [
        (
            f"`{kind}`",
            ", ".join(f"`{field}`: {_json_kind(a)}" for field, a in step.__fields__.items())
            or "none",
        )
        for kind, step in STEPS.items()
    ]
    return _table(("kind", "keys besides `kind`"), rows)


_JSON_KINDS = {
    "int": "a whole number",
    "bool": "true or false",
    "str": "a text",
    "Uid": "a uid",
    "Gid": "a gid",
    "CapabilitySet": "a list of capabilities",
    "Securebits": "a list of securebits",
    "Step": "a step",
    "EnvironmentPolicy": "`account`, `keep` or `reset`",
    "Result": "`done`, `failed` or `not reached`",
    "Verdict": "`ok`, `mismatch` or `not verified`",
    "AttemptResult": "`refused`, `succeeded` or `not tried`",
}


def _json_kind(annotation: str) -> str:
    if annotation.endswith(" | None"):
        return _json_kind(annotation.removesuffix(" | None")) + ", or null"
    if annotation.startswith("tuple["):
        inner = annotation.removeprefix("tuple[").removesuffix("]")
        item, _, rest = inner.partition(", ")
        if rest == "...":
            return f"a list, of each: {_json_kind(item)}"
        if inner.startswith("tuple["):
            return f"a list, of each: {_json_kind(inner.removesuffix(', ...'))}"
        return "a list of two texts"
    return _JSON_KINDS.get(annotation, f"`{annotation}`")


def order() -> str:
    """Return the steps in the planner's order, each with the reason for its place."""
    rows = [
        (str(number), f"`{kind}`", f"`{step.call}`" if step.call else "", step.reason)
        for number, (kind, step) in enumerate(STEPS.items(), 1)
    ]
    return _table(("", "step", "call", "why here"), rows)


SECTIONS: dict[str, dict[str, Callable[[], str]]] = {
    "reference/command-line.md": {"commands": command_line},
    "reference/config.md": {"keys": config_keys},
    "reference/exit-status.md": {"commands": exit_statuses, "functions": platform_statuses},
    "reference/api.md": {"names": api},
    "reference/platforms.md": {"steps": platform_steps, "slots": platform_slots},
    "explanation/order.md": {"order": order},
    "reference/plan-json.md": {"objects": plan_fields, "steps": plan_steps},
}


def filled(page: str) -> str:
    """Return the page with its made parts as the code has them now."""
    text = (DOCS / page).read_text(encoding="utf-8")
    for name, make in SECTIONS[page].items():
        before, mark, rest = text.partition(f"<!-- made: {name} -->\n")
        _, end, after = rest.partition("<!-- end -->")
        if not mark or not end:
            raise ValueError(f"{page} has no place for {name!r}")
        text = f"{before}{mark}\n{make()}\n\n{end}{after}"
    return text


def written() -> Iterator[Path]:
    """Write every page, and yield those that have changed."""
    for page in SECTIONS:
        path, text = DOCS / page, filled(page)
        if path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            yield path


if __name__ == "__main__":
    for changed in written():
        print(changed)
