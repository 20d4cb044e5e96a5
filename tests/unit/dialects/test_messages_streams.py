"""Streams in Anthropic's words, read and put together without a loss."""

from typing import Any

import pytest

from shared.dialects.messages.decoding import MessagesDecoder
from shared.dialects.messages.joined import MessagesJoined
from shared.inference.dialect import Dialect
from shared.inference.generation import (
    Began,
    Finish,
    Finished,
    TextDelta,
    ThinkingDelta,
    ToolCallBegan,
    ToolCallDelta,
    Used,
)
from shared.inference.usage import Usage

CITATION = {"type": "char_location", "cited_text": "x"}
STREAM: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": {
            "id": "msg_9",
            "type": "message",
            "role": "assistant",
            "model": "claude",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 5, "cache_read_input_tokens": 10, "output_tokens": 1},
        },
    },
    {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "thinking", "thinking": "", "signature": ""},
    },
    {"type": "ping"},
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "thinking_delta", "thinking": "hm"},
    },
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "signature_delta", "signature": "sig"},
    },
    {"type": "content_block_stop", "index": 0},
    {
        "type": "content_block_start",
        "index": 1,
        "content_block": {
            "type": "server_tool_use",
            "id": "srv",
            "name": "web_search",
            "input": {},
        },
    },
    {
        "type": "content_block_delta",
        "index": 1,
        "delta": {"type": "input_json_delta", "partial_json": '{"q":1}'},
    },
    {"type": "content_block_stop", "index": 1},
    {
        "type": "content_block_start",
        "index": 2,
        "content_block": {"type": "text", "text": "", "citations": None},
    },
    {"type": "content_block_delta", "index": 2, "delta": {"type": "text_delta", "text": "He"}},
    {
        "type": "content_block_delta",
        "index": 2,
        "delta": {"type": "citations_delta", "citation": CITATION},
    },
    {"type": "content_block_delta", "index": 2, "delta": {"type": "text_delta", "text": "llo"}},
    {"type": "content_block_stop", "index": 2},
    {
        "type": "content_block_start",
        "index": 3,
        "content_block": {"type": "tool_use", "id": "t1", "name": "f", "input": {}},
    },
    {
        "type": "content_block_delta",
        "index": 3,
        "delta": {"type": "input_json_delta", "partial_json": ""},
    },
    {"type": "content_block_stop", "index": 3},
    {
        "type": "content_block_start",
        "index": 4,
        "content_block": {"type": "of_the_future", "shape": {"deep": [1]}, "words": "a"},
    },
    {
        "type": "content_block_delta",
        "index": 4,
        "delta": {"type": "future_delta", "words": "b", "more": [2]},
    },
    {"type": "content_block_stop", "index": 4},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None, "container": {"id": "c"}},
        "usage": {"output_tokens": 30, "cache_read_input_tokens": None},
        "context_management": {"applied_edits": []},
    },
    {"type": "message_stop"},
]


def test_a_stream_is_read_as_what_others_understand_of_it() -> None:
    decoder = MessagesDecoder()

    told = [delta for event in STREAM for delta in decoder.read(event)]

    assert told == [
        Began("msg_9", "claude", usage=Usage(15, 1, cached_tokens=10)),
        ThinkingDelta(0, "hm"),
        ThinkingDelta(0, signature="sig", dialect=Dialect.MESSAGES),
        TextDelta(0, "He"),
        TextDelta(0, "llo"),
        ToolCallBegan(0, 0, "t1", "f"),
        ToolCallDelta(0, 0, "{}"),
        Finished(0, Finish.TOOL_CALLS),
        Used(Usage(15, 30, cached_tokens=10)),
    ]


def test_a_stream_is_put_together_without_a_loss() -> None:
    joined = MessagesJoined()

    spoke = [joined.add(event) for event in STREAM]

    assert joined.whole() == {
        "id": "msg_9",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "sig"},
            {"type": "server_tool_use", "id": "srv", "name": "web_search", "input": {"q": 1}},
            {"type": "text", "text": "Hello", "citations": [CITATION]},
            {"type": "tool_use", "id": "t1", "name": "f", "input": {}},
            {"type": "of_the_future", "shape": {"deep": [1]}, "words": "ab", "more": [2]},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "container": {"id": "c"},
        "context_management": {"applied_edits": []},
        "usage": {"input_tokens": 5, "cache_read_input_tokens": 10, "output_tokens": 30},
    }
    # Its own words begin with the thought, not with the message or an empty block.
    assert spoke.index(True) == 3
    for words in ("hm", "Hello", '{"q":1}', "web_search"):
        assert words in joined.said()


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"type": "message_start"},
        {"type": "content_block_start", "index": "x", "content_block": {}},
        {"type": "content_block_start", "index": 0, "content_block": "x"},
        {"type": "content_block_delta", "index": 7, "delta": {"type": "text_delta", "text": "x"}},
        {"type": "content_block_delta", "index": 0, "delta": None},
        {"type": "message_delta", "delta": "x", "usage": 3},
    ],
)
def test_nonsense_does_no_harm(event: dict[str, Any]) -> None:
    joined, decoder = MessagesJoined(), MessagesDecoder()

    joined.add(event)
    decoder.read(event)

    assert joined.whole()["type"] == "message"


def test_what_was_cut_short_is_kept_as_a_text() -> None:
    joined = MessagesJoined()
    block = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    joined.add({"type": "content_block_start", "index": 0, "content_block": block})
    delta = {"type": "input_json_delta", "partial_json": '{"a":'}
    joined.add({"type": "content_block_delta", "index": 0, "delta": delta})

    assert joined.whole()["content"][0]["input"] == {"INVALID_JSON": '{"a":'}


def test_an_end_that_tells_nothing_new_takes_nothing_away() -> None:
    joined = MessagesJoined()
    joined.add({"type": "message_start", "message": {"id": "m", "container": {"id": "c"}}})
    joined.add({"type": "message_delta", "delta": {"stop_reason": "end_turn", "container": None}})

    assert joined.whole()["container"] == {"id": "c"}
