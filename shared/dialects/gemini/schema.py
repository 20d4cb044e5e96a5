"""Google's `Schema`, a subset of OpenAPI's with types in capitals, as the JSON schema that it means. Pure."""

from typing import Any

from shared.dialects.gemini.fields import camel, counted

SAME = frozenset(
    {
        "title",
        "description",
        "format",
        "pattern",
        "enum",
        "required",
        "default",
        "minimum",
        "maximum",
        "additionalProperties",
    }
)
COUNTS = frozenset(
    {"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"}
)
"""Sent as texts by strict writers: 64-bit numbers are, in Google's JSON."""
NAMED = frozenset({"properties", "$defs", "defs"})


def json_schema(schema: object) -> Any:
    """Return the JSON schema that a schema of Google's means; what is one already stays as it is."""
    if not isinstance(schema, dict):
        return schema
    found: dict[str, Any] = {}
    for given, value in schema.items():
        if value is not None:
            _take(found, given, value)
    if schema.get("nullable") is True:
        _allow_null(found)
    return found


def _take(found: dict[str, Any], given: str, value: Any) -> None:
    name = given if given.startswith("$") else camel(given)
    if name in NAMED and isinstance(value, dict):
        found[name] = {key: json_schema(each) for key, each in value.items()}
    elif name == "type":
        _take_type(found, value)
    elif name in ("items", "not", "additionalProperties"):
        found[name] = json_schema(value)
    elif name in ("anyOf", "oneOf", "allOf", "prefixItems") and isinstance(value, list):
        found[name] = [json_schema(each) for each in value]
    elif name in COUNTS and counted(value) is not None:
        found[name] = counted(value)
    elif name == "example":
        found["examples"] = [value]
    elif name not in ("nullable", "propertyOrdering"):
        # A name that is not Google's own is a JSON schema's, and stays.
        found[name if name in SAME | COUNTS else given] = value


def _take_type(found: dict[str, Any], value: Any) -> None:
    if isinstance(value, list):
        found["type"] = [each.lower() if isinstance(each, str) else each for each in value]
    elif isinstance(value, str) and value != "TYPE_UNSPECIFIED":
        found["type"] = value.lower()


def _allow_null(found: dict[str, Any]) -> None:
    kind = found.get("type")
    if isinstance(kind, str):
        found["type"] = [kind, "null"]
    elif isinstance(found.get("anyOf"), list):
        found["anyOf"].append({"type": "null"})
    if isinstance(found.get("enum"), list) and None not in found["enum"]:
        found["enum"] = [*found["enum"], None]
