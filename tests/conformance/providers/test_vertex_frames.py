"""What Vertex takes otherwise than Google's other service: turns, calls, counts, and three ways to embed."""

import base64
import struct
from typing import Any

import orjson
import pytest
from pydantic import JsonValue

from shared.dialects.embedding import EmbeddingBridge
from shared.inference.conversation import (
    Message,
    Role,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
)
from shared.inference.dialect import Dialect
from shared.inference.request import InferenceRequest
from shared.inference.usage import Usage
from shared.providers import errors
from tests.conformance.providers.conftest import Subject, decoded
from tests.conformance.providers.vocabulary import text_of
from tests.fakes.upstream_client import Upstream, rule

pytestmark = pytest.mark.parametrize("subject", ["vertex"], indirect=True)
TOOL = Tool("f")
PREDICTING, EMBEDDING = "text-embedding-005", "gemini-embedding-001"


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_conversation_with_a_call_is_understood(subject: Subject, streaming: bool) -> None:
    request = subject.ask(tools=(TOOL,), tool_choice=ToolChoice(ToolMode.REQUIRED))
    first = subject.words.read(await subject.provider.generate(request)).choices[0]
    (call,) = first.parts
    assert isinstance(call, ToolCall)
    assert call.id

    turns = (
        *(Message(Role.USER, (Text("which one?"),)), Message(Role.ASSISTANT, (call,))),
        Message(Role.USER, (ToolResult(call.id, (Text("it is paid"),), name="f"), Text("and?"))),
    )
    again = subject.ask(messages=turns, tools=(TOOL,))
    if streaming:
        said = subject.words.joined(await subject.collect(again))
    else:
        said = subject.words.read(await subject.provider.generate(again))

    assert text_of(said.choices[0]) == "echo: and?"


async def test_a_turn_without_a_role_is_the_users(subject: Subject) -> None:
    body: dict[str, JsonValue] = {"contents": [{"parts": [{"text": "whose is it?"}]}]}
    request = InferenceRequest("echo", body, Dialect.GEMINI)

    said = subject.words.read(await subject.provider.generate(request))
    assert text_of(said.choices[0]) == "echo: whose is it?"
    assert await subject.collect(request)
    assert await subject.provider.count(request) == 3


async def test_tokens_are_counted_of_what_vertex_counts(subject: Subject) -> None:
    wanted = ToolChoice(ToolMode.REQUIRED)
    request = subject.ask("echo", "x" * 400, max_tokens=10, tools=(TOOL,), tool_choice=wanted)
    settings: JsonValue = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]
    more: dict[str, JsonValue] = {"safetySettings": settings, "labels": {"a": "b"}}
    body = {**request.body, **more}

    counted = await subject.provider.count(InferenceRequest("echo", body, Dialect.GEMINI))

    assert counted == 100 + 3


async def test_a_name_that_vertex_does_not_know_is_an_error(subject: Subject) -> None:
    body = {**subject.ask().body, "novel": True}

    with pytest.raises(errors.BadRequest, match='Unknown name "novel"'):
        await subject.provider.generate(InferenceRequest("echo", body, Dialect.GEMINI))


@pytest.mark.parametrize("model", [PREDICTING, EMBEDDING])
@pytest.mark.parametrize("encoding_format", ["float", "base64"])
async def test_texts_of_a_client_of_openais_are_embedded(
    subject: Subject, model: str, encoding_format: str
) -> None:
    asked: dict[str, JsonValue] = {
        "input": ["one", "two"],
        "dimensions": 16,
        "encoding_format": encoding_format,
    }
    bridge = EmbeddingBridge(Dialect.EMBEDDINGS, Dialect.GEMINI_EMBEDDINGS)
    request = InferenceRequest(model, bridge.request(asked).body, bridge.provider)

    response = await subject.provider.embed(request)
    told: dict[str, Any] = orjson.loads(bridge.answer(response.body, asked))

    assert response.usage == Usage(2, 0)
    vectors = [each["embedding"] for each in told["data"]]
    if encoding_format == "base64":
        vectors = [struct.unpack("<16f", base64.b64decode(each)) for each in vectors]
    assert [len(vector) for vector in vectors] == [16, 16]
    assert vectors[0] != vectors[1]


@pytest.mark.parametrize(
    ("model", "method"), [(PREDICTING, "predict"), (EMBEDDING, "embedContent")]
)
async def test_one_text_with_its_purpose_is_embedded(
    subject: Subject, upstream: Upstream, model: str, method: str
) -> None:
    body: dict[str, JsonValue] = {
        "content": {"parts": [{"text": "one"}]},
        "taskType": "RETRIEVAL_DOCUMENT",
        "title": "a title",
        "outputDimensionality": 4,
    }

    response = await subject.provider.embed(InferenceRequest(model, body, Dialect.GEMINI_EMBEDDING))

    assert len(decoded(response)["embedding"]["values"]) == 4
    assert response.usage == Usage(1, 0)
    assert upstream.calls()[-1]["path"].endswith(f"/publishers/google/models/{model}:{method}")


async def test_what_predict_cannot_do_is_said_before_it_is_asked(subject: Subject) -> None:
    content: JsonValue = {"parts": [{"text": "one"}]}
    sizes: JsonValue = [{"content": content, "outputDimensionality": size} for size in (4, 8)]
    picture: JsonValue = {"parts": [{"inlineData": {"mimeType": "image/png", "data": "eA=="}}]}
    pictures: JsonValue = [{"content": picture}]
    for requests in (sizes, pictures):
        request = InferenceRequest(PREDICTING, {"requests": requests}, Dialect.GEMINI_EMBEDDINGS)

        with pytest.raises(errors.CannotDo) as raised:
            await subject.provider.embed(request)
        assert not raised.value.sent


@pytest.mark.parametrize("model", [PREDICTING, EMBEDDING])
async def test_what_nobody_knows_is_for_vertex_to_refuse(subject: Subject, model: str) -> None:
    body: dict[str, JsonValue] = {"content": {"parts": [{"text": "one"}]}, "novel": 1}

    with pytest.raises(errors.BadRequest, match='Unknown name "novel"'):
        await subject.provider.embed(InferenceRequest(model, body, Dialect.GEMINI_EMBEDDING))


async def test_no_vectors_are_no_answer(subject: Subject, upstream: Upstream) -> None:
    upstream.script(rule("empty_choices"))
    body: dict[str, JsonValue] = {"content": {"parts": [{"text": "one"}]}}

    with pytest.raises(errors.Malformed, match="not one embedding"):
        await subject.provider.embed(InferenceRequest(PREDICTING, body, Dialect.GEMINI_EMBEDDING))


async def test_an_endpoint_of_ones_own_stands_beside_what_is_published(
    subject: Subject, upstream: Upstream
) -> None:
    await subject.provider.generate(subject.ask("endpoints/1234567"))

    path = upstream.calls()[-1]["path"]
    assert path.endswith("/locations/europe-west4/endpoints/1234567:generateContent")
