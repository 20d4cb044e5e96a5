"""What Anthropic is asked besides the conversation: tuning, thinking, tools, schemas."""

from typing import Any

import pytest

from shared.dialects.messages.writing import DEFAULT_MAX_TOKENS, write_request
from shared.inference.conversation import (
    Format,
    Media,
    MediaKind,
    Message,
    Role,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
)
from shared.inference.generation import GenerationRequest, Tuning

HELLO = Message(Role.USER, (Text("hello"),))
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}


def written(*messages: Message, **wanted: Any) -> dict[str, Any]:
    return write_request(GenerationRequest(messages or (HELLO,), **wanted)).body


def tuned(tuning: Tuning, **wanted: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    found = write_request(GenerationRequest((HELLO,), tuning=tuning, **wanted))
    return found.body, found.dropped


def test_a_length_is_always_set() -> None:
    assert written()["max_tokens"] == DEFAULT_MAX_TOKENS
    assert written(max_tokens=7)["max_tokens"] == 7


def test_foreign_tuning_is_left_out_and_told() -> None:
    body, dropped = tuned(
        Tuning(
            temperature=1.7,
            top_p=0.5,
            seed=1,
            presence_penalty=0.0,
            frequency_penalty=0.0,
            logit_bias={"1": 1},
            verbosity="low",
            service_tier="flex",
            user="u",
        )
    )

    assert set(body) == {"messages", "max_tokens", "temperature", "metadata"}
    assert body["temperature"] == 1
    assert set(dropped) == {
        "temperature>1",
        "top_p",
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "verbosity",
        "service_tier",
    }


@pytest.mark.parametrize(
    ("effort", "said", "thinking", "changed"),
    [
        ("minimal", {"effort": "low"}, {"type": "adaptive"}, ("effort=low",)),
        ("high", {"effort": "high"}, {"type": "adaptive"}, ()),
        ("max", {"effort": "max"}, {"type": "adaptive"}, ()),
        ("none", None, {"type": "disabled"}, ()),
    ],
)
def test_an_effort_makes_it_think(
    effort: str, said: Any, thinking: dict[str, str], changed: tuple[str, ...]
) -> None:
    body, dropped = tuned(Tuning(effort=effort))

    assert body.get("output_config") == said
    assert body["thinking"] == thinking
    assert dropped == changed


@pytest.mark.parametrize(
    ("budget", "most", "thinking", "length", "changed"),
    [
        (2048, None, {"type": "enabled", "budget_tokens": 2048}, 2048 + 4096, None),
        (100, None, {"type": "enabled", "budget_tokens": 1024}, 5120, "thinking_tokens<1024"),
        (2048, 2000, {"type": "enabled", "budget_tokens": 1999}, 2000, "thinking_tokens>1999"),
        (2048, 500, None, 500, "thinking_tokens"),
        (0, 500, {"type": "disabled"}, 500, None),
        (-1, 500, {"type": "adaptive"}, 500, None),
    ],
)
def test_a_budget_for_thinking_fits_the_length(
    budget: int, most: int | None, thinking: Any, length: int, changed: str | None
) -> None:
    body, dropped = tuned(Tuning(thinking_tokens=budget), max_tokens=most)

    assert body.get("thinking") == thinking
    assert body["max_tokens"] == length
    assert dropped == (() if changed is None else (changed,))


def test_a_temperature_within_the_limit_is_told_as_it_is() -> None:
    assert tuned(Tuning(temperature=1.0)) == ({**tuned(Tuning())[0], "temperature": 1.0}, ())


def test_what_a_schema_cannot_enforce_is_described_and_told() -> None:
    described = {"type": "array", "items": {"type": "string", "pattern": "^a"}}
    schema = {**SCHEMA, "properties": {"a": described}}
    plain = write_request(GenerationRequest((HELLO,), format=Format(SCHEMA)))
    found = write_request(GenerationRequest((HELLO,), format=Format(schema)))

    assert (plain.dropped, found.dropped) == ((), ("schema=description",))
    inner = found.body["output_config"]["format"]["schema"]["properties"]["a"]["items"]
    assert inner["description"] == '{pattern: "^a"}'


def test_who_speaks_and_how_closely_to_look_is_not_said() -> None:
    picture = Media(MediaKind.IMAGE, "image/png", data="eA==", detail="high")
    message = Message(Role.USER, (picture, Text("hello")), name="alice")

    assert write_request(GenerationRequest((message,))).dropped == ("name", "detail")


def test_who_thinks_is_not_sampled() -> None:
    body, dropped = tuned(Tuning(effort="high", temperature=0.2, top_k=3, top_p=0.97))

    assert body["top_p"] == 0.97
    assert set(dropped) == {"temperature", "top_k"}


def test_who_must_call_a_tool_does_not_think_first() -> None:
    body, _ = tuned(
        Tuning(effort="high", temperature=0.2),
        tools=(Tool("f"),),
        tool_choice=ToolChoice(ToolMode.REQUIRED),
    )

    assert "thinking" not in body
    assert body["temperature"] == 0.2
    assert body["output_config"] == {"effort": "high"}


def test_a_budget_is_left_out_where_the_calls_before_have_no_thought() -> None:
    call = Message(Role.ASSISTANT, (ToolCall("t", "f", "{}"),))
    result = Message(Role.USER, (ToolResult("t", (Text("1"),)),))
    asked = GenerationRequest(
        (HELLO, call, result), tools=(Tool("f"),), tuning=Tuning(thinking_tokens=2048)
    )

    found = write_request(asked)

    assert "thinking" not in found.body
    assert found.dropped == ("thinking_tokens",)


@pytest.mark.parametrize(
    ("choice", "parallel", "said", "names"),
    [
        (None, None, None, ["a", "b", "c"]),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}, ["a", "b", "c"]),
        (ToolChoice(ToolMode.NONE), False, {"type": "none"}, ["a", "b", "c"]),
        (ToolChoice(ToolMode.REQUIRED), None, {"type": "any"}, ["a", "b", "c"]),
        (
            ToolChoice(ToolMode.REQUIRED, ("b",)),
            True,
            {"type": "tool", "name": "b", "disable_parallel_tool_use": False},
            ["a", "b", "c"],
        ),
        (ToolChoice(ToolMode.REQUIRED, ("b", "c")), None, {"type": "any"}, ["b", "c"]),
        (ToolChoice(ToolMode.AUTO, ("b",)), None, {"type": "auto"}, ["b"]),
    ],
)
def test_a_choice_among_tools(
    choice: ToolChoice | None, parallel: bool | None, said: Any, names: list[str]
) -> None:
    body, _ = tuned(
        Tuning(parallel_tool_calls=parallel),
        tools=(Tool("a"), Tool("b"), Tool("c")),
        tool_choice=choice,
    )

    assert body.get("tool_choice") == said
    assert [tool["name"] for tool in body["tools"]] == names
    assert all(tool["input_schema"]["type"] == "object" for tool in body["tools"])


def test_a_schema_is_made_as_strict_as_it_has_to_be() -> None:
    loose: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "n": {"type": "integer", "minimum": 1, "description": "A count."},
            "list": {"type": "array", "items": {"type": "object"}, "minItems": 3},
            "either": {"oneOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
        },
        "$defs": {"D": {"type": "object", "properties": {}}},
    }

    body = written(format=Format(loose))

    assert body["output_config"]["format"]["schema"] == {
        "type": "object",
        "properties": {
            "n": {"type": "integer", "description": "A count.\n\n{minimum: 1}"},
            "list": {
                "type": "array",
                "items": {"type": "object", "properties": {}, "additionalProperties": False},
                "description": "{minItems: 3}",
            },
            "either": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
        },
        "$defs": {"D": {"type": "object", "properties": {}, "additionalProperties": False}},
        "additionalProperties": False,
    }
    assert written(format=Format(SCHEMA))["output_config"]["format"]["schema"] == SCHEMA
