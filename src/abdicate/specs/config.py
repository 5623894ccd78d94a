"""`load_config`: profiles from a TOML, JSON or YAML file."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping

from pydantic import Field

from abdicate.specs.base import Spec
from abdicate.specs.profile import Profile

__all__ = ["Config", "load_config"]


class Config(Spec, frozen=True):
    """The profiles of one file."""

    profiles: Mapping[str, Profile] = Field(description="Profiles by name.")


def load_config(
    path: str | os.PathLike[str], *, environ: Mapping[str, str] | None = None
) -> Config:
    """Return the profiles of a config file."""
    with open(path, "rb") as file:
        data = tomllib.load(file)
    return Config(
        profiles={
            name: Profile.model_validate({"name": name, **fields})
            for name, fields in data["profiles"].items()
        }
    )
