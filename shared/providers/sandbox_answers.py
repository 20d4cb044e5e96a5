"""Answer a JSON schema from what a text really says: the sandbox's reading of a document. Pure.

It looks for labels that fit a property's name, title or description, reads tables into arrays of
objects, and knows how numbers and dates are written. What the text does not say becomes null if
the schema allows that, else an empty value of the type.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import jsonschema_rs
from pydantic import JsonValue

from shared.inference.schema_patterns import MAX_STEPS, steps_of
from shared.providers.sandbox_empty import empty
from shared.providers.sandbox_labels import Wanted, normal, ranked, score, wanted
from shared.providers.sandbox_scalars import scalar_from_text, scalars
from shared.providers.sandbox_text import Facts, Table, read_facts

MAX_DEPTH = 12
MAX_PAIRS = 500
MIN_COLUMNS_SHARE = 0.5
Schema = dict[str, JsonValue]
COMBINED = ("anyOf", "oneOf")


def answer(schema: Mapping[str, JsonValue], text: str) -> JsonValue:
    """Return a value that fits `schema`, filled from `text`; the same input gives the same value.

    Raises:
        ValueError: the patterns of the schema would take too long to build.
    """
    root = dict(schema)
    if steps_of(root) > MAX_STEPS:
        message = f"the patterns of the schema have more than {MAX_STEPS:,} steps"
        raise ValueError(message)
    facts = read_facts(text)
    facts.pairs = [(normal(label), value) for label, value in _some_of(facts.pairs)]
    facts.sections = [(normal(label), value) for label, value in _some_of(facts.sections)]
    facts.lists = [(normal(label), value) for label, value in _some_of(facts.lists)]
    place = _Place(root, facts, Wanted((), ()), "", MAX_DEPTH)
    found = _find(root, place)
    return _default(root, place) if found is None else found


def _some_of(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Bound the work on long texts: heads and sums stand at the beginning and at the end."""
    return pairs if len(pairs) <= 2 * MAX_PAIRS else pairs[:MAX_PAIRS] + pairs[-MAX_PAIRS:]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the schema we are: its root, the text, the labels sought, the name above us."""

    root: Schema
    facts: Facts
    sought: Wanted
    name: str
    levels: int


def _find(node: Schema, place: _Place) -> JsonValue:
    """Return what the text says for `node`; None when it says nothing."""
    if place.levels <= 0:
        return None
    whole = _resolved(node, place.root)
    for keyword in COMBINED:
        if keyword in whole:
            return _first_variant(whole, keyword, place)
    return whole["const"] if "const" in whole else _of_kind(whole, place)


def _of_kind(whole: Schema, place: _Place) -> JsonValue:
    kind = _kind(whole)
    if kind == "object":
        return _find_object(whole, place)
    if kind == "array":
        return _find_array(whole, place)
    readings = _candidates(whole, kind, place)
    return next((value for value in readings if _fits(whole, value, place.root)), None)


def _first_variant(whole: Schema, keyword: str, place: _Place) -> JsonValue:
    rest = {key: value for key, value in whole.items() if key != keyword}
    variants = whole[keyword]
    for variant in variants if isinstance(variants, list) else ():
        if isinstance(variant, dict) and variant.get("type") != "null":
            value = _find({**rest, **variant}, replace(place, levels=place.levels - 1))
            if value is not None:
                return value
    return None


def _candidates(node: Schema, kind: str, place: _Place) -> list[JsonValue]:
    """Return readings of the labelled values, the best first, then of the text as a whole."""
    values = ranked(place.facts.pairs, place.sought)
    if kind == "string" and "enum" not in node:
        values += ranked(place.facts.sections, place.sought)
    labelled = [reading for value in values for reading in scalars(node, kind, place.name, value)]
    return labelled + scalar_from_text(node, kind, place.name, place.facts)


def _find_object(node: Schema, place: _Place) -> JsonValue:
    properties = node.get("properties")
    if not isinstance(properties, dict):
        return None
    found: dict[str, JsonValue] = {}
    missing: list[str] = []
    for name, child in properties.items():
        if not isinstance(child, dict):
            continue
        inner = _inside(place, name, child)
        value = _find(child, inner)
        if value is None:
            missing.append(name)
        found[name] = _default(child, inner) if value is None else value
    if found and len(missing) == len(found):
        return None
    required = node.get("required")
    needed = set(required) if isinstance(required, list) else set()
    return {
        name: value
        for name, value in found.items()
        if name in needed or name not in missing or value is None
    }


def _inside(place: _Place, name: str, child: Schema) -> _Place:
    whole = _resolved(child, place.root)
    described = {**_descriptions(whole), **_descriptions(child)}
    sought = wanted(name, described, normal(place.name))
    return replace(place, sought=sought, name=name, levels=place.levels - 1)


def _descriptions(node: Schema) -> Schema:
    return {key: node[key] for key in ("title", "description") if key in node}


def _find_array(node: Schema, place: _Place) -> JsonValue:
    items = node.get("items")
    whole = _resolved(items, place.root) if isinstance(items, dict) else {}
    rows = _records(whole, place) if _kind(whole) == "object" else _list_items(whole, place)
    limit = node.get("maxItems")
    kept = rows[:limit] if isinstance(limit, int) else rows
    fewest = node.get("minItems")
    if not kept or (isinstance(fewest, int) and len(kept) < fewest):
        return None
    return kept


def _records(item: Schema, place: _Place) -> list[JsonValue]:
    """Return the rows of the table whose columns fit the item's properties best."""
    properties = item.get("properties")
    if not isinstance(properties, dict):
        return []
    sought = {
        name: wanted(name, _descriptions(_resolved(child, place.root)))
        for name, child in properties.items()
        if isinstance(child, dict)
    }
    matches = [(table, _columns(table, sought)) for table in place.facts.tables]
    fitting = [
        (table, columns)
        for table, columns in matches
        if len(columns) >= max(1, len(sought) * MIN_COLUMNS_SHARE)
    ]
    if not fitting:
        return []
    table, columns = max(fitting, key=lambda match: len(match[1]))
    return [_record(item, row, columns, place) for row in table.rows]


