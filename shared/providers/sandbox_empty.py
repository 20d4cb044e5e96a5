"""The emptiest value that fits a schema, for what a text does not say. Pure."""

from collections.abc import Callable

from pydantic import JsonValue

Schema = dict[str, JsonValue]
Resolve = Callable[[Schema], Schema]
NOWHERE = ("other", "unknown", "none", "n/a")
LONGEST = 10_000
"""Who asks for a billion characters gets too few of them."""
BY_FORMAT = {
    "date": "0001-01-01",
    "date-time": "0001-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "email": "unknown@example.invalid",
    "uri": "about:blank",
    "uuid": "00000000-0000-0000-0000-000000000000",
    "ipv4": "0.0.0.0",  # noqa: S104 (an empty address, not one to listen on)
}


def empty(node: Schema, resolve: Resolve, levels: int) -> JsonValue:
    """Return null if `node` allows it, else the emptiest value of its type."""
    whole = resolve(node)
    for keyword in ("anyOf", "oneOf"):
        variants = [part for part in _list(whole.get(keyword)) if isinstance(part, dict)]
        if variants:
            return _emptiest(variants, resolve, levels)
    if "const" in whole:
        return whole["const"]
    if "enum" in whole:
        return _choice(_list(whole["enum"]))
    named = whole.get("type")
    kinds = _list(named) if isinstance(named, list) else [named]
    if "null" in kinds:
        return None
    return _of_kind(kinds[0] if kinds else None, whole, resolve, levels)


def _emptiest(variants: list[Schema], resolve: Resolve, levels: int) -> JsonValue:
    values = [empty(variant, resolve, levels - 1) for variant in variants]
    return None if None in values else values[0]


def _choice(options: list[JsonValue]) -> JsonValue:
    if None in options:
        return None
    for word in NOWHERE:
        if word in options:
            return word
    return options[0] if options else None


def _of_kind(kind: JsonValue, whole: Schema, resolve: Resolve, levels: int) -> JsonValue:
    if kind == "object" or (kind is None and "properties" in whole):
        return _object(whole, resolve, levels)
    if kind == "array" or (kind is None and "items" in whole):
        return _array(whole, resolve, levels)
    if kind == "boolean":
        return False
    if kind in {"number", "integer"}:
        return _number(whole)
    return _string(whole) if kind == "string" else None


def _object(whole: Schema, resolve: Resolve, levels: int) -> JsonValue:
    properties = whole.get("properties")
    named = properties if isinstance(properties, dict) else {}
    value: dict[str, JsonValue] = {}
    for name in _list(whole.get("required")):
        child = named.get(str(name))
        inner = child if isinstance(child, dict) and levels > 0 else {}
        value[str(name)] = empty(inner, resolve, levels - 1)
    return value


def _array(whole: Schema, resolve: Resolve, levels: int) -> JsonValue:
    items, fewest = whole.get("items"), whole.get("minItems")
    inner = items if isinstance(items, dict) and levels > 0 else {}
    count = fewest if isinstance(fewest, int) else 0
    return [empty(inner, resolve, levels - 1) for _ in range(min(count, 100))]


def _number(whole: Schema) -> int | float:
    """Zero, or the bound nearest to it."""
    low, high = whole.get("minimum"), whole.get("maximum")
    above, below = whole.get("exclusiveMinimum"), whole.get("exclusiveMaximum")
    if isinstance(above, int | float) and above >= 0:
        return above + 1
    if isinstance(below, int | float) and below <= 0:
        return below - 1
    if isinstance(low, int | float) and low > 0:
        return low
    return high if isinstance(high, int | float) and high < 0 else 0


def _string(whole: Schema) -> str:
    form = whole.get("format")
    if isinstance(form, str) and form in BY_FORMAT:
        return BY_FORMAT[form]
    for given in ("default", "examples"):
        value = whole.get(given)
        first = value[0] if isinstance(value, list) and value else value
        if "pattern" in whole and isinstance(first, str):
            return first
    fewest = whole.get("minLength")
    return "-" * min(fewest, LONGEST) if isinstance(fewest, int) else ""


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []
