"""Requests as Google's API wants to read them."""

from typing import Any

import pytest

from shared.dialects.gemini.translator import GEMINI
from shared.dialects.translator import Unsupported
from shared.inference.conversation import (
    Media,
    MediaKind,
    Message,
    Part,
    Refusal,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
)
from shared.inference.generation import GenerationRequest, Tuning


def write(*messages: Message, **rest: Any) -> dict[str, Any]:
    return GEMINI.write_request(GenerationRequest(messages, **rest)).body


def user(*parts: Part) -> Message:
    return Message(Role.USER, parts)


def model(*parts: Part) -> Message:
    return Message(Role.ASSISTANT, parts)


def test_turns_alternate_and_instructions_stand_apart() -> None:
    body = write(
        Message(Role.SYSTEM, (Text("one"),)),
        user(Text("a")),
        user(Text("b"), Media(MediaKind.IMAGE, url="https://h/a.png")),
        Message(Role.SYSTEM, (Text("two"),)),
        model(Thinking("hm"), Refusal("no"), Text("")),
        user(Text("c")),
    )

    picture = {"fileData": {"fileUri": "https://h/a.png", "mimeType": "image/png"}}
    assert body == {
        "systemInstruction": {"parts": [{"text": "one"}, {"text": "two"}]},
        "contents": [
            {"role": "user", "parts": [{"text": "a"}, {"text": "b"}, picture]},
            {"role": "model", "parts": [{"text": "no"}]},
            {"role": "user", "parts": [{"text": "c"}]},
        ],
    }


def test_instructions_alone_are_a_turn() -> None:
    body = write(Message(Role.SYSTEM, (Text("go"),)))

    assert body == {"contents": [{"role": "user", "parts": [{"text": "go"}]}]}


def test_the_first_call_of_a_turn_without_any_signature_says_that_it_has_none() -> None:
    foreign = [ToolCall("1", "f", "{}"), ToolCall("2", "f", "")]
    own = [ToolCall("1", "f", "{}", "c2ln"), ToolCall("2", "f", "")]

    def signatures(calls: list[ToolCall]) -> list[str | None]:
        parts = write(user(Text("a")), model(*calls))["contents"][1]["parts"]
        return [part.get("thoughtSignature") for part in parts]

    assert signatures(foreign) == ["skip_thought_signature_validator", None]
    assert signatures(own) == ["c2ln", None]


def test_results_are_told_by_name() -> None:
    body = write(
        user(Text("a")),
        model(ToolCall("1", "f", '{"x":1}')),
        user(ToolResult("1", (Text("a"), Text("b"), Media(MediaKind.IMAGE, "image/png", "AA=="))),
             ToolResult("2", (), is_error=True, name="g")),
    )  # fmt: skip

    assert body["contents"][2]["parts"] == [
        {
            "functionResponse": {
                "id": "1",
                "name": "f",
                "response": {"output": "a\nb"},
                "parts": [{"inlineData": {"mimeType": "image/png", "data": "AA=="}}],
            }
        },
        {"functionResponse": {"id": "2", "name": "g", "response": {"error": ""}}},
    ]


@pytest.mark.parametrize(
    ("tuning", "config", "dropped"),
    [
        (Tuning(effort="none"), {"thinkingBudget": 0}, ()),
        (Tuning(effort="low"), {"thinkingBudget": 1024}, ()),
        (Tuning(effort="xhigh"), {"thinkingBudget": 24_576}, ("effort=high",)),
        (Tuning(effort="odd"), None, ("effort",)),
        (
            Tuning(thinking_tokens=31_999, effort="low"),
            {"thinkingBudget": 24_576, "includeThoughts": True},
            ("thinking_tokens>24576", "effort"),
        ),
        (Tuning(thinking_tokens=2000), {"thinkingBudget": 2000, "includeThoughts": True}, ()),
    ],
)
def test_thinking_is_asked_for_in_tokens(
    tuning: Tuning, config: Any, dropped: tuple[str, ...]
) -> None:
    written = GEMINI.write_request(GenerationRequest((user(Text("a")),), tuning=tuning))

    assert written.body.get("generationConfig", {}).get("thinkingConfig") == config
    assert written.dropped == dropped


def test_what_is_only_tuning_is_left_out_and_told() -> None:
    written = GEMINI.write_request(
        GenerationRequest(
            (
                Message(
                    Role.USER, (Media(MediaKind.IMAGE, "image/png", "AA==", detail="low"),), "ann"
                ),
            ),
            tools=(Tool("f", strict=True),),
            tuning=Tuning(
                seed=2**31,
                logit_bias={"1": 1},
                verbosity="low",
                service_tier="flex",
                user="u",
                parallel_tool_calls=False,
            ),
        )
    )

    assert set(written.dropped) == {
        "seed",
        "logit_bias",
        "verbosity",
        "service_tier",
        "user",
        "parallel_tool_calls",
        "name",
        "strict",
        "detail",
    }
    assert "generationConfig" not in written.body


@pytest.mark.parametrize(
    ("request_", "feature"),
    [
        (GenerationRequest((user(Text("a")),), choices=9), "8 answers"),
        (GenerationRequest((user(Text("a")),), stop=tuple("abcdef")), "5 stop"),
        (GenerationRequest((user(Media(MediaKind.DOCUMENT, file_id="file-1")),)), "another"),
        (GenerationRequest((user(Media(MediaKind.IMAGE, data="AA==")),)), "MIME"),
        (GenerationRequest((user(ToolResult("1", ())),)), "not called"),
        (GenerationRequest((model(ToolCall("1", "f", "[1")),)), "no JSON object"),
        (
            GenerationRequest((Message(Role.SYSTEM, (Media(MediaKind.IMAGE, url="h"),)),)),
            "no text",
        ),
    ],
)
def test_what_cannot_be_said_is_named(request_: GenerationRequest, feature: str) -> None:
    with pytest.raises(Unsupported, match=feature):
        GEMINI.write_request(request_)
