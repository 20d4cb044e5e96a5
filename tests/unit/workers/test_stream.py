"""Joining a stream into the object that a job keeps."""

from collections.abc import AsyncGenerator
from typing import Any

import orjson
import pytest

from shared.inference.response import InferenceChunk
from shared.inference.usage import Usage
from shared.providers.errors import Unavailable
from workers.attempt.stream import read_stream


async def stream(
    *chunks: dict[str, Any], usage: Usage | None = None
) -> AsyncGenerator[InferenceChunk, None]:
    for chunk in chunks:
        yield InferenceChunk(
            {"id": "c1", "object": "chat.completion.chunk", "model": "m", **chunk}, None
        )
    yield InferenceChunk({"id": "c1", "choices": []}, usage)


def delta(delta: dict[str, Any], finish: str | None = None, index: int = 0) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": delta, "finish_reason": finish}]}


async def test_text_is_joined_and_usage_kept() -> None:
    parts = [
        delta({"role": "assistant", "content": ""}),
        delta({"content": "Hel"}),
        delta({"content": "lo"}),
        delta({}, "stop"),
    ]

    response = await read_stream(stream(*parts, usage=Usage(3, 2)))

    body = orjson.loads(response.body)
    assert body["object"] == "chat.completion"
    assert body["choices"][0]["message"] == {"role": "assistant", "content": "Hello"}
    assert body["choices"][0]["finish_reason"] == "stop"
    assert Usage(3, 2) == response.usage
    assert response.first_token_ms is not None


async def test_tool_calls_are_joined_by_their_index() -> None:
    parts = [
        delta(
            {
                "tool_calls": [
                    {
                        "index": 0,
                        "id": "a",
                        "type": "function",
                        "function": {"name": "f", "arguments": ""},
                    }
                ]
            }
        ),
        delta(
            {
                "tool_calls": [
                    {
                        "index": 1,
                        "id": "b",
                        "type": "function",
                        "function": {"name": "g", "arguments": "{}"},
                    }
                ]
            }
        ),
        delta({"tool_calls": [{"index": 0, "function": {"arguments": '{"x":'}}]}),
        delta({"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]}, "tool_calls"),
    ]

    body = orjson.loads((await read_stream(stream(*parts))).body)

    calls = body["choices"][0]["message"]["tool_calls"]
    assert [
        (call["id"], call["function"]["name"], call["function"]["arguments"]) for call in calls
    ] == [("a", "f", '{"x":1}'), ("b", "g", "{}")]


async def test_choices_and_logprobs_are_kept_apart() -> None:
    logprob = {"content": [{"token": "x", "logprob": -1}]}
    parts = [
        {"choices": [{"index": 1, "delta": {"content": "B"}, "logprobs": logprob}]},
        {"choices": [{"index": 0, "delta": {"content": "A"}}]},
        {"choices": [{"index": 1, "delta": {"content": "b"}, "logprobs": logprob}]},
    ]

    body = orjson.loads((await read_stream(stream(*parts))).body)

    assert [choice["message"]["content"] for choice in body["choices"]] == ["A", "Bb"]
    assert len(body["choices"][1]["logprobs"]["content"]) == 2


async def test_a_broken_stream_is_no_result() -> None:
    async def broken() -> AsyncGenerator[InferenceChunk, None]:
        yield InferenceChunk(delta({"content": "half"}), None)
        raise Unavailable("cut off", provider="p")

    with pytest.raises(Unavailable):
        await read_stream(broken())
