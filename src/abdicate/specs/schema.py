"""The JSON Schema of a config file, for editors and for whoever writes one by program."""

from __future__ import annotations

from abdicate.specs.config import CONFIG_VERSION
from abdicate.specs.fields import JsonSchema
from abdicate.specs.profile import Profile

__all__ = ["config_schema"]

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._\-]{0,99}$"


def config_schema() -> JsonSchema:
    """Return the schema, JSON Schema 2020-12: what a config file may say.

    A profile that extends another may leave anything out, so only what stands in the file is
    judged; whether the whole is complete, ``abdicate check`` tells.
    """
    profile = Profile.model_json_schema(ref_template="#/$defs/{model}")
    definitions: JsonSchema = profile.pop("$defs", {})
    properties: JsonSchema = profile["properties"]
    del properties["name"]
    properties["extends"] = {
        "description": "The profile, or profiles, that this one begins with.",
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
    }
    properties["abstract"] = {
        "description": "It is only there to be extended.",
        "type": "boolean",
        "default": False,
    }
    profile["title"] = "Profile"
    del profile["required"]
    profile["anyOf"] = [
        {"required": ["drop"]},
        {"required": ["extends"]},
        {"required": ["abstract"], "properties": {"abstract": {"const": True}}},
    ]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:abdicate:config:{CONFIG_VERSION}",
        "title": "abdicate config",
        "description": "Who services become, what they hold, and what they execute.",
        "type": "object",
        "properties": {
            "version": {"description": "The version of the format.", "const": CONFIG_VERSION},
            "profiles": {
                "description": "Profiles by name.",
                "type": "object",
                "minProperties": 1,
                "propertyNames": {"pattern": _NAME},
                "additionalProperties": {"$ref": "#/$defs/Profile"},
            },
        },
        "required": ["profiles"],
        "additionalProperties": False,
        "examples": [
            {
                "version": CONFIG_VERSION,
                "profiles": {
                    "web": {
                        "drop": {"user": "www-data", "umask": "0027", "no_new_privs": True},
                        "pidfile": "/run/web.pid",
                        "exec": ["/usr/bin/web", "--port", "80"],
                    }
                },
            }
        ],
        "$defs": {**definitions, "Profile": profile},
    }
