"""What the adapter for Google puts on the wire and makes of what comes, seen by a transport that records it."""

from collections.abc import Sequence
from typing import Any

import httpx
import orjson
import pytest
from pydantic import JsonValue

from shared.inference.dialect import Dialect
from shared.inference.request import InferenceRequest
from shared.inference.response import InferenceChunk
from shared.inference.usage import Usage
from shared.providers import errors
from shared.providers.base import Provider
from shared.providers.registry import build_provider
from shared.providers.transport import Http

CONTENTS: list[JsonValue] = [{"role": "user", "parts": [{"text": "hello"}]}]
USAGE: dict[str, JsonValue] = {
    "promptTokenCount": 4,
    "candidatesTokenCount": 2,
    "totalTokenCount": 6,
}
ANSWER = {
    "candidates": [{"content": {"parts": [{"text": "hi"}]}, "finishReason": "STOP"}],
    "usageMetadata": USAGE,
    "embeddings": [{"values": [1.0]}],
    "embedding": {"values": [1.0]},
    "totalTokens": 7,
}
VERTEX = "https://r-aiplatform.googleapis.com/v1/projects/p/locations/r/publishers/google"


class Wire:
    """Answers every call with one body, and keeps the requests."""

    def __init__(self, *answers: Any, status: int = 200, kind: str = "text/event-stream") -> None:
        self.requests: list[httpx.Request] = []
        self._answers, self._status, self._kind = answers, status, kind
        self.http = Http(httpx.MockTransport(self._answer))

    def body(self) -> dict[str, Any]:
        sent: dict[str, Any] = orjson.loads(self.requests[-1].content)
        return sent

    def path(self) -> str:
        return self.requests[-1].url.raw_path.decode()

    def provider(self, vendor: str = "gemini", **given: Any) -> Provider:
        return build_provider(vendor, http=self.http, **{"api_key": "secret-1", **given})

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if b"stream" not in request.url.raw_path:
            return httpx.Response(self._status, json=(self._answers or (ANSWER,))[0])
        events = b"".join(b"data: " + orjson.dumps(each) + b"\r\n\r\n" for each in self._answers)
        content = events if self._status == 200 else orjson.dumps(self._answers)
        return httpx.Response(self._status, headers={"content-type": self._kind}, content=content)


def ask(model: str = "m", /, **body: JsonValue) -> InferenceRequest:
    return InferenceRequest(model, {"contents": CONTENTS, **body}, Dialect.GEMINI)


async def streamed(provider: Provider) -> Sequence[InferenceChunk]:
    return [chunk async for chunk in provider.stream(ask())]


def said(text: str = "hi", reason: str | None = None, **rest: JsonValue) -> dict[str, JsonValue]:
    candidate: dict[str, JsonValue] = {"content": {"parts": [{"text": text}] if text else []}}
    return {"candidates": [{**candidate, "finishReason": reason}], **rest}


async def test_the_model_stands_in_the_path_and_nothing_of_ours_in_the_body() -> None:
    wire = Wire()

    answer = await wire.provider().generate(
        ask("a/b c", model="alias", stream=True, penstock={"x": 1}, future={"deep": [1]})
    )

    assert str(wire.requests[0].url).startswith("https://generativelanguage.googleapis.com/v1beta/")
    assert wire.path() == "/v1beta/models/a%2Fb%20c:generateContent"
    assert wire.requests[0].headers["x-goog-api-key"] == "secret-1"
    assert "authorization" not in wire.requests[0].headers
    assert wire.body() == {"contents": CONTENTS, "future": {"deep": [1]}}
    assert answer.usage == Usage(4, 2)


@pytest.mark.parametrize("model", ["models/m", "tunedModels/m", "endpoints/7"])
async def test_a_model_may_bring_its_folder(model: str) -> None:
    wire = Wire()

    await wire.provider().generate(ask(model))

    assert wire.path() == f"/v1beta/{model}:generateContent"


async def test_vertex_is_asked_with_a_token() -> None:
    wire = Wire()

    await wire.provider("vertex", base_url=VERTEX).generate(ask("m"))

    assert str(wire.requests[0].url) == f"{VERTEX}/models/m:generateContent"
    assert wire.requests[0].headers["authorization"] == "Bearer secret-1"
    assert "x-goog-api-key" not in wire.requests[0].headers


