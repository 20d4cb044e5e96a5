"""Chat streams as vendors really send them, and as OpenAI's clients take them."""

from typing import Any

import pytest

from shared.dialects.chat.translator import CHAT
from shared.dialects.translator import Head
from shared.inference.conversation import ToolCall
from shared.inference.generation import (
    Began,
    Delta,
    Finish,
    Finished,
    TextDelta,
    ThinkingDelta,
    ToolCallBegan,
    ToolCallDelta,
    Used,
)
from shared.inference.usage import Usage

HEAD = Head("a1", "best", 1_700_000_000)
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "chatcmpl-x", "model": "m", "created": 7, "choices": [choice], **more}


def decoded(*chunks: dict[str, Any]) -> list[Delta]:
    decoder = CHAT.decoder()
    return [delta for each in chunks for delta in decoder.read(each)]


def call(name: str, arguments: str = "{}", **more: Any) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": arguments}, **more}


def calls_in(deltas: list[Delta]) -> list[tuple[str, str, str]]:
    begun = [delta for delta in deltas if isinstance(delta, ToolCallBegan)]
    pieces = [delta for delta in deltas if isinstance(delta, ToolCallDelta)]
    return [
        (b.id, b.name, "".join(p.arguments for p in pieces if p.index == b.index)) for b in begun
    ]


def test_a_stream_begins_once_and_its_last_usage_stands() -> None:
    deltas = decoded(
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "a"}, usage={**USAGE, "completion_tokens": 1, "total_tokens": 4}),
        chunk({}, "stop"),
        chunk({}, "stop"),
        {"id": "chatcmpl-x", "choices": [], "usage": USAGE},
        {"id": "chatcmpl-x", "choices": [], "x_groq": {"usage": USAGE}},
    )

    assert deltas == [
        Began("chatcmpl-x", "m", 7),
        TextDelta(0, "a"),
        Used(Usage(3, 1)),
        Finished(0, Finish.STOP),
        Used(Usage(3, 4)),
        Used(Usage(3, 4)),
    ]


@pytest.mark.parametrize(
    "pieces",
    [
        # As OpenAI does.
        [
            [{"index": 0, **call("f", "", id="a")}],
            [{"index": 0, "function": {"arguments": '{"x"'}}],
            [{"index": 0, "function": {"arguments": ":1}"}}],
            [{"index": 1, **call("g", "", id="b")}],
            [{"index": 1, "function": {"arguments": "{}"}}],
        ],
        # Whole, without a place.
        [[call("f", '{"x":1}', id="a")], [call("g", "{}", id="b")]],
        # Whole, all in one place.
        [[{"index": 0, **call("f", '{"x":1}', id="a")}], [{"index": 0, **call("g", id="b")}]],
        # All at once.
        [[{"index": 0, **call("f", '{"x":1}', id="a")}, {"index": 1, **call("g", id="b")}]],
        # The id and the name again with every piece.
        [
            [{"index": 0, **call("f", '{"x"', id="a")}],
            [{"index": 0, **call("f", ":1}", id="a")}],
            [{"index": 1, **call("g", "{}", id="b")}],
        ],
        # Arguments before the name.
        [
            [{"index": 0, "id": "a", "function": {"arguments": '{"x":'}}],
            [{"index": 0, "function": {"name": "f", "arguments": "1}"}}],
            [{"index": 1, **call("g", id="b")}],
        ],
    ],
)
def test_calls_are_read_however_they_come(pieces: list[list[dict[str, Any]]]) -> None:
    deltas = decoded(*[chunk({"tool_calls": piece}) for piece in pieces], chunk({}, "stop"))

    assert calls_in(deltas) == [("a", "f", '{"x":1}'), ("b", "g", "{}")]
    assert deltas[-1] == Finished(0, Finish.TOOL_CALLS)


def test_calls_without_an_id_get_the_one_of_the_whole_answer() -> None:
    message = {"tool_calls": [call("f"), call("g")]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    whole = CHAT.read_answer({"id": "chatcmpl-x", "choices": [choice]}).choices[0]
    pieces = [{"index": 0, **call("f")}, {"index": 1, **call("g")}]

    deltas = decoded(chunk({"tool_calls": pieces}), chunk({}, "tool_calls"))

    ids = [part.id for part in whole.parts if isinstance(part, ToolCall)]
    assert [each[0] for each in calls_in(deltas)] == ids
    assert len(set(ids)) == 2


def test_thoughts_are_read_in_every_vendors_words() -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "c"}]},
        {"type": "text", "text": "d"},
    ]

    deltas = decoded(
        chunk({"reasoning_content": "a", "reasoning": "a"}),
        chunk({"reasoning": "b"}),
        chunk({"content": parts}),
    )

    assert deltas[1:] == [
        ThinkingDelta(0, "a"),
        ThinkingDelta(0, "b"),
        ThinkingDelta(0, "c"),
        TextDelta(0, "d"),
    ]


def test_what_says_nothing_is_noise() -> None:
    decoder = CHAT.decoder()
    assert decoder.read({"id": "x", "choices": [], "prompt_filter_results": []}) == [Began("x", "")]
    assert decoder.read(chunk({"role": "assistant", "content": None})) == []
    assert decoder.read({"choices": None, "usage": None}) == []


def test_a_stream_is_written_with_the_role_first_and_the_usage_last() -> None:
    encoder = CHAT.encoder(HEAD, {})
    deltas: list[Delta] = [
        Began("x", "theirs", usage=Usage(1, 0)),
        TextDelta(0, "a"),
        ThinkingDelta(0, signature="sig"),
        ToolCallBegan(0, 0, "c", "f"),
        TextDelta(1, "b"),
        Used(Usage(3, 4)),
        Finished(0, Finish.TOOL_CALLS),
        Finished(1, Finish.STOP),
    ]

    chunks = [each for delta in deltas for each in encoder.write(delta)]
    (last,) = encoder.end()

    assert {each["id"] for each in [*chunks, last]} == {"chatcmpl-a1"}
    parts = [each["choices"][0] for each in chunks]
    assert [(part["index"], part["delta"], part["finish_reason"]) for part in parts] == [
        (0, {"role": "assistant", "content": "a"}, None),
        (0, {"tool_calls": [{"index": 0, "id": "c", "type": "function", **call("f", "")}]}, None),
        (1, {"role": "assistant", "content": "b"}, None),
        # Clients read arguments as JSON.
        (0, {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}, None),
        (0, {}, "tool_calls"),
        (1, {}, "stop"),
    ]
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 7
    assert CHAT.encoder(HEAD, {}).end() == ()
