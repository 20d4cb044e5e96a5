"""Requests in Anthropic's words, and what is read out of them."""

from typing import Any

import pytest

from shared.dialects.messages.reading import read_request
from shared.inference.conversation import (
    Format,
    Media,
    MediaKind,
    Message,
    Part,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
)
from shared.inference.dialect import Dialect
from shared.inference.generation import GenerationRequest, Tuning

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}


def read(*content: Any, role: str = "user", **body: Any) -> GenerationRequest:
    messages = [{"role": role, "content": list(content)}]
    return read_request({"model": "m", "max_tokens": 9, "messages": messages, **body})


def parts(*content: Any, role: str = "user") -> tuple[Part, ...]:
    return read(*content, role=role).messages[0].parts


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, [Text("a")]),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "x"}},
            [Media(MediaKind.IMAGE, "image/png", data="x")],
        ),
        (
            {"type": "image", "source": {"type": "url", "url": "https://h/i"}},
            [Media(MediaKind.IMAGE, url="https://h/i")],
        ),
        (
            {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
            [Media(MediaKind.IMAGE, file_id="file_1")],
        ),
        (
            {
                "type": "document",
                "title": "T",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "x"},
            },
            [Media(MediaKind.DOCUMENT, "application/pdf", data="x", name="T")],
        ),
        (
            {
                "type": "document",
                "title": "T",
                "context": "C",
                "source": {"type": "text", "media_type": "text/plain", "data": "words"},
            },
            [Text("C"), Text("T"), Text("words")],
        ),
        (
            {
                "type": "document",
                "source": {"type": "content", "content": [{"type": "text", "text": "w"}]},
            },
            [Text("w")],
        ),
        (
            {
                "type": "search_result",
                "title": "T",
                "source": "https://h",
                "content": [{"type": "text", "text": "found"}],
            },
            [Text("T\nhttps://h"), Text("found")],
        ),
        (
            {"type": "tool_result", "tool_use_id": "t1", "content": "42", "is_error": True},
            [ToolResult("t1", (Text("42"),), is_error=True)],
        ),
        ({"type": "tool_result", "tool_use_id": "t1"}, [ToolResult("t1", ())]),
    ],
)
def test_blocks_of_the_user_are_read(block: dict[str, Any], expected: list[Part]) -> None:
    assert list(parts(block)) == expected


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (
            {"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 1}},
            ToolCall("t1", "add", '{"a":1}'),
        ),
        (
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            Thinking("hm", "s", dialect=Dialect.MESSAGES),
        ),
        (
            {"type": "redacted_thinking", "data": "d"},
            Thinking("", redacted="d", dialect=Dialect.MESSAGES),
        ),
        (
            {"type": "thinking", "thinking": "hm", "signature": "penstock:gemini:a:b"},
            Thinking("hm", "a:b", dialect=Dialect.GEMINI),
        ),
        (
            {"type": "tool_use", "id": "t", "name": "f", "input": {}, "penstock_signature": "s"},
            ToolCall("t", "f", "{}", "s"),
        ),
    ],
)
def test_blocks_of_the_assistant_are_read(block: dict[str, Any], expected: Part) -> None:
    assert parts(block, role="assistant") == (expected,)


def test_the_system_prompt_comes_first_whatever_its_form() -> None:
    blocks = [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]

    for system in ("a", blocks):
        request = read_request(
            {"max_tokens": 1, "system": system, "messages": [{"role": "user", "content": "hi"}]}
        )
        assert request.messages == (
            Message(Role.SYSTEM, (Text("a"),)),
            Message(Role.USER, (Text("hi"),)),
        )


def test_everything_that_tunes_is_read() -> None:
    request = read(
        {"type": "text", "text": "x"},
        temperature=0.5,
        top_p=0.9,
        top_k=5,
        stop_sequences=["END"],
        metadata={"user_id": "u"},
        service_tier="standard_only",
        thinking={"type": "enabled", "budget_tokens": 2048},
        tools=[{"name": "f", "input_schema": {"type": "object", "properties": {}}}],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
        output_config={"effort": "xhigh", "format": {"type": "json_schema", "schema": SCHEMA}},
    )

    assert request.tuning == Tuning(
        temperature=0.5,
        top_p=0.9,
        top_k=5,
        effort="xhigh",
        thinking_tokens=2048,
        service_tier="default",
        user="u",
        parallel_tool_calls=False,
    )
    assert request.stop == ("END",)
    assert request.tool_choice == ToolChoice(ToolMode.REQUIRED)
    assert request.tools == (Tool("f"),)
    assert request.format == Format(SCHEMA)
    assert request.max_tokens == 9


def test_thinking_that_is_switched_off_is_an_effort_of_none() -> None:
    request = read(thinking={"type": "disabled"}, output_config={"effort": "low"})

    assert request.tuning.effort == "none"


def test_unknown_keys_are_told_but_not_those_that_say_nothing() -> None:
    request = read(
        stream=True,
        cache_control={"type": "ephemeral"},
        penstock={"x": 1},
        container="c",
        speed="fast",
        inference_geo=None,
    )

    assert request.unknown == ("container", "speed")
