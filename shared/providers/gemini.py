"""The adapter for Google's own API, with a key as in AI Studio or a bearer token as on Vertex."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from enum import StrEnum
from functools import partial
from urllib.parse import quote

import httpx
import orjson
from pydantic import JsonValue

from shared.inference.dialect import Dialect
from shared.inference.request import InferenceRequest
from shared.inference.response import InferenceChunk, InferenceResponse
from shared.inference.vendors import AuthHeader, Vendor
from shared.providers import vertex
from shared.providers.gemini_answers import check_answer, read_count
from shared.providers.gemini_stream import GeminiStreamReader
from shared.providers.headers import limit_feedback
from shared.providers.line import Line, Reader
from shared.providers.transport import Call, Http, Reply, Timeouts

IN_THE_PATH = frozenset({"model", "stream"})
MOST_KNOWN = 1000
OWN_KEYS = "penstock"
"""What keys of ours begin with; no provider ever sees them."""
FOLDERS = ("models/", "tunedModels/", "endpoints/")
WRAPPED = ("generateContentRequest", "generate_content_request")


class Act(StrEnum):
    """What is asked of a model, as its path says it."""

    GENERATE = ":generateContent"
    STREAM = ":streamGenerateContent?alt=sse"
    COUNT = ":countTokens"
    EMBED = ":embedContent"
    EMBED_MANY = ":batchEmbedContents"
    PREDICT = ":predict"


EMBEDS = {Dialect.GEMINI_EMBEDDING: Act.EMBED, Dialect.GEMINI_EMBEDDINGS: Act.EMBED_MANY}


class Gemini:
    """One of Google's services reached with one key or token."""

    def __init__(
        self,
        vendor: Vendor,
        *,
        base_url: str,
        api_key: str | None,
        http: Http,
        timeouts: Timeouts,
        headers: Mapping[str, str],
        max_response_bytes: int,
    ) -> None:
        self.name = vendor.name
        self.dialects = vendor.dialects
        self._vendor = vendor
        # The one that takes a token instead of a key.
        self._is_vertex = vendor.auth is not AuthHeader.GOOGLE
        self._base = base_url.rstrip("/")
        self._line = Line(vendor.name, http=http, api_key=api_key)
        self._timeouts = timeouts
        self._max_bytes = max_response_bytes
        self._headers = httpx.Headers(_headers(vendor, api_key) | dict(headers))
        self._calls: dict[tuple[Act, str], Call] = {}

    async def generate(self, request: InferenceRequest) -> InferenceResponse:
        """Return a whole answer, in the provider's own bytes."""
        return await self._answer(Act.GENERATE, request, self._generating(request))

    async def embed(self, request: InferenceRequest) -> InferenceResponse:
        """Return embeddings, in the provider's own bytes where it has the dialect's own words."""
        if not self._is_vertex:
            return await self._answer(EMBEDS[request.dialect], request, _embeddable(request))
        body = _plain(request.body)
        if not vertex.predicts(request.model):
            asked = vertex.embedding(request.dialect, body)
            return await self._answer(EMBEDS[request.dialect], request, asked)
        asked = vertex.predicting(request.dialect, body, provider=self.name)
        reply = await self._post(Act.PREDICT, request.model, asked)
        told = vertex.predicted(request.dialect, reply.body, provider=self.name)
        return self._checked(request, replace(reply, body=told))

    async def stream(self, request: InferenceRequest) -> AsyncGenerator[InferenceChunk, None]:
        """Yield an answer in chunks; close the iterator to close the connection.

        Raises:
            ProviderError: as for a whole answer, and also if the stream breaks off.
        """
        stream = self._line.stream(
            self._call(Act.STREAM, request.model),
            orjson.dumps(self._generating(request)),
            reader=self._reader,
            check=partial(check_answer, Dialect.GEMINI, provider=self.name),
        )
        async with aclosing(stream) as chunks:
            async for chunk in chunks:
                yield chunk

    async def count(self, request: InferenceRequest, /) -> int | None:
        """Return how many tokens a request to generate has.

        Raises:
            ProviderError: as for a whole answer.
        """
        asked = vertex.counting(_whole(request)) if self._is_vertex else _counted(request)
        reply = await self._post(Act.COUNT, request.model, asked)
        return read_count(reply.body, provider=self.name)

    async def aclose(self) -> None:
        """Do nothing: the connections belong to the HTTP client that all providers share."""

    async def _answer(
        self, act: Act, request: InferenceRequest, body: Mapping[str, JsonValue]
    ) -> InferenceResponse:
        return self._checked(request, await self._post(act, request.model, body))

    def _checked(self, request: InferenceRequest, reply: Reply) -> InferenceResponse:
        usage = check_answer(request.dialect, reply.body, provider=self.name)
        return InferenceResponse(reply.status, reply.body, usage, limit_feedback(reply.headers))

    async def _post(self, act: Act, model: str, body: Mapping[str, JsonValue]) -> Reply:
        return await self._line.post(self._call(act, model), orjson.dumps(body))

    def _generating(self, request: InferenceRequest) -> dict[str, JsonValue]:
        body = _plain(request.body)
        return vertex.generating(body) if self._is_vertex else body

    def _reader(self, headers: Mapping[str, str]) -> Reader:
        return GeminiStreamReader(
            provider=self.name,
            max_event_bytes=self._max_bytes,
            feedback=limit_feedback(headers),
        )

    def _root(self, model: str) -> str:
        # Vertex's own endpoints are nobody's publications.
        own = self._is_vertex and model.startswith("endpoints/")
        return self._base.removesuffix("/publishers/google") if own else self._base

    def _call(self, act: Act, model: str) -> Call:
        known = self._calls.get((act, model))
        if known is None:
            url = httpx.URL(f"{self._root(model)}/{_path(model)}{act}")
            url = url.copy_merge_params(dict(self._vendor.query)) if self._vendor.query else url
            known = Call(url, self._headers, self._timeouts, self._max_bytes)
            if len(self._calls) >= MOST_KNOWN:
                # Clients name models, and may make up as many names as they like.
                self._calls.clear()
            self._calls[act, model] = known
        return known


