"""What Google's streams, counts, embeddings and refusals look like, beyond what they say."""

import math
from typing import Any

import orjson
import pytest
from pydantic import JsonValue

from shared.dialects.embedding import EmbeddingBridge
from shared.inference.conversation import Tool, ToolCall, ToolChoice, ToolMode
from shared.inference.dialect import Dialect
from shared.inference.request import InferenceRequest
from shared.inference.usage import Usage
from shared.providers import errors
from tests.conformance.providers.conftest import Subject, decoded
from tests.fakes.upstream_client import Upstream, rule

pytestmark = pytest.mark.parametrize("subject", ["gemini"], indirect=True)


async def test_a_stream_is_made_of_answers_and_the_last_has_the_end_and_the_usage(
    subject: Subject,
) -> None:
    whole = await subject.provider.generate(subject.ask())
    chunks = await subject.collect(subject.ask())

    candidates: list[Any] = [chunk.data["candidates"] for chunk in chunks]
    reasons = [each.get("finishReason") for (each,) in candidates]
    assert reasons == [None] * (len(chunks) - 1) + ["STOP"]
    assert [chunk.usage for chunk in chunks] == [None] * (len(chunks) - 1) + [whole.usage]
    assert {chunk.data["modelVersion"] for chunk in chunks} == {"echo"}


async def test_thoughts_and_cached_tokens_are_part_of_what_was_used(
    subject: Subject, upstream: Upstream
) -> None:
    used = {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 60,
        "candidatesTokenCount": 7,
        "thoughtsTokenCount": 30,
        "totalTokenCount": 137,
    }
    upstream.script(rule("ok", usage=used))

    whole = await subject.provider.generate(subject.ask())
    chunks = await subject.collect(subject.ask())

    expected = Usage(100, 37, cached_tokens=60, reasoning_tokens=30)
    assert whole.usage == expected
    assert chunks[-1].usage == expected


async def test_a_call_keeps_its_signature_and_gets_an_id(subject: Subject) -> None:
    request = subject.ask(tools=(Tool("f"),), tool_choice=ToolChoice(ToolMode.REQUIRED))

    whole = subject.words.read(await subject.provider.generate(request))

    (call,) = whole.choices[0].parts
    assert isinstance(call, ToolCall)
    assert call.id.startswith("call_response_call-")
    assert call.signature == "c2lnbmF0dXJl"


async def test_tokens_are_counted_as_the_provider_counts_them(subject: Subject) -> None:
    request = subject.ask("echo", "x" * 400, max_tokens=10)

    assert await subject.provider.count(request) == 100 + 3


async def test_retry_info_is_how_long_to_wait(subject: Subject, upstream: Upstream) -> None:
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "13.5s"}
    error = {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Quota", "details": [info]}
    upstream.script(rule("status", status=429, body={"error": error}))

    for call in (subject.provider.generate(subject.ask()), subject.collect(subject.ask())):
        with pytest.raises(errors.RateLimited) as raised:
            await call
        assert raised.value.retry_after_s == 13.5


@pytest.mark.parametrize("encoding_format", ["float", "base64"])
async def test_embeddings_for_clients_of_openai(subject: Subject, encoding_format: str) -> None:
    asked: dict[str, JsonValue] = {
        "model": "alias",
        "input": ["one", "two"],
        "dimensions": 16,
        "encoding_format": encoding_format,
    }
    bridge = EmbeddingBridge(Dialect.EMBEDDINGS, Dialect.GEMINI_EMBEDDINGS)

    request = InferenceRequest("embedder", bridge.request(asked).body, bridge.provider)
    response = await subject.provider.embed(request)
    told = orjson.loads(bridge.answer(response.body, asked))

    assert response.usage == Usage(2, 0)
    assert told["usage"]["prompt_tokens"] == 2
    assert [each["index"] for each in told["data"]] == [0, 1]
    vectors = [each["embedding"] for each in told["data"]]
    assert len(set(map(str, vectors))) == 2
    if encoding_format == "float":
        assert [len(vector) for vector in vectors] == [16, 16]
        assert math.hypot(*vectors[0]) == pytest.approx(1)


async def test_one_text_is_embedded(subject: Subject) -> None:
    body: dict[str, JsonValue] = {"content": {"parts": [{"text": "one"}]}}

    response = await subject.provider.embed(
        InferenceRequest("embedder", body, Dialect.GEMINI_EMBEDDING)
    )

    assert len(decoded(response)["embedding"]["values"]) == 8


async def test_no_vectors_are_no_answer(subject: Subject, upstream: Upstream) -> None:
    upstream.script(rule("empty_choices"))
    content: JsonValue = {"parts": [{"text": "one"}]}
    request = InferenceRequest(
        "embedder", {"requests": [{"content": content}]}, Dialect.GEMINI_EMBEDDINGS
    )

    with pytest.raises(errors.Malformed, match="no embeddings"):
        await subject.provider.embed(request)
