"""Chat requests, written as the strictest provider takes them."""

from typing import Any

import pytest

from shared.dialects.chat.translator import CHAT
from shared.dialects.translator import Unsupported
from shared.inference.conversation import (
    Media,
    MediaKind,
    Message,
    Part,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from shared.inference.dialect import Dialect
from shared.inference.generation import GenerationRequest, Tuning


def written(*messages: Message, **more: Any) -> dict[str, Any]:
    return CHAT.write_request(GenerationRequest(messages, **more)).body


def asking(*parts: Part) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = written(Message(Role.USER, parts))["messages"]
    return found


def test_texts_are_one_string_and_only_pictures_make_a_list() -> None:
    image = Media(MediaKind.IMAGE, "image/png", "AA==")

    assert asking(Text("a"), Text("b")) == [{"role": "user", "content": "a\n\nb"}]
    (shown,) = asking(Text("a"), image)
    assert [part["type"] for part in shown["content"]] == ["text", "image_url"]


def test_what_a_tool_shows_follows_all_results() -> None:
    image = Media(MediaKind.IMAGE, "image/png", "AA==")
    first = ToolResult("c1", (Text("see"), image))

    messages = asking(first, ToolResult("c2", (Text("bad"),), is_error=True), Text("go on"))

    assert [each["role"] for each in messages] == ["tool", "tool", "user"]
    assert messages[0] == {"role": "tool", "tool_call_id": "c1", "content": "see"}
    assert messages[1]["content"] == "Error: bad"
    assert [part["type"] for part in messages[2]["content"]] == ["image_url", "text"]


def test_thoughts_and_signatures_of_others_are_not_sent() -> None:
    thought = Thinking("hm", "sig", dialect=Dialect.MESSAGES)
    said = Message(Role.ASSISTANT, (thought, Text("a"), Text("b"), ToolCall("c", "f", "", "sig")))

    (message,) = written(said)["messages"]

    function = {"name": "f", "arguments": "{}"}
    assert message == {
        "role": "assistant",
        "content": "ab",
        "tool_calls": [{"id": "c", "type": "function", "function": function}],
    }


def test_what_has_no_place_is_told() -> None:
    tuning = Tuning(top_k=4, service_tier="standard_only", thinking_tokens=9_000, seed=1)

    found = CHAT.write_request(GenerationRequest((), tuning=tuning))

    assert found.dropped == ("top_k", "service_tier", "thinking_tokens=medium")
    assert found.body == {"messages": [], "seed": 1, "reasoning_effort": "medium"}


@pytest.mark.parametrize(
    ("tokens", "effort"), [(0, "none"), (1_024, "low"), (8_000, "medium"), (30_000, "high")]
)
def test_a_budget_for_thought_is_said_as_an_effort(tokens: int, effort: str) -> None:
    one = CHAT.write_request(GenerationRequest((), tuning=Tuning(thinking_tokens=tokens)))
    assert one.body["reasoning_effort"] == effort
    assert one.dropped == ((f"thinking_tokens={effort}",) if tokens else ())
    tuning = Tuning(thinking_tokens=tokens, effort="xhigh")
    both = CHAT.write_request(GenerationRequest((), tuning=tuning))
    assert (both.body["reasoning_effort"], both.dropped) == ("xhigh", ("thinking_tokens",))


@pytest.mark.parametrize(
    ("parts", "word"),
    [
        ((Media(MediaKind.VIDEO, "video/mp4", "AA=="),), "video"),
        ((Media(MediaKind.AUDIO, "audio/ogg", "AA=="),), "audio"),
        ((Media(MediaKind.AUDIO, url="https://a/b.mp3"),), "audio"),
        ((Media(MediaKind.DOCUMENT, url="https://a/b.pdf"),), "URL"),
        ((Media(MediaKind.IMAGE, file_id="file-1"),), "image"),
    ],
)
def test_what_cannot_be_shown_is_named(parts: tuple[Part, ...], word: str) -> None:
    with pytest.raises(Unsupported, match=word):
        asking(*parts)


def test_what_else_cannot_be_said_is_named() -> None:
    image = Media(MediaKind.IMAGE, "image/png", "AA==")
    with pytest.raises(Unsupported, match="model's turn"):
        written(Message(Role.ASSISTANT, (image,)))
    with pytest.raises(Unsupported, match="system"):
        written(Message(Role.SYSTEM, (image,)))
    with pytest.raises(Unsupported, match="stop"):
        written(stop=tuple("abcde"))
