import re

import pytest
from pydantic import JsonValue

from shared.documents.schema import SchemaError, check_schema, is_strict, problems

INVOICE: dict[str, JsonValue] = {
    "type": "object",
    "required": ["total"],
    "additionalProperties": False,
    "properties": {
        "total": {"type": "number"},
        "date": {"type": "string", "format": "date"},
        "lines": {"type": "array", "items": {"type": "object", "required": ["a/b"]}},
    },
}


def fan(count: int) -> dict[str, JsonValue]:
    """Return a small schema whose references double at each of `count` steps."""
    twice: dict[str, JsonValue] = {
        f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}, {"$ref": f"#/$defs/a{n + 1}"}]}
        for n in range(count)
    }
    return {"$ref": "#/$defs/a0", "$defs": {**twice, f"a{count}": {"type": "object"}}}


def deep(levels: int) -> JsonValue:
    value: JsonValue = {}
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "schema",
    [
        INVOICE,
        {},
        {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"},
        {"$ref": "#"},
        {"$defs": {"n": {"properties": {"next": {"$ref": "#/$defs/n"}}}}, "$ref": "#/$defs/n"},
        fan(5),
    ],
)
def test_ordinary_schemas_pass(schema: JsonValue) -> None:
    check_schema(schema)


@pytest.mark.parametrize(
    ("schema", "words", "pointer"),
    [
        ([], "JSON object", ""),
        ({"properties": {"a": {"type": "numbr"}}}, "numbr", "/properties/a/type"),
        ({"properties": {"a/b": {"minLength": -1}}}, "-1", "/properties/a~1b/minLength"),
        ({"pattern": "(a+"}, "regex", "/pattern"),
        ({"$ref": "#/$defs/none"}, "nowhere", ""),
        ({"$ref": "http://127.0.0.1:9/schema"}, "does not begin with '#/'", ""),
        ({"$ref": "file:///etc/passwd"}, "does not begin with '#/'", ""),
        ({"properties": {"a": {"$id": "http://x.example/"}}}, "$id", ""),
        (fan(40), "refers to itself", ""),
        (fan(1000), "on and on", ""),
        ({"description": "x" * 100_001}, "bytes", ""),
        (deep(41), "levels deep", ""),
        (deep(900), "levels deep", ""),
    ],
)
def test_bad_and_hostile_schemas_are_refused(schema: JsonValue, words: str, pointer: str) -> None:
    with pytest.raises(SchemaError, match=re.escape(words)) as caught:
        check_schema(schema)

    assert caught.value.pointer == pointer


def test_an_answer_that_fits_has_no_problems() -> None:
    assert problems(INVOICE, {"total": 5, "date": "2026-05-01", "lines": [{"a/b": 1}]}) == []


def test_each_problem_says_where_it_is() -> None:
    found = problems(INVOICE, {"date": "2026-99-01", "lines": [{"a/b": 1}, {}], "other": 1})

    assert any('"total" is a required property' in problem for problem in found)
    assert any(problem.startswith("/date: ") for problem in found)
    assert any(problem.startswith("/lines/1: ") for problem in found)
    assert any("'other'" in problem for problem in found)


def test_problems_are_few_and_short() -> None:
    schema: dict[str, JsonValue] = {"items": {"type": "number"}}

    found = problems(schema, ["x" * 5000] * 100)

    assert len(found) == 20
    assert max(len(problem) for problem in found) <= 300


def test_an_answer_made_to_explode_the_check_is_refused_at_once() -> None:
    twice: JsonValue = {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}
    schema: dict[str, JsonValue] = {"properties": {"a": twice}}
    check_schema(schema)

    assert problems(schema, deep(3)) == []
    assert "too deep" in problems(schema, deep(38))[0]
    assert "too deep" in problems({}, deep(900))[0]


def test_strict_is_what_providers_can_enforce() -> None:
    closed: dict[str, JsonValue] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["a"],
        "properties": {"a": {"type": ["string", "null"]}},
    }

    assert is_strict(closed)
    assert not is_strict(INVOICE)
    assert not is_strict({**closed, "properties": {"a": {"type": "object"}}})
    assert not is_strict({**closed, "required": []})
