"""Schemas of the document in words: what a member is called, what it may be, whether it must be there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from app.core.web.schema import ApiModel

DEEP: Final = 3
Schema = Mapping[str, Any]
_WORDS: Final = {
    "string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "null": "null",
    "object": "object", "date-time": "time", "uri": "address", "binary": "file",
}  # fmt: skip
_LIMITS: Final = {
    "maxLength": "at most {} characters", "minLength": "at least {} characters", "minimum": "from {}",
    "maximum": "up to {}", "maxItems": "at most {} entries", "pattern": "like {}",
}  # fmt: skip


class Member(ApiModel):
    """A member of a body or a parameter; `name` has dots where it lies deeper, `where` is path, query or header."""

    name: str
    kind: str
    required: bool = False
    text: str = ""
    where: str = ""


class Schemas:
    """The named schemas of one document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._named: Mapping[str, Schema] = document.get("components", {}).get("schemas", {})

    def resolved(self, schema: Schema) -> Schema:
        """The schema itself, where it is only named."""
        for _ in range(DEEP):
            if "$ref" not in schema:
                break
            schema = self._named.get(str(schema["$ref"]).rpartition("/")[2], {})
        return schema

    def kind(self, schema: Schema) -> str:
        """What a value may be."""
        schema = self.resolved(schema)
        if "const" in schema:
            return json.dumps(schema["const"], ensure_ascii=False)
        if "enum" in schema:
            return " | ".join(json.dumps(value, ensure_ascii=False) for value in schema["enum"])
        choices = schema.get("oneOf") or schema.get("anyOf")
        if choices:
            return " | ".join(dict.fromkeys(self.kind(choice) for choice in choices))
        kinds = schema.get("type", "anything")
        if isinstance(kinds, list):
            return " | ".join(_WORDS.get(kind, str(kind)) for kind in kinds)
        if kinds == "array":
            return f"list of {self.kind(schema.get('items', {}))}"
        if kinds == "object" and isinstance(schema.get("additionalProperties"), Mapping) and "properties" not in schema:
            return f"map to {self.kind(schema['additionalProperties'])}"
        return _WORDS.get(str(schema.get("format")), _WORDS.get(kinds, str(kinds)))

    def members(self, schema: Schema, before: str = "", deep: int = DEEP) -> Iterator[Member]:
        """The members of an object, those of objects inside after it, three levels down."""
        schema, before = self._object(schema, before)
        required = schema.get("required", ())
        for name, inner in schema.get("properties", {}).items():
            full = f"{before}{name}"
            yield Member(name=full, kind=self.kind(inner), required=name in required, text=self.text(inner))
            if deep > 1:
                yield from self.members(inner, f"{full}.", deep - 1)

    def text(self, schema: Schema) -> str:
        """Its description, limits and default."""
        plain = self._only(self.resolved(schema))
        told = [words.format(plain[key]) for key, words in _LIMITS.items() if key in plain]
        default = schema.get("default", plain.get("default"))
        if default not in (None, "", [], {}):
            told.append(f"default {json.dumps(default, ensure_ascii=False)}")
        first = str(schema.get("description") or "")
        return "; ".join([*filter(None, [first]), *told])

    def _only(self, schema: Schema) -> Schema:
        """The one choice besides null."""
        choices = [one for one in schema.get("oneOf") or schema.get("anyOf") or () if one.get("type") != "null"]
        return self.resolved(choices[0]) if len(choices) == 1 else schema

    def _object(self, schema: Schema, before: str) -> tuple[Schema, str]:
        """The object that a schema is, or of which it is a list or a map, with `[]` or `*` in the name."""
        schema = self._only(self.resolved(schema))
        while schema.get("type") == "array":
            schema, before = self._only(self.resolved(schema.get("items", {}))), f"{before.removesuffix('.')}[]."
        if isinstance(schema.get("additionalProperties"), Mapping) and "properties" not in schema:
            schema, before = self._only(self.resolved(schema["additionalProperties"])), f"{before}*."
        return schema, before