async def test_a_stream_is_asked_for_as_events() -> None:
    wire = Wire(said("a"), said("b", "STOP", usageMetadata=USAGE))

    chunks = await streamed(wire.provider())

    assert wire.path() == "/v1beta/models/m:streamGenerateContent?alt=sse"
    assert [chunk.usage for chunk in chunks] == [None, Usage(4, 2)]
    assert chunks[0].data == said("a")


async def test_embeddings_name_the_model_of_the_path() -> None:
    wire = Wire()
    provider = wire.provider()
    content: JsonValue = {"parts": [{"text": "t"}]}

    many: dict[str, JsonValue] = {"model": "x", "requests": [{"model": "x", "content": content}]}
    await provider.embed(InferenceRequest("e", many, Dialect.GEMINI_EMBEDDINGS))
    assert wire.path() == "/v1beta/models/e:batchEmbedContents"
    assert wire.body() == {"requests": [{"model": "models/e", "content": content}]}

    one: dict[str, JsonValue] = {"model": "x", "content": content}
    answer = await provider.embed(InferenceRequest("e", one, Dialect.GEMINI_EMBEDDING))
    assert wire.path() == "/v1beta/models/e:embedContent"
    assert wire.body() == {"content": content}
    assert answer.usage == Usage(4, 2)


async def test_tokens_are_counted_with_all_that_is_asked() -> None:
    wire = Wire()
    provider = wire.provider()
    whole = {"contents": CONTENTS, "systemInstruction": {"parts": []}}

    assert await provider.count(ask(model="alias")) == 7
    assert wire.body() == {"contents": CONTENTS}
    for body in (whole, {"generateContentRequest": {**whole, "model": "alias"}}):
        await provider.count(InferenceRequest("m", body, Dialect.GEMINI))  # type: ignore[arg-type]
        assert wire.path() == "/v1beta/models/m:countTokens"
        assert wire.body() == {"generateContentRequest": {**whole, "model": "models/m"}}

    vertex = wire.provider("vertex", base_url=VERTEX)
    await vertex.count(InferenceRequest("m", {"generateContentRequest": whole}, Dialect.GEMINI))  # type: ignore[dict-item]
    assert wire.body() == whole


def error(code: int, status: str, message: str, *details: JsonValue) -> dict[str, JsonValue]:
    inner: dict[str, JsonValue] = {"code": code, "message": message, "status": status}
    return {"error": {**inner, "details": list(details)}}


RETRY: JsonValue = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}
DAILY: JsonValue = {
    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
    "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}],
}
BY_MINUTE: JsonValue = {
    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
    "violations": [{"quotaId": "GenerateContentInputTokensPerModelPerMinute-FreeTier"}],
}
BAD_KEY: JsonValue = {"reason": "API_KEY_INVALID", "domain": "googleapis.com"}
FAILURES = [
    (429, error(429, "RESOURCE_EXHAUSTED", "Quota", BY_MINUTE, RETRY), errors.RateLimited, 34.5),
    (429, error(429, "RESOURCE_EXHAUSTED", "Resource exhausted."), errors.RateLimited, None),
    (429, error(429, "RESOURCE_EXHAUSTED", "Quota", DAILY, RETRY), errors.QuotaExhausted, None),
    (400, error(400, "INVALID_ARGUMENT", "Oops", BAD_KEY), errors.AuthFailed, None),
    (400, error(400, "INVALID_ARGUMENT", "API key not valid. Please"), errors.AuthFailed, None),
    (400, error(400, "FAILED_PRECONDITION", "User location is not supported for the API use."), errors.AuthFailed, None),
    (400, error(400, "INVALID_ARGUMENT", "The input token count (1196265) exceeds the maximum number of tokens allowed (1048575)."), errors.ContextTooLong, None),
    (400, error(400, "INVALID_ARGUMENT", "Unknown name"), errors.BadRequest, None),
    (403, error(403, "PERMISSION_DENIED", "No"), errors.AuthFailed, None),
    (403, error(403, "PERMISSION_DENIED", "No", {"reason": "BILLING_DISABLED"}), errors.QuotaExhausted, None),
    (404, error(404, "NOT_FOUND", "models/x is not found"), errors.ModelNotFound, None),
    (499, error(499, "CANCELLED", "The operation was cancelled."), errors.Unavailable, None),
    (500, error(500, "INTERNAL", "An internal error has occurred."), errors.Unavailable, None),
    (503, error(503, "UNAVAILABLE", "The model is overloaded."), errors.Overloaded, None),
    (504, error(504, "DEADLINE_EXCEEDED", "Deadline expired"), errors.Timeout, None),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "kind", "wait"), FAILURES)
