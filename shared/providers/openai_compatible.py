"""The adapter for everyone who speaks OpenAI's dialect; how vendors differ is data."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from functools import partial
from urllib.parse import quote

import httpx
import orjson
from pydantic import JsonValue

from shared.inference.dialect import Dialect
from shared.inference.request import InferenceRequest
from shared.inference.response import InferenceChunk, InferenceResponse
from shared.inference.vendors import AuthHeader, Vendor
from shared.providers.completion import check
from shared.providers.errors import ProviderError
from shared.providers.headers import limit_feedback
from shared.providers.line import Line, Reader
from shared.providers.responses_request import counting_request, response_request
from shared.providers.responses_stream import ResponsesReader, tokens_in
from shared.providers.stream import StreamReader
from shared.providers.transport import Call, Http, Timeouts

PATHS = {
    Dialect.CHAT: "/chat/completions",
    Dialect.COMPLETIONS: "/completions",
    Dialect.EMBEDDINGS: "/embeddings",
    Dialect.RESPONSES: "/responses",
}
COUNTING = "/input_tokens"
"""Behind the path of the responses: where the tokens of one are counted."""
COUNTS_NOT = frozenset({404, 405, 501})
# Keys of ours that a client may put into a body; no provider ever sees them.
MOST_KNOWN = 1000
OWN_KEYS = "penstock"


class OpenAICompatible:
    """One vendor reached with one key."""

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
        self._base = base_url.rstrip("/")
        self._line = Line(vendor.name, http=http, api_key=api_key)
        self._timeouts = timeouts
        self._max_bytes = max_response_bytes
        self._headers = httpx.Headers(_headers(vendor, api_key) | dict(headers))
        self._calls: dict[tuple[str, str], Call] = {}

    async def generate(self, request: InferenceRequest) -> InferenceResponse:
        """Return a whole answer, in the provider's own bytes."""
        return await self._whole(request)

    async def embed(self, request: InferenceRequest) -> InferenceResponse:
        """Return embeddings, in the provider's own bytes."""
        return await self._whole(request)

    async def stream(self, request: InferenceRequest) -> AsyncGenerator[InferenceChunk, None]:
        """Yield an answer in its dialect's events; close the iterator to close the connection.

        Of a chat the usage is always asked for, so a chunk without choices may carry it at the end.

        Raises:
            ProviderError: as for a whole answer, and also if the stream breaks off.
        """
        stream = self._line.stream(
            self._call(request),
            orjson.dumps(self._wire(request, stream=True)),
            reader=partial(self._reader, request),
            check=partial(check, request.dialect, provider=self.name),
        )
        async with aclosing(stream) as chunks:
            async for chunk in chunks:
                yield chunk

    async def count(self, request: InferenceRequest, /) -> int | None:
        """Return how many tokens a response's request has; None in any other dialect.

        Raises:
            ProviderError: as for an answer. A vendor without such a path counts nothing.
        """
        if request.dialect is not Dialect.RESPONSES:
            return None
        body = counting_request(request, provider=self.name, drops=self._vendor.drops)
        try:
            reply = await self._line.post(self._call(request, COUNTING), orjson.dumps(body))
        except ProviderError as error:
            if error.status in COUNTS_NOT:
                return None
            raise
        return tokens_in(reply.body, provider=self.name)

    async def aclose(self) -> None:
        """Do nothing: the connections belong to the HTTP client that all providers share."""

    async def _whole(self, request: InferenceRequest) -> InferenceResponse:
        content = orjson.dumps(self._wire(request, stream=False))
        reply = await self._line.post(self._call(request), content)
        usage = check(request.dialect, reply.body, provider=self.name)
        return InferenceResponse(reply.status, reply.body, usage, limit_feedback(reply.headers))

    def _reader(self, request: InferenceRequest, headers: Mapping[str, str]) -> Reader:
        feedback = limit_feedback(headers)
        if request.dialect is Dialect.RESPONSES:
            return ResponsesReader(
                provider=self.name, max_event_bytes=self._max_bytes, feedback=feedback
            )
        return StreamReader(
            provider=self.name,
            choices=_choices(request.body),
            max_event_bytes=self._max_bytes,
            feedback=feedback,
        )

    def _wire(self, request: InferenceRequest, *, stream: bool) -> dict[str, JsonValue]:
        if request.dialect is Dialect.RESPONSES:
            return response_request(
                request, provider=self.name, drops=self._vendor.drops, stream=stream
            )
        body = {
            name: value
            for name, value in request.body.items()
            if name not in self._vendor.drops and not name.startswith(OWN_KEYS)
        }
        # What a client may say to this vendor alone: others would refuse it.
        alone = request.body.get(f"{OWN_KEYS}_{self._vendor.name}")
        if isinstance(alone, dict):
            body = {**alone, **body}
        for name, theirs in self._vendor.renames.items():
            if name in body:
                body.setdefault(theirs, body.pop(name))
        options = body.pop("stream_options", None)
        body.pop("stream", None)
        body["model"] = request.model
        if stream:
            body["stream"] = True
            if self._vendor.stream_usage:
                given = options if isinstance(options, dict) else {}
                body["stream_options"] = {**given, "include_usage": True}
        return body

    def _call(self, request: InferenceRequest, behind: str = "") -> Call:
        # Only a vendor with the model in its path has more than one of these an operation.
        model = request.model if "{model}" in self._vendor.prefix else ""
        path = PATHS[request.dialect] + behind
        known = self._calls.get((path, model))
        if known is None:
            prefix = self._vendor.prefix.replace("{model}", quote(model, safe=""))
            url = httpx.URL(self._base + prefix + path)
            url = url.copy_merge_params(dict(self._vendor.query))
            known = Call(url, self._headers, self._timeouts, self._max_bytes)
            if len(self._calls) >= MOST_KNOWN:
                # Clients name models, and may make up as many names as they like.
                self._calls.clear()
            self._calls[path, model] = known
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


def _choices(body: Mapping[str, JsonValue]) -> int:
    wanted = body.get("n")
    each = wanted if isinstance(wanted, int) and wanted > 0 else 1
    prompts = body.get("prompt")
    # Of a legacy completion there are so many for each prompt; a list of numbers is one.
    many = isinstance(prompts, list) and bool(prompts) and not isinstance(prompts[0], int)
    return each * len(prompts) if many and isinstance(prompts, list) else each
