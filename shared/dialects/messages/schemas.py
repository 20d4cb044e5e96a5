"""JSON schemas in the form that Anthropic's structured output takes. Pure."""

from collections.abc import Mapping
from typing import Any

from shared.dialects.messages.blocks import spelled

KEPT = frozenset(
    {"type", "description", "title", "enum", "const", "required", "additionalProperties"}
    | {"$ref", "$defs", "definitions", "anyOf", "allOf", "properties", "items", "default"}
)
FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
)
NAMED = frozenset({"properties", "$defs", "definitions"})
LISTED = frozenset({"anyOf", "allOf"})


def strictest(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema that Anthropic takes, the same one where it is so already.

    Objects are closed, `oneOf` becomes `anyOf`, and what is not enforced there (`minimum`,
    `pattern`, …) goes to the description, where the model may still heed it.
    """
    taken: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for name, value in schema.items():
        if name == "oneOf":
            taken["anyOf"] = [_inner(each) for each in value]
        elif _is_kept(name, value):
            taken[name] = _kept(name, value)
        elif name != "$schema":
            rest[name] = value
    if "properties" in taken or taken.get("type") == "object":
        taken.setdefault("properties", {})
        taken["additionalProperties"] = False
    if rest:
        told = ", ".join(f"{name}: {spelled(value)}" for name, value in rest.items())
        before = taken.get("description")
        taken["description"] = f"{before}\n\n{{{told}}}" if before else f"{{{told}}}"
    return taken


def is_told_in_words(schema: Mapping[str, Any]) -> bool:
    """Tell whether anything in a schema is not enforced but described."""
    for name, value in schema.items():
        if name not in {"oneOf", "$schema"} and not _is_kept(name, value):
            return True
        if any(is_told_in_words(each) for each in _inside(name, value)):
            return True
    return False


def _inside(name: str, value: Any) -> list[Mapping[str, Any]]:
    inner: list[Any] = []
    if name in NAMED and isinstance(value, Mapping):
        inner = list(value.values())
    elif name in {*LISTED, "oneOf"} and isinstance(value, list):
        inner = value
    elif name == "items":
        inner = [value]
    return [each for each in inner if isinstance(each, Mapping)]


def _is_kept(name: str, value: Any) -> bool:
    if name == "format":
        return value in FORMATS
    if name == "minItems":
        return value in (0, 1)
    return name in KEPT


def _kept(name: str, value: Any) -> Any:
    if name in NAMED and isinstance(value, Mapping):
        return {each: _inner(inner) for each, inner in value.items()}
    if name in LISTED and isinstance(value, list):
        return [_inner(each) for each in value]
    return _inner(value) if name == "items" else value


def _inner(schema: Any) -> Any:
    return strictest(schema) if isinstance(schema, Mapping) else schema