def _headers(vendor: Vendor, api_key: str | None) -> dict[str, str]:
    headers = {
        "accept": "application/json",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "user-agent": "penstock",
    }
    if api_key:
        bearer = vendor.auth is AuthHeader.BEARER
        headers[vendor.auth] = f"Bearer {api_key}" if bearer else api_key
    return headers


def _path(model: str) -> str:
    folder = next((each for each in FOLDERS if model.startswith(each)), "")
    return (folder or "models/") + quote(model.removeprefix(folder), safe="")


def _plain(body: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    return {
        name: value
        for name, value in body.items()
        if name not in IN_THE_PATH and not name.startswith(OWN_KEYS)
    }


def _embeddable(request: InferenceRequest) -> dict[str, JsonValue]:
    body = _plain(request.body)
    requests = body.get("requests")
    if request.dialect is Dialect.GEMINI_EMBEDDINGS and isinstance(requests, list):
        # Google wants the model in each of them, and the one of the path.
        named: JsonValue = _named(request.model)
        body["requests"] = [
            {**each, "model": named} if isinstance(each, dict) else each for each in requests
        ]
    return body


def _whole(request: InferenceRequest) -> dict[str, JsonValue]:
    body = _plain(request.body)
    inner = next((body[name] for name in WRAPPED if name in body), None)
    return _plain(inner) if isinstance(inner, dict) else body


def _counted(request: InferenceRequest) -> dict[str, JsonValue]:
    body = _whole(request)
    if set(body) <= {"contents"}:
        return body
    named: JsonValue = _named(request.model)
    return {"generateContentRequest": {**body, "model": named}}


def _named(model: str) -> str:
    return model if model.startswith(FOLDERS) else f"models/{model}"
