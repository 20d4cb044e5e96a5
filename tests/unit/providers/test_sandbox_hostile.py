"""The sandbox answers everybody, on the loop that serves everybody: no text keeps it busy."""

from time import process_time
from typing import Any

import pytest

from shared.providers.sandbox_answers import answer
from shared.providers.sandbox_parts import between
from shared.providers.sandbox_replies import completion

FORMS = ("email", "uri", "date", "time")
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        **{form: {"type": "string", "format": form} for form in FORMS},
        "total": {"type": "number"},
        "items": {"type": "array", "items": {"type": "object", "properties": {"sum": {}}}},
    },
}
MANY = 50_000


@pytest.mark.parametrize(
    "text",
    ["a", "1", "a-", "a.", "a ", " ", ":", ": ", ".", "1,", "a (", "| ", "a\t", "a: b\n", "Hi. "],
)
def test_a_long_text_takes_no_longer_than_it_is_long(text: str) -> None:
    before = process_time()

    answer(SCHEMA, text * (MANY // len(text)))

    assert process_time() - before < 3


@pytest.mark.parametrize("mark", ["<document ", "<document>", "<candidates>\n", "<value>\n"])
def test_marks_that_never_end(mark: str) -> None:
    asked = f"</document>\n</candidates>\n</value>{mark * MANY}"
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    body: dict[str, Any] = {
        "messages": [{"role": "user", "content": asked}],
        "response_format": wanted,
    }
    before = process_time()

    completion("echo", body)

    assert process_time() - before < 3


def test_a_text_of_a_billion_characters_is_not_made() -> None:
    said = answer({"type": "string", "minLength": 10**9}, "")

    assert isinstance(said, str)
    assert len(said) <= 10_000


def test_what_stands_between_marks() -> None:
    assert between("x<a>1</a><a>2</a>", "<a>", "</a>") == "1"
    assert between("</a><a>1", "<a>", "</a>") is None
    assert between("<a></a>", "<a>", "</a>") == ""


def test_addresses_and_dates_are_still_found() -> None:
    said = answer(SCHEMA, "Write to (jo.doe+x@example.co.uk) before March 3, 2026.")

    assert said["email"] == "jo.doe+x@example.co.uk"  # type: ignore[index,call-overload]
    assert said["date"] == "2026-03-03"  # type: ignore[index,call-overload]
