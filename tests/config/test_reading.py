"""What a config file means: the same in every format, with parents and the environment."""

from __future__ import annotations

import json
import pathlib

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from abdicate.errors import ConfigError
from abdicate.specs.config import Config, load_config

_NAMES = st.from_regex(r"[a-z][a-z0-9_-]{0,12}", fullmatch=True)
_DROPS = st.fixed_dictionaries(
    {"user": _NAMES},
    optional={
        "group": _NAMES,
        "umask": st.integers(0, 0o777).map(lambda mode: f"{mode:04o}"),
        "no_new_privs": st.booleans(),
        "nice": st.integers(-20, 19),
    },
)
_TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=["Cc"]))
_PROFILES = st.fixed_dictionaries(
    {"drop": _DROPS},
    optional={
        "description": _TEXT,
        "exec": st.lists(_TEXT.filter(bool), min_size=1, max_size=4),
    },
)


class _Quoting(yaml.SafeDumper):
    """Quotes each text, since PyYAML leaves some plain that YAML's versions read differently."""


_Quoting.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
)


def _toml(profiles: dict[str, dict[str, object]]) -> str:
    # A JSON text, list, number or boolean is TOML too, and DEL alone is not.
    lines = []
    for name, table in profiles.items():
        plain = {key: value for key, value in table.items() if key != "drop"}
        lines.append(f"[profiles.{name}]")
        lines += [
            f"{key} = {json.dumps(value)}".replace("\x7f", "\\u007f")
            for key, value in plain.items()
        ]
        drop = table["drop"]
        assert isinstance(drop, dict)
        lines.append(f"[profiles.{name}.drop]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in drop.items()]
    return "\n".join(lines) + "\n"


def _load(folder: pathlib.Path, name: str, text: str, **environ: str) -> Config:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    file.chmod(0o644)
    return load_config(file, environ=environ)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.dictionaries(_NAMES, _PROFILES, min_size=1, max_size=3))
def test_reads_the_same_from_every_format(
    tmp_path: pathlib.Path, profiles: dict[str, dict[str, object]]
) -> None:
    """A profile written as TOML, JSON and YAML is one and the same profile."""
    data = {"version": 1, "profiles": profiles}
    from_toml = _load(tmp_path, "c.toml", _toml(profiles)).profiles
    from_json = _load(tmp_path, "c.json", json.dumps(data)).profiles
    from_yaml = _load(tmp_path, "c.yaml", yaml.dump(data, Dumper=_Quoting)).profiles

    assert from_toml == from_json == from_yaml
    assert from_toml.keys() == profiles.keys()


_BASE = (
    '[profiles.base]\nabstract = true\ndrop = "nobody:nogroup"\n[profiles.web]\nextends = "base"\n'
)


def test_merges_a_parents_short_form_with_a_childs_table(tmp_path: pathlib.Path) -> None:
    """A parent's drop = "user:group" and a child's table of other keys are both kept."""
    config = _load(tmp_path, "c.toml", _BASE + 'drop = {umask = "0027"}\n')

    request = config.profiles["web"].service().drop
    assert (str(request.owner.user), str(request.owner.group)) == ("nobody", "nogroup")
    assert request.policy.umask == 0o027
    assert list(config.profiles) == ["web"]


def test_a_child_that_names_a_user_does_not_inherit_the_group(tmp_path: pathlib.Path) -> None:
    """Half of an identity is nobody's."""
    config = _load(tmp_path, "c.toml", _BASE + 'drop = {user = "daemon"}\n')

    owner = config.profiles["web"].service().drop.owner
    assert (str(owner.user), owner.group) == ("daemon", None)


def test_the_environment_overrides_a_key(tmp_path: pathlib.Path) -> None:
    """ABDICATE__WEB__DROP__USER sets profiles.web.drop.user; a JSON value is read as JSON."""
    config = _load(
        tmp_path,
        "c.toml",
        _BASE,
        ABDICATE__WEB__DROP__USER="www",
        ABDICATE__WEB__EXEC='["id","-u"]',
    )

    assert str(config.profiles["web"].service().drop.owner.user) == "www"
    assert config.profiles["web"].exec == ("id", "-u")


@pytest.mark.parametrize(
    "variable", ["ABDICATE__WBE__DROP", "ABDICATE__WEB__DROP__USR", "ABDICATE__"]
)
def test_refuses_a_variable_that_sets_nothing(tmp_path: pathlib.Path, variable: str) -> None:
    """An override of a profile or key that does not exist is an error."""
    with pytest.raises(ConfigError):
        _load(tmp_path, "c.toml", _BASE, **{variable: "x"})


def test_tells_where_a_key_stands(tmp_path: pathlib.Path) -> None:
    """line_of gives the key's line, and its table's where it does not stand in the file."""
    config = _load(tmp_path, "c.toml", '# web\n[profiles.web.drop]\nuser = "nobody"\n')

    assert config.line_of("web", "drop.user") == 3
    assert config.line_of("web", "drop.umask") == 2


def test_tells_where_a_key_of_json_stands(tmp_path: pathlib.Path) -> None:
    """Braces and quotes within texts are not the format's own."""
    text = '{"profiles": {\n "web": {"exec": ["a{", "b\\"["],\n  "drop":\n {"user": "nobody"}}}}'
    config = _load(tmp_path, "c.json", text)

    assert config.line_of("web", "exec") == 2
    assert config.line_of("web", "drop.user") == 4