def _columns(table: Table, sought: Mapping[str, Wanted]) -> dict[str, int]:
    """Return the column of each property; a column serves the property it fits best."""
    taken: dict[str, int] = {}
    fits = sorted(
        (
            (score(normal(header), labels), name, column)
            for name, labels in sought.items()
            for column, header in enumerate(table.header)
        ),
        key=lambda fit: -fit[0],
    )
    for points, name, column in fits:
        if points > 0 and name not in taken and column not in taken.values():
            taken[name] = column
    return taken


def _record(
    item: Schema, row: tuple[str, ...], columns: Mapping[str, int], place: _Place
) -> JsonValue:
    """Read one row: each cell as the only labelled value there is for its property."""
    names = [name for name, column in columns.items() if column < len(row) and row[column]]
    pairs = [(normal(name), row[columns[name]]) for name in names]
    facts = Facts(text="", pairs=pairs)
    inner = replace(place, facts=facts, name="", levels=place.levels - 1)
    found = _find_object(item, inner)
    return _default(item, inner) if found is None else found


def _list_items(item: Schema, place: _Place) -> list[JsonValue]:
    """Return the bullets under a fitting heading, else a labelled value split at its commas."""
    values = ranked(place.facts.lists, place.sought)
    if not values:
        labelled = ranked(place.facts.pairs, place.sought)
        values = [part.strip() for part in labelled[0].split(",")] if labelled else []
    kind = _kind(item)
    rows: list[JsonValue] = []
    for value in values:
        readings = scalars(item, kind, place.name, value)
        rows += [one for one in readings if _fits(item, one, place.root)][:1]
    return rows


def _resolved(node: Schema, root: Schema) -> Schema:
    """Return `node` with its own references followed and the parts of `allOf` merged in."""
    whole = dict(node)
    for _ in range(MAX_DEPTH):
        reference = whole.pop("$ref", None)
        parts = whole.pop("allOf", None)
        if reference is None and parts is None:
            break
        merged = _target(reference, root) if isinstance(reference, str) else {}
        for part in parts if isinstance(parts, list) else ():
            merged = {**merged, **(part if isinstance(part, dict) else {})}
        whole = {**merged, **whole}
    return whole


def _target(reference: str, root: Schema) -> Schema:
    node: JsonValue = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        if name:
            node = node.get(name) if isinstance(node, dict) else None
    return dict(node) if isinstance(node, dict) else {}


def _kind(node: Schema) -> str:
    """Return the type to aim at: the first that is not null, else what the keywords imply."""
    named = node.get("type")
    if isinstance(named, list):
        named = next((name for name in named if name != "null"), "null")
    if isinstance(named, str):
        return named
    if "properties" in node:
        return "object"
    return "array" if "items" in node else "string"


def _default(node: Schema, place: _Place) -> JsonValue:
    return empty(node, lambda part: _resolved(part, place.root), place.levels)


def _fits(node: Schema, value: JsonValue, root: Schema) -> bool:
    whole: Schema = {key: root[key] for key in ("$defs", "definitions") if key in root}
    whole.update(node)
    return jsonschema_rs.Draft202012Validator(
        whole, validate_formats=True, retriever=_refuse
    ).is_valid(value)


def _refuse(uri: str) -> JsonValue:
    raise ValueError(uri)