async def test_a_failure_has_its_place(
    status: int, body: dict[str, JsonValue], kind: type[errors.ProviderError], wait: float | None
) -> None:
    wire = Wire(body, status=status, kind="application/json")

    for call in (wire.provider().generate(ask()), streamed(wire.provider())):
        with pytest.raises(kind) as raised:
            await call
        assert (type(raised.value), raised.value.status) == (kind, status)
        assert raised.value.retry_after_s == wait


@pytest.mark.parametrize(("status", "body", "kind", "wait"), FAILURES)
async def test_a_failure_in_the_middle_of_a_stream_has_the_same_place(
    status: int, body: dict[str, JsonValue], kind: type[errors.ProviderError], wait: float | None
) -> None:
    with pytest.raises(kind) as raised:
        await streamed(Wire(said("a"), body).provider())

    assert (type(raised.value), raised.value.status) == (kind, status)
    assert wait is None or raised.value.retry_after_s == wait


@pytest.mark.parametrize("status", [200, 400])
async def test_a_quoted_key_is_hidden(status: int) -> None:
    wire = Wire(error(400, "INVALID_ARGUMENT", "API key secret-1 expired"), status=status)
    with pytest.raises(errors.ProviderError) as raised:
        await wire.provider().generate(ask())

    assert "secret-1" not in str(raised.value)
    assert b"secret-1" not in (raised.value.body or b"")
    assert "[key]" in str(raised.value)


BLOCKED = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}}
NO_CALL: dict[str, JsonValue] = {"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}]}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (BLOCKED, errors.ContentFiltered),
        ({"candidates": []}, errors.Malformed),
        ({"candidates": [], **BLOCKED}, errors.ContentFiltered),
        (NO_CALL, errors.Malformed),
        ([], errors.Malformed),
    ],
)
async def test_no_answer_is_no_success(body: Any, kind: type[errors.ProviderError]) -> None:
    wire = Wire(body)

    for call in (wire.provider().generate(ask()), streamed(wire.provider())):
        with pytest.raises(kind) as raised:
            await call
        assert type(raised.value) is kind
        assert raised.value.body is not None


async def test_a_blocked_prompt_says_why_and_what_it_cost() -> None:
    with pytest.raises(errors.ContentFiltered, match="blocked the prompt: SAFETY") as raised:
        await Wire(BLOCKED).provider().generate(ask())
    assert raised.value.usage == Usage(4, 0)


async def test_an_answer_that_was_filtered_is_one_that_its_client_sees() -> None:
    assert b"SAFETY" in (await Wire(said("", "SAFETY")).provider().generate(ask())).body


@pytest.mark.parametrize(
    ("events", "kind"),
    [
        ([], errors.Unavailable),
        ([said("a")], errors.Unavailable),
        ([{"usageMetadata": USAGE}], errors.Malformed),
        ([said("a"), {"candidates": [{"index": 1, "finishReason": "STOP"}]}], errors.Unavailable),
    ],
)
async def test_a_stream_without_every_end_broke_off(
    events: list[Any], kind: type[errors.ProviderError]
) -> None:
    with pytest.raises(kind) as raised:
        await streamed(Wire(*events).provider())

    assert type(raised.value) is kind


@pytest.mark.parametrize(
    "events", [[said("a"), NO_CALL], [{"ping": 1}, said("a"), said("", "STOP")]]
)
async def test_noise_is_passed_over_and_a_call_may_fail_after_words(events: list[Any]) -> None:
    assert len(await streamed(Wire(*events).provider())) == 2


async def test_a_whole_answer_to_a_streaming_call_is_malformed() -> None:
    wire = Wire(ANSWER, kind="application/json; charset=UTF-8")

    with pytest.raises(errors.Malformed):
        await streamed(wire.provider())


@pytest.mark.parametrize("wrong", [{"totalTokens": "7"}, {"totalTokens": -1}])
async def test_a_count_must_be_one(wrong: Any) -> None:
    with pytest.raises(errors.Malformed, match="no count"):
        await Wire(wrong).provider().count(ask())


@pytest.mark.parametrize("wrong", [{}, {"embeddings": []}, {"embeddings": [{"value": [1]}]}])
async def test_embeddings_must_be_some(wrong: Any) -> None:
    request = InferenceRequest("e", {"requests": []}, Dialect.GEMINI_EMBEDDINGS)

    with pytest.raises(errors.Malformed, match="embeddings"):
        await Wire(wrong).provider().embed(request)
