"""The sandbox answers everybody, on the loop that serves everybody: no text keeps it busy."""

from typing import Any

import pytest

from shared.providers.sandbox_answers import answer
from shared.providers.sandbox_parts import between
from shared.providers.sandbox_replies import completion

# What is held here took minutes; it is no measure.
pytestmark = pytest.mark.timeout(30)

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


def test_patterns_that_take_long_to_build_are_refused() -> None:
    costly: list[Any] = [{"pattern": f"(?:a{{1,200}}){{1,150}}b{n}"} for n in range(1500)]

    with pytest.raises(ValueError, match="patterns"):
        answer({"type": "string", "allOf": costly}, "total: 3")


@pytest.mark.parametrize(
    "text",
    ["a", "1", "a-", "a.", "a ", " ", ":", ": ", ".", "1,", "a (", "| ", "a\t", "a: b\n", "Hi. "],
)
def test_a_long_text_takes_no_longer_than_it_is_long(text: str) -> None:
    answer(SCHEMA, text * (MANY // len(text)))


@pytest.mark.parametrize("mark", ["<document ", "<document>", "<candidates>\n", "<value>\n"])
def test_marks_that_never_end(mark: str) -> None:
    asked = f"</document>\n</candidates>\n</value>{mark * MANY}"
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    body: dict[str, Any] = {
        "messages": [{"role": "user", "content": asked}],
        "response_format": wanted,
    }
    completion("echo", body)


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
