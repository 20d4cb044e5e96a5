"""What must not get lost between two dialects without a word."""

from typing import Any

import pytest

from shared.dialects.bridge import Bridge
from shared.dialects.translator import Unsupported
from shared.inference.dialect import Dialect

HELLO = {"role": "user", "content": "hi"}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}


def _messages(**more: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 9, "messages": [HELLO], **more}


def _answered(*content: dict[str, Any], is_error: bool) -> dict[str, Any]:
    call = {"type": "tool_use", "id": "t1", "name": "f", "input": {}}
    result = {
        "type": "tool_result",
        "tool_use_id": "t1",
        "content": list(content),
        "is_error": is_error,
    }
    turns = [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    return _messages(messages=[HELLO, *turns])


def _output(body: dict[str, Any]) -> Any:
    written = Bridge(Dialect.MESSAGES, Dialect.RESPONSES).request(body).body
    (output,) = [each["output"] for each in written["input"] if "output" in each]
    return output


def test_a_form_in_its_older_place_stands_beside_an_effort() -> None:
    form = {"type": "json_schema", "schema": SCHEMA}
    body = _messages(output_config={"effort": "high"}, output_format=form)

    written = Bridge(Dialect.MESSAGES, Dialect.CHAT).request(body).body

    assert written["response_format"]["json_schema"]["schema"] == SCHEMA
    assert written["reasoning_effort"] == "high"


PICTURE = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
SHOWN = {"type": "input_image", "image_url": "https://example.com/a.png"}
BOOM = {"type": "text", "text": "boom"}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ([BOOM], "Error: boom"),
        ([BOOM, PICTURE], [{"type": "input_text", "text": "Error: boom"}, SHOWN]),
        ([PICTURE], [{"type": "input_text", "text": "Error:"}, SHOWN]),
        ([], "Error: "),
    ],
)
def test_that_a_tool_failed_is_told(content: list[dict[str, Any]], told: Any) -> None:
    assert _output(_answered(*content, is_error=True)) == told


def test_what_a_tool_said_in_pieces_stays_in_pieces() -> None:
    pieces = _output(_answered(BOOM, {"type": "text", "text": "bang"}, is_error=False))

    assert [each["text"] for each in pieces] == ["boom", "bang"]


def test_a_system_prompt_in_pieces_is_not_run_together() -> None:
    system = [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}]

    written = Bridge(Dialect.MESSAGES, Dialect.RESPONSES).request(_messages(system=system)).body

    said = [part["text"] for part in written["input"][0]["content"]]
    assert (written["input"][0]["role"], said) == ("system", ["Be brief.", "Be kind."])


@pytest.mark.parametrize("name", ["cachedContent", "cached_content"])
@pytest.mark.parametrize("provider", [Dialect.CHAT, Dialect.MESSAGES, Dialect.RESPONSES])
def test_half_a_prompt_is_no_prompt(provider: Dialect, name: str) -> None:
    body = {"model": "m", "contents": [{"parts": [{"text": "and?"}]}], name: "cachedContents/a"}

    with pytest.raises(Unsupported, match="cachedContent"):
        Bridge(Dialect.GEMINI, provider).request(body)
