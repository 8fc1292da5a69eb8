"""The JSON Schema of a person's copy, made of the parts; `export.schema.json` is its print. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ARRAY, Boolean, Column, Date, DateTime, Integer, Numeric
from sqlalchemy.dialects.postgresql import JSONB

from schema.inputs import camel
from schema.tags import Personal

from .copy import ACTORS, FORMAT, HEAD, OF_PART
from .parts import PARTS, Part

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TEXT: Mapping[str, Any] = {"type": "string"}
TEXTS: Mapping[str, Any] = {"type": "array", "items": TEXT}
TIME: Mapping[str, Any] = {"type": "string", "format": "date-time"}
ID: Mapping[str, Any] = {"type": "string", "contentEncoding": "base64"}
BY_NAME: Mapping[str, Any] = {"type": "object", "additionalProperties": TEXT}
# What the keys of the head hold, where it is no plain text.
OF_HEAD: Mapping[str, Mapping[str, Any]] = {
    "format": {"const": FORMAT},
    "madeAt": TIME,
    "request": ID,
    "subject": ID,
    "purposes": BY_NAME,
    "recipients": BY_NAME,
    "retention": BY_NAME,
    "rights": TEXTS,
}
MADE: Mapping[str, Mapping[str, Any]] = {
    "carrier": {"type": ["string", "null"], "description": "the name of the carrier"},
    "changed": {**ID, "description": "the global id of what was changed"},
    "target": {**ID, "description": "the global id of what is held"},
}


def export_schema() -> dict[str, Any]:
    """The schema; whatever it does not name is in no copy."""
    head = {key: OF_HEAD.get(key, TEXT) for key in HEAD}
    nullable = {"type": ["string", "null"]}
    names = ("name", "address", "contact")
    head["controller"] = _object({**dict.fromkeys(names, TEXT), "dataProtectionOfficer": nullable})
    parts = {part.name: _part(part) for part in PARTS}
    whole = _object({**head, "parts": _object(parts)})
    return {
        "$schema": DIALECT,
        "title": "A copy of the personal data that the register holds about one person",
        "description": "GDPR Articles 15 and 20. Times are UTC (RFC 3339), amounts decimal texts, ids those"
        " of the GraphQL schema. A part without rows has an empty list.",
        **whole,
    }


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def _part(part: Part) -> dict[str, Any]:
    about: dict[str, Any] = {**dict.fromkeys(OF_PART, TEXTS), "heading": {"const": part.heading}}
    rows: dict[str, Any] = {
        key: {**ID, **_may_be_null(part.table.c[column])} for key, (_, column) in part.ids.items()
    }
    rows |= {camel(column.name): _column(column) for column in part.columns}
    rows |= {name: MADE[name] for name in part.made}
    return _object({**about, "rows": {"type": "array", "items": _object(rows)}})


def _may_be_null(column: Column[Any]) -> dict[str, Any]:
    return {"type": ["string", "null"]} if column.nullable else {}


def _column(column: Column[Any]) -> dict[str, Any]:
    found = dict(_kind(column))
    if column.nullable:
        found["type"] = [found["type"], "null"]
    tag = column.info.get("tag")
    return {**found, "description": tag.category} if isinstance(tag, Personal) else found


def _kind(column: Column[Any]) -> Mapping[str, Any]:
    if column.name == "actor":
        return {"type": "string", "enum": [*ACTORS.values(), "SYSTEM"]}
    match column.type:
        case ARRAY():
            return TEXTS
        case JSONB():
            return {"type": "array", "items": {"type": "object"}}
        case Boolean():
            return {"type": "boolean"}
        case Integer():
            return {"type": "integer"}
        case Numeric():
            return {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}
        case DateTime():
            return TIME
        case Date():
            return {"type": "string", "format": "date"}
        case _:
            return TEXT
