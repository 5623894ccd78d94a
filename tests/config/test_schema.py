"""The JSON Schema: committed as it is generated, and of one mind with the reader."""

from __future__ import annotations

import json
import pathlib
import tomllib

import jsonschema
import pytest

from abdicate.specs.schema import config_schema

_COMMITTED = pathlib.Path(__file__).parents[2] / "docs" / "reference" / "config.schema.json"

_GOOD = [
    '[profiles.web]\ndrop = "nobody"\n',
    'version = 1\n[profiles.base]\nabstract = true\n[profiles.web]\nextends = "base"\n',
    '[profiles.web]\ndrop = {user = "nobody", umask = "0027"}\nexec = ["id"]\n',
]
_BAD = [
    "",
    "version = 2\n[profiles.web]\ndrop = 'nobody'\n",
    "[profiles.web]\n",
    '[profiles.web]\ndrop = {usr = "nobody"}\n',
    '[profiles.web]\ndrop = "nobody"\nexec = "id"\n',
    "[profiles.'a b']\ndrop = 'nobody'\n",
]


def test_the_committed_schema_is_the_generated_one() -> None:
    """What editors are given is what `abdicate schema` prints."""
    assert json.loads(_COMMITTED.read_text()) == config_schema()


def test_is_a_schema_of_2020_12_with_examples_that_it_accepts() -> None:
    """The schema is valid, has a URN for its id, and its examples follow it."""
    schema = config_schema()
    jsonschema.Draft202012Validator.check_schema(schema)

    assert schema["$id"].startswith("urn:")
    for example in schema["examples"]:
        jsonschema.Draft202012Validator(schema).validate(example)


@pytest.mark.parametrize("text", _GOOD)
def test_accepts_good_files(text: str) -> None:
    """A file that can be read follows the schema."""
    jsonschema.Draft202012Validator(config_schema()).validate(tomllib.loads(text))


@pytest.mark.parametrize("text", _BAD)
def test_refuses_bad_files(text: str) -> None:
    """A file of another shape does not follow the schema."""
    assert not jsonschema.Draft202012Validator(config_schema()).is_valid(tomllib.loads(text))
