"""A pattern that would keep a processor busy is refused, or is not tried on a long text."""

import pytest
from pydantic import JsonValue

from shared.documents.schema import SchemaError, check_schema, problems
from shared.inference.schema_patterns import MAX_STEPS, MAX_WORK, steps_of, work_of

# What is held here took minutes; it is no measure.
pytestmark = pytest.mark.timeout(30)

LAWFUL = {
    r"^\d{4}-\d{2}-\d{2}$": 14,
    r"^[A-Z]{2}\d{2}[A-Z0-9]{1,30}$": 40,
    r"^[\w.+-]+@[\w-]+\.[\w.-]+$": 20,
    r"^.{1,500}$": 510,
    r"[\p{L}\p{N}]{1,30}": 3100,
    r"[]a]{3}|[^]b\]]{2}|\x{1F600}{4}": 20,
    "a{2,}b{,5}": 10,
    "(((": 0,
    "a{": 5,
    "\\": 2,
}


@pytest.mark.parametrize("pattern", LAWFUL)
def test_what_people_write_is_small(pattern: str) -> None:
    assert steps_of({"properties": {"a": {"pattern": pattern}}}) <= LAWFUL[pattern]


@pytest.mark.parametrize(
    "pattern",
    [
        "(?:a{1,200}){1,200}b",
        "((a{30}){30}){30}",
        "[[a]b]{20000}",
        "(?x) a { 1 , 20000 }",
        "a{" + "9" * 5000 + "}",
        "(" * 900 + "a" + "){2}" * 900,
        r"(\p{L}{1,50}x){10}",
    ],
)
def test_a_count_of_counts_is_refused(pattern: str) -> None:
    schemas: list[JsonValue] = [
        {"pattern": pattern},
        {"items": {"patternProperties": {pattern: {}}}},
    ]
    for schema in schemas:
        with pytest.raises(SchemaError, match="count less"):
            check_schema(schema)


def test_many_patterns_are_refused_before_they_are_built() -> None:
    schema: dict[str, JsonValue] = {
        "allOf": [{"pattern": f"(?:a{{1,200}}){{1,150}}b{n}"} for n in range(1500)]
    }
    with pytest.raises(SchemaError, match=f"{MAX_STEPS:,}"):
        check_schema(schema)


def test_what_is_only_data_is_no_pattern() -> None:
    assert steps_of({"enum": [{"pattern": "a{99999}"}], "const": {"pattern": "a{99999}"}}) == 0
    assert work_of({"type": "object"}, {"a": "b" * 1000}) == 0


@pytest.mark.parametrize(
    ("pattern", "length"), [("(?:a{1,90}){1,90}b", 20_000), ("(?!x)(?:a{1,50}){1,50}b", 800)]
)
def test_a_long_answer_is_not_held_against_a_large_pattern(pattern: str, length: int) -> None:
    schema: dict[str, JsonValue] = {"type": "object", "properties": {"a": {"pattern": pattern}}}
    check_schema(schema)
    found = problems(schema, {"a": "a" * length})
    assert found == ["the answer is too long to be held against the patterns of this schema"]
    assert problems(schema, {"a": "aab"}) == []


def test_a_usual_pattern_is_held_against_a_long_answer() -> None:
    schema: dict[str, JsonValue] = {"items": {"pattern": r"^[A-Z]{2}-\d{1,20}$"}}
    answer: list[JsonValue] = [f"AB-{n}" for n in range(20_000)]

    assert work_of(schema, answer) < MAX_WORK
    assert problems(schema, answer) == []
