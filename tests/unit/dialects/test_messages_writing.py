"""Conversations, written for Anthropic: turns, media, and what cannot be said."""

import base64
from typing import Any

import pytest

from shared.dialects.messages.writing import write_request
from shared.dialects.translator import Unsupported
from shared.inference.conversation import (
    Format,
    Media,
    MediaKind,
    Message,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from shared.inference.dialect import Dialect
from shared.inference.generation import GenerationRequest

HELLO = Message(Role.USER, (Text("hello"),))


def written(*messages: Message, **wanted: Any) -> dict[str, Any]:
    return write_request(GenerationRequest(messages or (HELLO,), **wanted)).body


def test_systems_are_pulled_out_and_roles_alternate() -> None:
    body = written(
        Message(Role.SYSTEM, (Text("one"),)),
        Message(Role.USER, (Text("a"),)),
        Message(Role.USER, (Text("b"),)),
        Message(Role.ASSISTANT, (ToolCall("t1", "f", "{}"), ToolCall("t 2", "f", "{}"))),
        Message(Role.USER, (ToolResult("t1", (Text("1"),)),)),
        Message(Role.SYSTEM, (Text("two"),)),
        Message(Role.USER, (Text("now"), ToolResult("t 2", ()))),
    )

    assert [block["text"] for block in body["system"]] == ["one", "two"]
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]
    assert [block["text"] for block in body["messages"][0]["content"]] == ["a", "b"]
    calls, results = body["messages"][1]["content"], body["messages"][2]["content"]
    assert [block["id"] for block in calls] == ["t1", "t_2"]
    assert [block["type"] for block in results] == ["tool_result", "tool_result", "text"]
    assert results[1] == {"type": "tool_result", "tool_use_id": "t_2"}
    # They were called, so they have to be declared, though they may not be called again.
    assert [tool["name"] for tool in body["tools"]] == ["f"]
    assert body["tool_choice"] == {"type": "none"}


@pytest.mark.parametrize(
    "messages",
    [
        (),
        (Message(Role.SYSTEM, (Text("only"),)),),
        (Message(Role.ASSISTANT, (Text("I begin"),)),),
        (Message(Role.USER, (Text("  "),)),),
    ],
)
def test_a_conversation_always_begins_with_the_user(messages: tuple[Message, ...]) -> None:
    turns = write_request(GenerationRequest(messages)).body["messages"]

    assert turns[0]["role"] == "user"
    assert turns[0]["content"].strip()


def test_what_the_assistant_goes_on_from_has_no_white_space_at_its_end() -> None:
    body = written(HELLO, Message(Role.ASSISTANT, (Text("The answer is: \n"),)))

    assert body["messages"][-1]["content"] == "The answer is:"


def test_thoughts_go_back_only_to_whom_they_belong() -> None:
    thoughts = (
        Thinking("mine", "s", dialect=Dialect.MESSAGES),
        Thinking("", redacted="d", dialect=Dialect.MESSAGES),
        Thinking("unsealed", dialect=Dialect.MESSAGES),
        Thinking("theirs", "s", dialect=Dialect.GEMINI),
        Refusal("I will not"),
    )

    body = written(HELLO, Message(Role.ASSISTANT, thoughts), HELLO)

    assert body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "mine", "signature": "s"},
        {"type": "redacted_thinking", "data": "d"},
        {"type": "text", "text": "I will not"},
    ]


def test_arguments_that_are_no_json_are_kept_as_a_text() -> None:
    call = ToolCall("t1", "f", '{"a": ')

    body = written(HELLO, Message(Role.ASSISTANT, (call,)), HELLO)

    assert body["messages"][1]["content"][0]["input"] == {"INVALID_JSON": '{"a": '}


@pytest.mark.parametrize(
    ("media", "source"),
    [
        (
            Media(MediaKind.IMAGE, data="/9j/4AAQ"),
            {"type": "base64", "media_type": "image/jpeg", "data": "/9j/4AAQ"},
        ),
        (
            Media(MediaKind.IMAGE, "image/jpg", data="x"),
            {"type": "base64", "media_type": "image/jpeg", "data": "x"},
        ),
        (Media(MediaKind.IMAGE, url="https://h/i"), {"type": "url", "url": "https://h/i"}),
        (
            Media(MediaKind.DOCUMENT, "text/csv", data=base64.b64encode("a,ä".encode()).decode()),
            {"type": "text", "media_type": "text/plain", "data": "a,ä"},
        ),
    ],
)
def test_media_are_written(media: Media, source: dict[str, str]) -> None:
    body = written(Message(Role.USER, (media,)))

    assert body["messages"][0]["content"][0]["source"] == source


@pytest.mark.parametrize(
    ("request_", "feature"),
    [
        (GenerationRequest((HELLO,), choices=2), "more than one choice"),
        (GenerationRequest((HELLO,), logprobs=0), "log probabilities"),
        (GenerationRequest((HELLO,), format=Format()), "JSON without a schema"),
        (GenerationRequest((HELLO,), stop=("\n",)), "white space"),
        (
            GenerationRequest((Message(Role.USER, (Media(MediaKind.AUDIO, data="x"),)),)),
            "audio",
        ),
        (
            GenerationRequest((Message(Role.USER, (Media(MediaKind.IMAGE, file_id="f"),)),)),
            "a file by its id",
        ),
        (
            GenerationRequest(
                (Message(Role.USER, (Media(MediaKind.IMAGE, "image/tiff", data="x"),)),)
            ),
            "image/tiff",
        ),
        (
            GenerationRequest(
                (Message(Role.USER, (Media(MediaKind.DOCUMENT, "text/plain", data="!"),)),)
            ),
            "not base64",
        ),
        (
            GenerationRequest((Message(Role.SYSTEM, (Media(MediaKind.IMAGE, data="x"),)),)),
            "system message",
        ),
    ],
)
def test_what_cannot_be_said_is_named(request_: GenerationRequest, feature: str) -> None:
    with pytest.raises(Unsupported, match=feature):
        write_request(request_)
