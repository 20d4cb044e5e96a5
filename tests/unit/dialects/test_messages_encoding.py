"""Streams written in Anthropic's words: one block after another, the end when all is known."""

from collections.abc import Sequence
from typing import Any

from shared.dialects.messages.encoding import MessagesEncoder
from shared.dialects.messages.joined import MessagesJoined
from shared.dialects.translator import Head
from shared.inference.dialect import Dialect
from shared.inference.generation import (
    Began,
    Delta,
    Finish,
    Finished,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    ToolCallBegan,
    ToolCallDelta,
    Used,
)
from shared.inference.usage import Usage

HEAD = Head("1", "alias", 1_700_000_000)


def encoded(*deltas: Delta) -> list[dict[str, Any]]:
    encoder = MessagesEncoder(HEAD)
    return [event for delta in deltas for event in encoder.write(delta)] + [*encoder.end()]


def kinds(events: Sequence[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("content_block_") for event in events]


def whole(events: Sequence[dict[str, Any]]) -> dict[str, Any]:
    joined = MessagesJoined()
    for event in events:
        joined.add(event)
    return joined.whole()


def test_a_stream_begins_with_its_head_and_ends_with_its_usage() -> None:
    events = encoded(
        Began("x", "theirs", usage=Usage(4, 0)),
        TextDelta(0, "hi"),
        Finished(0, Finish.STOP, "END"),
        Used(Usage(4, 2, cached_tokens=1)),
    )

    assert kinds(events) == [
        "message_start",
        "start",
        "delta",
        "stop",
        "message_delta",
        "message_stop",
    ]
    head = events[0]["message"]
    assert (head["id"], head["model"], head["content"]) == ("msg_1", "alias", [])
    assert head["usage"]["input_tokens"] == 4
    assert events[-2]["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": "END"}
    assert events[-2]["usage"]["output_tokens"] == 2
    assert events[-2]["usage"]["cache_read_input_tokens"] == 1


def test_a_stream_that_says_nothing_is_a_message_all_the_same() -> None:
    assert kinds(encoded()) == ["message_start", "message_delta", "message_stop"]


def test_pieces_of_other_choices_are_left_out() -> None:
    events = encoded(Began("x", "y"), TextDelta(1, "no"), Finished(1, Finish.LENGTH))

    assert whole(events)["content"] == []
    assert whole(events)["stop_reason"] == "end_turn"


def test_calls_whose_pieces_are_mixed_come_one_after_another() -> None:
    events = encoded(
        ToolCallBegan(0, 0, "a", "f"),
        ToolCallBegan(0, 1, "b", "g"),
        ToolCallDelta(0, 0, '{"x"'),
        ToolCallDelta(0, 1, '{"y":'),
        ToolCallDelta(0, 0, ":1}"),
        ToolCallDelta(0, 1, "2}"),
        Finished(0, Finish.TOOL_CALLS),
    )

    assert kinds(events)[1:-2] == [
        "start",
        "delta",
        "delta",
        "stop",
        "start",
        "delta",
        "delta",
        "stop",
    ]
    assert [block["input"] for block in whole(events)["content"]] == [{"x": 1}, {"y": 2}]


def test_a_call_is_told_as_it_comes() -> None:
    encoder = MessagesEncoder(HEAD)

    began = encoder.write(ToolCallBegan(0, 0, "a", "f"))
    more = encoder.write(ToolCallDelta(0, 0, '{"x"'))

    assert kinds(began) == ["message_start", "start"]
    assert kinds(more) == ["delta"]


def test_calls_without_arguments_are_not_lost() -> None:
    events = encoded(ToolCallBegan(0, 0, "a", "f"), ToolCallBegan(0, 1, "b", "g", "sig"))

    calls = whole(events)["content"]
    assert [call["name"] for call in calls] == ["f", "g"]
    assert calls[1]["penstock_signature"] == "sig"
    assert whole(events)["stop_reason"] == "tool_use"


def test_a_refusal_is_told_at_the_end() -> None:
    events = encoded(RefusalDelta(0, "I "), RefusalDelta(0, "won't"), Finished(0, Finish.STOP))

    said = whole(events)
    assert said["stop_reason"] == "refusal"
    assert said["stop_details"]["explanation"] == "I won't"


def test_seals_of_thoughts_are_told_with_whose_they_are() -> None:
    events = encoded(
        ThinkingDelta(0, "a"),
        ThinkingDelta(0, signature="s", dialect=Dialect.GEMINI),
        ThinkingDelta(0, "b"),
        ThinkingDelta(0, signature="nobody's"),
        ThinkingDelta(0, redacted="d", dialect=Dialect.RESPONSES),
        TextDelta(0, "c"),
    )

    assert whole(events)["content"] == [
        {"type": "thinking", "thinking": "a", "signature": "penstock:gemini:s"},
        {"type": "thinking", "thinking": "b", "signature": ""},
        {"type": "redacted_thinking", "data": "penstock:responses:d"},
        {"type": "text", "text": "c", "citations": None},
    ]
