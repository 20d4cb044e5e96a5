"""Requests of Google's, as clients really write them."""

from typing import Any

import pytest

from shared.dialects.gemini.translator import GEMINI
from shared.dialects.translator import Unreadable, Unsupported
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

HELLO = {"role": "user", "parts": [{"text": "hello"}]}
FILE = "https://generativelanguage.googleapis.com/v1beta/files/abc"


def read(*contents: Any, **rest: Any) -> GenerationRequest:
    return GEMINI.read_request({"contents": list(contents) or [HELLO], **rest})


def read_parts(*parts: Any) -> tuple[Part, ...]:
    return read({"role": "user", "parts": list(parts)}).messages[0].parts


def user(*parts: Part) -> Message:
    return Message(Role.USER, parts)


def test_a_request_as_the_sdk_writes_it() -> None:
    asked = read(
        {"parts": [{"text": "hello"}]},
        systemInstruction={"parts": {"text": "be brief"}},
        generationConfig={
            "temperature": 0.5,
            "topP": 0.9,
            "topK": 40.0,
            "maxOutputTokens": 100,
            "candidateCount": 2,
            "stopSequences": ["END"],
            "seed": 7,
            "presencePenalty": 0.1,
            "frequencyPenalty": 0.2,
            "responseLogprobs": True,
            "logprobs": 3,
            "responseModalities": ["TEXT"],
            "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 2048},
            "speechConfig": {},
        },
        safetySettings=[],
        cachedContent=None,
        labels={"team": "blue"},
        model="gemini",
        stream=True,
        penstock={"x": 1},
    )

    assert asked == GenerationRequest(
        messages=(Message(Role.SYSTEM, (Text("be brief"),)), user(Text("hello"))),
        max_tokens=100,
        stop=("END",),
        choices=2,
        logprobs=3,
        tuning=Tuning(
            temperature=0.5,
            top_p=0.9,
            top_k=40,
            seed=7,
            presence_penalty=0.1,
            frequency_penalty=0.2,
            thinking_tokens=2048,
        ),
        unknown=("safetySettings", "labels", "generationConfig.speechConfig"),
    )


@pytest.mark.parametrize(
    ("part", "read_as"),
    [
        (
            {"inlineData": {"mimeType": "image/png", "data": "AA=="}},
            Media(MediaKind.IMAGE, "image/png", "AA=="),
        ),
        (
            {"inline_data": {"mime_type": "audio/wav", "data": "AA=="}},
            Media(MediaKind.AUDIO, "audio/wav", "AA=="),
        ),
        (
            {"fileData": {"fileUri": FILE, "mimeType": "application/pdf"}},
            Media(MediaKind.DOCUMENT, "application/pdf", file_id=FILE),
        ),
        (
            {"fileData": {"fileUri": "https://h/a.PNG?x=1"}},
            Media(MediaKind.IMAGE, url="https://h/a.PNG?x=1"),
        ),
        (
            {"fileData": {"fileUri": "https://www.youtube.com/watch?v=1"}},
            Media(MediaKind.VIDEO, url="https://www.youtube.com/watch?v=1"),
        ),
        ({"fileData": {"fileUri": "https://["}}, Media(MediaKind.DOCUMENT, url="https://[")),
        ({"text": "I think", "thought": True}, Thinking("I think", dialect=Dialect.GEMINI)),
    ],
)
def test_parts_are_read_in_either_spelling(part: Any, read_as: Part) -> None:
    assert read_parts(part) == (read_as,)


def test_a_signature_alone_says_nothing() -> None:
    assert read_parts({"text": "", "thoughtSignature": "AA=="}, {"text": "a"}) == (Text("a"),)


def test_results_without_ids_belong_to_the_calls_of_their_name_in_order() -> None:
    def call(name: str) -> dict[str, Any]:
        return {"functionCall": {"name": name, "args": {}}}

    def result(name: str, said: str) -> dict[str, Any]:
        return {"functionResponse": {"name": name, "response": {"output": said}}}

    asked = read(
        HELLO,
        {"role": "model", "parts": [call("a"), call("b"), call("a")]},
        {"role": "function", "parts": [result("b", "1"), result("a", "2"), result("a", "3")]},
    )

    calls, results = asked.messages[1].parts, asked.messages[2]
    ids = [call.id for call in calls if isinstance(call, ToolCall)]
    assert ids == ["call_1", "call_2", "call_3"]
    assert results == user(
        ToolResult("call_2", (Text("1"),), name="b"),
        ToolResult("call_1", (Text("2"),), name="a"),
        ToolResult("call_3", (Text("3"),), name="a"),
    )


@pytest.mark.parametrize(
    ("response", "text", "failed"),
    [
        ({"output": "yes"}, "yes", False),
        ({"output": {"a": 1}}, '{"a":1}', False),
        ({"error": "no"}, "no", True),
        ({"result": "yes"}, '{"result":"yes"}', False),
        ({"output": "yes", "more": 1}, '{"output":"yes","more":1}', False),
        ({}, None, False),
    ],
)
def test_what_a_tool_answered_is_text(response: Any, text: str | None, failed: bool) -> None:
    asked = read(
        {"role": "model", "parts": [{"functionCall": {"id": "c", "name": "f"}}]},
        {"parts": [{"functionResponse": {"id": "c", "name": "f", "response": response}}]},
    )

    said = () if text is None else (Text(text),)
    assert asked.messages[1].parts == (ToolResult("c", said, is_error=failed, name="f"),)


