"""What every spec is."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic_core import CoreSchema

from abdicate.specs.fields import JsonSchema

__all__ = ["Spec"]


class Spec(BaseModel, frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True):
    """A model that is immutable, and has no unknown keys and no lenient conversions."""

    #: The JSON Schema of what may be written in place of the object; None for nothing.
    short_form: ClassVar[JsonSchema | None] = None

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchema:
        whole = handler(schema)
        return whole if cls.short_form is None else {"anyOf": [cls.short_form, whole]}
