"""Numbers in Google's requests, which may come as texts of any length."""

from typing import Any

import pytest

from shared.dialects.gemini.translator import GEMINI
from shared.dialects.translator import Unreadable


@pytest.mark.parametrize(
    "value", ["9" * 19, "9" * 5000, "-" + "9" * 30, 1e300, 2**63, "1.0", "\u0663", "", True]
)
def test_a_number_that_nobody_can_say_again_is_refused(value: Any) -> None:
    body = {"contents": [{"parts": [{"text": "x"}]}], "generationConfig": {"seed": value}}

    with pytest.raises(Unreadable, match=r"generationConfig\.seed"):
        GEMINI.read_request(body)


@pytest.mark.parametrize(("value", "meant"), [("40", 40), (40.0, 40), ("-7", -7), (2**62, 2**62)])
def test_a_whole_number_is_taken_in_any_form(value: Any, meant: int) -> None:
    body = {"contents": [{"parts": [{"text": "x"}]}], "generationConfig": {"seed": value}}

    assert GEMINI.read_request(body).tuning.seed == meant


@pytest.mark.parametrize("value", ["9" * 30, "9" * 5000])
def test_a_schema_with_such_a_number_is_passed_on_as_it_is(value: str) -> None:
    declared = {"name": "f", "parameters": {"type": "STRING", "maxLength": value}}
    body = {"contents": [{"parts": [{"text": "x"}]}], "tools": [{"functionDeclarations": declared}]}

    (tool,) = GEMINI.read_request(body).tools

    assert tool.schema == {"type": "string", "maxLength": value}
