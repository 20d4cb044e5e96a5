"""Streams of Google's, as it really sends them and as its clients read them."""

from typing import Any

import orjson

from shared.dialects.gemini.translator import GEMINI
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

HEAD = Head("job", "their-name", 1)
THINKING: dict[str, Any] = {"generation_config": {"thinking_config": {"include_thoughts": True}}}


def test_a_stream_as_its_clients_want_it() -> None:
    encoder = GEMINI.encoder(HEAD, THINKING)
    deltas: list[Delta] = [
        Began("theirs", "their-model", usage=Usage(3, 1)),
        ThinkingDelta(0, "hm"),
        ThinkingDelta(0, "", "signature", dialect=Dialect.MESSAGES),
        TextDelta(0, "a"),
        RefusalDelta(0, "b"),
        TextDelta(0, ""),
        ToolCallBegan(0, 0, "c1", "f", "c2ln"),
        ToolCallDelta(0, 0, '{"x":'),
        ToolCallDelta(0, 0, "1}"),
        ToolCallBegan(0, 1, "c2", "g"),
        Finished(0, Finish.TOOL_CALLS),
        Used(Usage(3, 7)),
    ]

    events = [event for delta in deltas for event in encoder.write(delta)] + [*encoder.end()]

    frame = {"modelVersion": "their-name", "responseId": "job"}

    def chunk(*parts: Any, **rest: Any) -> dict[str, Any]:
        candidate = {"content": {"parts": list(parts), "role": "model"}, "index": 0, **rest}
        return {"candidates": [candidate], **frame}

    call = {"functionCall": {"id": "c1", "name": "f", "args": {"x": 1}}, "thoughtSignature": "c2ln"}
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 7, "totalTokenCount": 10}
    assert events == [
        chunk({"text": "hm", "thought": True}),
        chunk({"text": "a"}),
        chunk({"text": "b"}),
        chunk(call, {"functionCall": {"id": "c2", "name": "g"}}),
        {**chunk({"text": ""}, finishReason="STOP"), "usageMetadata": usage},
    ]


def test_a_stream_of_googles_in_neutral_words() -> None:
    decoder = GEMINI.decoder()
    call = {"functionCall": {"name": "f", "args": {"x": 1}}, "thoughtSignature": "c2ln"}
    frame = {"responseId": "r1", "modelVersion": "gemini-3"}
    early = {"promptTokenCount": 3, "totalTokenCount": 3}
    late = {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}

    def chunk(usage: Any, *parts: Any, **rest: Any) -> dict[str, Any]:
        candidate = {"content": {"parts": list(parts)}, **rest}
        return {"candidates": [candidate], "usageMetadata": usage, **frame}

    events = [
        chunk(early, {"text": "hm", "thought": True}),
        chunk(early, {"text": "a"}),
        chunk(late, call, {"functionCall": {"id": "own", "name": "g"}}),
        chunk(late, {"text": "", "thoughtSignature": "eA=="}, finishReason="STOP"),
    ]

    assert [delta for event in events for delta in decoder.read(event)] == [
        Began("r1", "gemini-3", usage=Usage(3, 0)),
        ThinkingDelta(0, "hm"),
        Used(Usage(3, 0)),
        TextDelta(0, "a"),
        Used(Usage(3, 0)),
        ToolCallBegan(0, 0, "call_r1_0_0", "f", "c2ln"),
        ToolCallDelta(0, 0, '{"x":1}'),
        ToolCallBegan(0, 1, "own", "g"),
        Used(Usage(3, 2)),
        Finished(0, Finish.TOOL_CALLS),
        Used(Usage(3, 2)),
    ]


def joined(*events: Any) -> tuple[dict[str, Any], list[bool], str]:
    whole = GEMINI.joined()
    speaks = [whole.add(event) for event in events]
    return orjson.loads(orjson.dumps(whole.whole())), speaks, whole.said()


def test_a_stream_is_joined_with_all_that_nobody_knows() -> None:
    def chunk(*parts: Any, **rest: Any) -> dict[str, Any]:
        return {"candidates": [{"content": {"parts": list(parts), "role": "model"}, **rest}]}

    signed = {"text": "d", "thoughtSignature": "eA=="}
    ran = {"executableCode": {"code": "1"}, "future": 1}
    call = {"functionCall": {"name": "f", "args": {"x": 1}}}
    whole, speaks, said = joined(
        {**chunk({"text": ""}), "usageMetadata": {"promptTokenCount": 1}, "future": {"a": 1}},
        chunk({"text": "hm", "thought": True}),
        chunk({"text": "m", "thought": True}, {"text": "a"}),
        chunk({"text": "b"}, citationMetadata={"citations": [1]}),
        chunk({"text": "c"}, signed, ran, {"text": "e"}, citationMetadata={"citations": [2]}),
        {"usageMetadata": {"promptTokenCount": 2}},
        chunk(call, finishReason="STOP", safetyRatings=[1], index=0),
        chunk({"text": ""}),
    )

    assert whole == {
        "candidates": [
            {
                "content": {
                    "parts": [
                        {"text": "hmm", "thought": True},
                        {"text": "abc"},
                        signed,
                        ran,
                        {"text": "e"},
                        call,
                    ],
                    "role": "model",
                },
                "citationMetadata": {"citations": [1, 2]},
                "finishReason": "STOP",
                "safetyRatings": [1],
                "index": 0,
            }
        ],
        "usageMetadata": {"promptTokenCount": 2},
        "future": {"a": 1},
    }
    assert speaks == [False, True, True, True, True, False, True, False]
    assert said == 'hmmabcdef{"x":1}'


def test_a_stream_that_said_nothing_is_joined_too() -> None:
    assert joined({"promptFeedback": {"blockReason": "OTHER"}})[0] == {
        "promptFeedback": {"blockReason": "OTHER"}
    }
    assert joined({"candidates": [{"finishReason": "SAFETY"}]})[0] == {
        "candidates": [{"finishReason": "SAFETY"}]
    }
    assert joined({"candidates": "x"}, {"candidates": [{"content": {"parts": 3}}]})[1] == [
        False,
        False,
    ]
