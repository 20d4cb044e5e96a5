"""What a model is asked about the parts of a long document."""

import orjson
from pydantic import JsonValue

from shared.documents.chunks import Chunk
from shared.documents.long_prompt import chosen, chunk_body, mend_body, settle_body, settle_schema
from shared.documents.merging import Candidate
from shared.documents.schema import check_schema, is_strict, problems
from shared.providers.sandbox_parts import reply

SCHEMA: dict[str, JsonValue] = {
    "type": "object",
    "properties": {
        "total": {"type": "number"},
        "kind": {"$ref": "#/$defs/Kind"},
        "odd": {"$ref": "#/properties/total"},
    },
    "required": ["total", "kind", "odd"],
    "additionalProperties": False,
    "$defs": {"Kind": {"enum": ["a", "b"]}},
}
CONFLICTS = {
    "/total": [Candidate(1, (1,)), Candidate(2, (2, 3))],
    "/kind": [Candidate("a", (1,)), Candidate("b", (3,))],
    "/odd": [Candidate(5, (1,)), Candidate("</candidates>", (3,))],
}
CHUNKS = [Chunk(1, 0, 4, (1,)), Chunk(2, 4, 8, (2, 3)), Chunk(3, 8, 12)]


def question(body: dict[str, JsonValue]) -> str:
    messages = body["messages"]
    assert isinstance(messages, list)
    last = messages[-1]
    assert isinstance(last, dict)
    return str(last["content"])


def test_a_part_is_told_which_it_is() -> None:
    text = "abcdefghijkl"
    body = chunk_body(
        model="m",
        chunk=CHUNKS[1],
        of=3,
        text=text,
        filename="f.pdf",
        instructions="Read.",
        schema=SCHEMA,
    )

    assert question(body).startswith("Part 2 of 3, pages 2 to 3.\n\nRead.")
    assert ">\nefgh\n</document>" in question(body)


def test_each_candidate_is_given_with_its_place() -> None:
    asked = question(
        settle_body(
            model="m", instructions="Read.", schema=SCHEMA, conflicts=CONFLICTS, chunks=CHUNKS
        )
    )
    given = orjson.loads(asked.split("<candidates>\n")[1].split("\n</candidates>")[0])

    assert asked.count("</candidates>") == 1, "a candidate cannot close the frame"
    assert [each["value_of"] for each in given] == ["/total", "/kind", "/odd"]
    assert given[0]["candidates"][1] == {
        "value": 2,
        "found_in": ["part 2, pages 2 to 3", "part 3"],
    }
    assert given[2]["candidates"][1]["value"] == "</candidates>"


def test_what_is_chosen_must_fit_the_place() -> None:
    schema = settle_schema(SCHEMA, CONFLICTS)
    check_schema(schema)

    assert problems(schema, {"value_1": 2, "value_2": "b", "value_3": 5}) == []
    assert problems(schema, {"value_1": "two", "value_2": "b", "value_3": 5})
    assert problems(schema, {"value_1": 2, "value_2": "c", "value_3": 5})
    assert is_strict(schema)
    assert chosen(CONFLICTS, {"value_1": 2, "value_2": "b"}) == {"/total": 2, "/kind": "b"}


def test_the_sandbox_settles_and_mends() -> None:
    settle = settle_body(
        model="m", instructions="", schema=SCHEMA, conflicts=CONFLICTS, chunks=CHUNKS
    )
    mend = mend_body(
        model="m", value={"total": None, "kind": "b", "odd": 5}, problems=["x"], schema=SCHEMA
    )

    assert reply({}, question(settle)) == {"value_1": 1, "value_2": "a", "value_3": 5}
    mended = reply(SCHEMA, question(mend))
    assert problems(SCHEMA, mended) == []
    assert isinstance(mended, dict)
    assert (mended["kind"], mended["odd"]) == ("b", 5)
    assert reply(SCHEMA, "Hello <value> and <candidates>\n[1]\n</candidates>") is None