def test_a_schema_of_googles_is_read_as_json_schema() -> None:
    schema = {
        "type": "OBJECT",
        "properties": {
            "nullable": {"type": "STRING", "nullable": True, "enum": ["a"]},
            "list": {"type": "ARRAY", "items": {"type": "INTEGER"}, "minItems": "2"},
            "any": {"any_of": [{"type": "NUMBER"}, {"type": "BOOLEAN"}]},
        },
        "required": ["list"],
        "propertyOrdering": ["list"],
    }

    tool = {"functionDeclarations": [{"name": "f", "description": "d", "parameters": schema}]}
    asked = read(
        tools=[tool],
        generationConfig={"responseMimeType": "application/json", "response_schema": schema},
    )

    means: dict[str, Any] = {
        "type": "object",
        "properties": {
            "nullable": {"type": ["string", "null"], "enum": ["a", None]},
            "list": {"type": "array", "items": {"type": "integer"}, "minItems": 2},
            "any": {"anyOf": [{"type": "number"}, {"type": "boolean"}]},
        },
        "required": ["list"],
    }
    assert asked.tools == (Tool("f", "d", means),)
    assert asked.format == Format(means)


@pytest.mark.parametrize(
    ("config", "tuning"),
    [
        ({"thinkingBudget": 0}, Tuning(effort="none")),
        ({"thinkingBudget": -1}, Tuning()),
        ({"thinkingLevel": "HIGH"}, Tuning(effort="high")),
    ],
)
def test_how_hard_to_think(config: Any, tuning: Tuning) -> None:
    assert read(generationConfig={"thinkingConfig": config}).tuning == tuning


@pytest.mark.parametrize(
    ("config", "choice"),
    [
        ({"mode": "any", "allowedFunctionNames": ["f"]}, ToolChoice(ToolMode.REQUIRED, ("f",))),
        ({"mode": "VALIDATED"}, ToolChoice(ToolMode.AUTO)),
        ({"mode": "NONE"}, ToolChoice(ToolMode.NONE)),
        ({}, ToolChoice(ToolMode.AUTO)),
    ],
)
def test_which_tool_is_called(config: Any, choice: ToolChoice) -> None:
    asked = read(toolConfig={"functionCallingConfig": config, "retrievalConfig": {}})

    assert asked.tool_choice == choice
    assert asked.unknown == ("toolConfig.retrievalConfig",)


def test_a_request_to_count_may_have_the_request_inside() -> None:
    inner = {"model": "models/m", "contents": [HELLO]}

    assert GEMINI.read_request({"generateContentRequest": inner, "model": "m"}) == read(HELLO)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "contents"),
        ({"contents": []}, "contents"),
        ({"contents": ["x"]}, "contents[0]"),
        ({"contents": [{"role": "system", "parts": []}]}, "contents[0].role"),
        ({"contents": [{"parts": [{}]}]}, "contents[0].parts[0]"),
        ({"contents": [{"parts": [{"text": 1}]}]}, "contents[0].parts[0].text"),
        (
            {"contents": [{"parts": [{"inlineData": {"data": "A"}}]}]},
            "contents[0].parts[0].inlineData.mimeType",
        ),
        (
            {"contents": [{"parts": [{"functionCall": {"name": "f", "args": 1}}]}]},
            "contents[0].parts[0].functionCall.args",
        ),
        (
            {"contents": [{"parts": [{"functionResponse": {"name": "f"}}]}]},
            "contents[0].parts[0].functionResponse.name",
        ),
        ({"contents": [HELLO], "tools": [3]}, "tools[0]"),
        (
            {"contents": [HELLO], "tools": [{"functionDeclarations": [{}]}]},
            "tools[0].functionDeclarations[0].name",
        ),
        (
            {"contents": [HELLO], "toolConfig": {"functionCallingConfig": {"mode": "X"}}},
            "toolConfig.functionCallingConfig.mode",
        ),
        *[
            ({"contents": [HELLO], "generationConfig": {name: value}}, f"generationConfig.{name}")
            for name, value in {
                "temperature": "hot",
                "topK": 1.5,
                "candidateCount": 0,
                "stopSequences": "END",
                "responseMimeType": "image/png",
                "responseSchema": 3,
            }.items()
        ],
    ],
)
def test_a_wrong_request_is_told_where(body: Any, param: str) -> None:
    with pytest.raises(Unreadable) as raised:
        GEMINI.read_request(body)

    assert raised.value.param == param
    assert raised.value.message


@pytest.mark.parametrize(
    ("rest", "feature"),
    [
        ({"tools": [{"googleSearch": {}}]}, "googleSearch"),
        ({"tools": [{"code_execution": {}}]}, "codeExecution"),
        ({"generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}}, "no text"),
        ({"generationConfig": {"responseMimeType": "text/x.enum"}}, "one word"),
        ({"contents": [{"parts": [{"executableCode": {"code": "1"}}]}]}, "executableCode"),
    ],
)
def test_what_only_google_has_is_named(rest: Any, feature: str) -> None:
    with pytest.raises(Unsupported, match=feature):
        GEMINI.read_request({"contents": [HELLO], **rest})
