"""Joining a stream into the object that a job keeps."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import orjson
import pytest

from shared.inference.response import InferenceChunk, InferenceResponse
from shared.inference.usage import Usage
from shared.limiter.tokens import TokenCounter
from shared.providers.errors import Malformed, Unavailable
from workers.attempt.stream import Follower, Heard, read_stream

TOKENS = TokenCounter()
BODY: dict[str, Any] = {"messages": [{"role": "user", "content": "hello, who is there?"}]}


class Followed:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[dict[str, Any], bool]] = []

    def add(self, chunk: dict[str, Any], *, at_once: bool) -> None:
        self.told.append((chunk, at_once))


async def read(
    chunks: AsyncIterator[InferenceChunk], follower: Follower | None = None
) -> InferenceResponse:
    return await read_stream(chunks, Heard("p"), follower)


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

    response = await read(stream(*parts, usage=Usage(3, 2)))

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

    body = orjson.loads((await read(stream(*parts))).body)

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

    body = orjson.loads((await read(stream(*parts))).body)

    assert [choice["message"]["content"] for choice in body["choices"]] == ["A", "Bb"]
    assert len(body["choices"][1]["logprobs"]["content"]) == 2


async def test_a_broken_stream_is_no_result() -> None:
    async def broken() -> AsyncGenerator[InferenceChunk, None]:
        yield InferenceChunk(delta({"content": "half"}), None)
        raise Unavailable("cut off", provider="p")

    with pytest.raises(Unavailable):
        await read(broken())


async def test_the_first_token_is_not_the_role() -> None:
    async def slow() -> AsyncGenerator[InferenceChunk, None]:
        yield InferenceChunk(delta({"role": "assistant", "content": ""}), None)
        await asyncio.sleep(0.03)
        yield InferenceChunk(delta({"content": "x"}), None)
        await asyncio.sleep(0.03)
        yield InferenceChunk(delta({"content": "y"}), None)

    response = await read(slow())

    assert response.first_token_ms is not None
    assert 29 <= response.first_token_ms < 59


@pytest.mark.parametrize(
    "said",
    [
        {"content": "x"},
        {"refusal": "no"},
        {"reasoning": "hm"},
        {"reasoning_content": "hm"},
        {"tool_calls": [{"index": 0, "function": {"name": "f"}}]},
    ],
)
async def test_whatever_the_model_says_is_a_first_token(said: dict[str, Any]) -> None:
    response = await read(stream(delta({"role": "assistant"}), delta(said)))

    assert response.first_token_ms is not None


async def test_an_answer_without_a_token_has_no_first_one() -> None:
    response = await read(stream(delta({"role": "assistant", "content": ""}), delta({}, "stop")))

    assert response.first_token_ms is None


async def test_a_follower_hears_every_chunk_and_which_ones_are_waited_for() -> None:
    followed = Followed()
    parts = [
        delta({"role": "assistant", "content": ""}),
        delta({"content": "a"}),
        delta({"content": "b"}),
    ]

    await read(stream(*parts), followed)

    assert [at_once for _, at_once in followed.told] == [True, True, False, False]
    assert [chunk.get("choices") for chunk, _ in followed.told[:3]] == [
        part["choices"] for part in parts
    ]


async def cut(heard: Heard, *chunks: InferenceChunk) -> None:
    async def broken() -> AsyncGenerator[InferenceChunk, None]:
        for chunk in chunks:
            yield chunk
        raise Unavailable("cut off", provider="p")

    with pytest.raises(Unavailable):
        await read_stream(broken(), heard)


async def test_a_cut_stream_is_billed_as_it_reported_last() -> None:
    heard = Heard("p")

    await cut(
        heard,
        InferenceChunk(delta({"content": "a"}), Usage(7, 1)),
        InferenceChunk(delta({"content": "b"}), Usage(7, 2)),
        InferenceChunk(delta({"content": "c"}), None),
    )

    assert heard.billed(BODY, "m", TOKENS) == Usage(7, 2)
    assert heard.first_token_ms is not None


async def test_a_cut_stream_that_reported_nothing_is_estimated() -> None:
    heard = Heard("p")
    call = {"index": 0, "id": "not counted", "function": {"name": "fgh", "arguments": "{}"}}

    await cut(
        heard,
        InferenceChunk(delta({"role": "assistant", "content": "four"}), None),
        InferenceChunk(delta({"content": "ä", "reasoning": "12345"}), None),
        InferenceChunk(delta({"tool_calls": [call]}), None),
        InferenceChunk(delta({"content": "xy"}, index=1), None),
    )

    # 4 + 2 + 5 + 3 + 2 + 2 bytes at 3.6 a token, and the request by the same measure.
    asked = TOKENS.count_request(BODY, "m")
    assert heard.billed(BODY, "m", TOKENS) == Usage(asked, 5)
    assert asked > 0


async def test_a_stream_that_never_began_is_not_billed() -> None:
    heard = Heard("p")

    await cut(heard)

    assert heard.billed(BODY, "m", TOKENS) is None


async def test_what_cannot_be_written_again_is_malformed() -> None:
    deep = orjson.loads(b"[" * 300 + b"]" * 300)
    heard = Heard("p")

    with pytest.raises(Malformed):
        await read_stream(stream(delta({"content": deep})), heard)

    assert heard.billed(BODY, "m", TOKENS) is not None
