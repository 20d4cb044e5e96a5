"""The schema for a part: what the part does not say may be null."""

from pydantic import JsonValue

from shared.documents.partial_schema import look_up, partial, schema_at
from shared.documents.schema import check_schema, is_strict, problems

ROW: dict[str, JsonValue] = {
    "type": "object",
    "properties": {"sku": {"type": "string"}},
    "required": ["sku"],
    "additionalProperties": False,
}
SCHEMA: dict[str, JsonValue] = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "minLength": 1},
        "kind": {"enum": ["a", "b"]},
        "note": {"type": ["string", "null"]},
        "seller": {"$ref": "#/$defs/Seller"},
        "rows": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/Row"}},
    },
    "required": ["title", "kind", "note", "seller", "rows"],
    "additionalProperties": False,
    "$defs": {
        "Row": ROW,
        "Seller": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "parent": {"$ref": "#/$defs/Seller"}},
            "required": ["name", "parent"],
            "additionalProperties": False,
        },
    },
}
NOTHING: dict[str, JsonValue] = dict.fromkeys(["title", "kind", "note", "seller", "rows"])


def test_a_part_may_say_nothing_or_half_of_an_object() -> None:
    relaxed = partial(SCHEMA)
    check_schema(relaxed)

    assert problems(SCHEMA, NOTHING)
    assert problems(relaxed, NOTHING) == []
    assert problems(relaxed, {**NOTHING, "seller": {"name": None, "parent": None}}) == []
    assert problems(relaxed, {**NOTHING, "rows": []}) == []


def test_what_a_part_does_say_must_fit() -> None:
    relaxed = partial(SCHEMA)

    assert problems(relaxed, {**NOTHING, "title": ""})
    assert problems(relaxed, {**NOTHING, "kind": "c"})
    assert problems(relaxed, {**NOTHING, "seller": {"name": 7, "parent": None}})
    assert problems(relaxed, {**NOTHING, "rows": [{"sku": None}]}), "rows are read whole"
    assert problems(relaxed, None), "the answer itself is never null"


def test_it_is_as_strict_as_the_schema_and_leaves_that_alone() -> None:
    assert is_strict(SCHEMA)
    assert is_strict(partial(SCHEMA))
    assert SCHEMA["properties"]["title"] == {"type": "string", "minLength": 1}  # type: ignore[index,call-overload]


def test_the_schema_of_a_value_is_found_through_references() -> None:
    assert schema_at(SCHEMA, "/seller/parent/name") == {"type": "string"}
    assert schema_at(SCHEMA, "") == SCHEMA
    assert schema_at(SCHEMA, "/rows/0/sku") is None
    assert schema_at(SCHEMA, "/nothing") is None


def test_pointers_are_read_with_their_escapes() -> None:
    value: JsonValue = {"a/b": [{"~": 1}]}

    assert look_up(value, "/a~1b/0/~0") == 1
    assert look_up(value, "/a~1b/1") is None
    assert look_up(value, "/x/y") is None
