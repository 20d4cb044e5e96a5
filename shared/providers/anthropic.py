"""The adapter for Anthropic's Messages API, and for whoever else speaks it."""

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

import httpx
import orjson
from pydantic import JsonValue

from shared.clock import now_ms
from shared.dialects.messages.seals import without_foreign
from shared.inference.request import InferenceRequest
from shared.inference.response import InferenceChunk, InferenceResponse
from shared.inference.vendors import Vendor
from shared.providers.anthropic_answers import check, count_of
from shared.providers.anthropic_stream import MessagesReader
from shared.providers.errors import BadRequest
from shared.providers.headers import limit_feedback
from shared.providers.line import Line, Reader
from shared.providers.transport import Call, Http, Reply, Timeouts

MESSAGES_PATH = "/v1/messages"
COUNT_PATH = "/v1/messages/count_tokens"
VERSION_HEADER, BETA_HEADER = "anthropic-version", "anthropic-beta"
# The version that takes all that either takes; 2026-10-21 refuses `SAMPLING`, and more.
VERSION = "2023-06-01"
SAMPLING = frozenset({"temperature", "top_p", "top_k"})
OAUTH_TOKEN, OAUTH_BETA = "sk-ant-oat", "oauth-2025-04-20"
COUNTED = frozenset(
    {"messages", "system", "tools", "tool_choice", "thinking", "output_config", "cache_control"}
)
"""What of a request is counted; `count_tokens` refuses every other key."""
BETAS = "penstock_anthropic_beta"
"""Where a body names what its client says in `anthropic-beta`: a list of names."""
BETA, MOST_BETAS = re.compile(r"[A-Za-z0-9._-]{1,64}"), 32
# Keys of ours that a client may put into a body; no provider ever sees them.
OWN_KEYS = "penstock"


class Anthropic:
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
        # Anthropic's own clients want it without the version, most others' with it.
        self._base = base_url.rstrip("/").removesuffix("/v1")
        self._line = Line(vendor.name, http=http, api_key=api_key)
        self._timeouts = timeouts
        self._max_bytes = max_response_bytes
        self._headers = _headers(api_key, headers)
        self._calls: dict[tuple[str, bool], Call] = {}

    async def generate(self, request: InferenceRequest) -> InferenceResponse:
        """Return a whole message, in the provider's own bytes."""
        reply = await self._post(MESSAGES_PATH, self._wire(request), _betas(request.body))
        usage = check(reply.body, provider=self.name)
        feedback = limit_feedback(reply.headers, now_ms=now_ms())
        return InferenceResponse(reply.status, reply.body, usage, feedback)

    async def embed(self, _request: InferenceRequest, /) -> InferenceResponse:
        """Refuse: the dialect has no embeddings.

        Raises:
            BadRequest: always.
        """
        message = f"{self.name} makes no embeddings"
        raise BadRequest(message, provider=self.name, sent=False)

    async def stream(self, request: InferenceRequest) -> AsyncGenerator[InferenceChunk, None]:
        """Yield a message's events, `message_stop` the last; close the iterator to close the connection.

        Raises:
            ProviderError: as for a whole answer, and also if the stream breaks off.
        """
        body = {**self._wire(request), "stream": True}
        stream = self._line.stream(
            self._call(MESSAGES_PATH, body, _betas(request.body)),
            orjson.dumps(body),
            reader=self._reader,
            check=partial(check, provider=self.name),
        )
        async with aclosing(stream) as chunks:
            async for chunk in chunks:
                yield chunk

    async def count(self, request: InferenceRequest, /) -> int | None:
        """Return how many tokens a request has, as the provider counts them.

        Raises:
            ProviderError: as for an answer.
        """
        wire = self._wire(request)
        body = {name: value for name, value in wire.items() if name in COUNTED or name == "model"}
        reply = await self._post(COUNT_PATH, body, _betas(request.body))
        return count_of(reply.body, provider=self.name)

    async def aclose(self) -> None:
        """Do nothing: the connections belong to the HTTP client that all providers share."""

    async def _post(self, path: str, body: Mapping[str, Any], betas: Sequence[str]) -> Reply:
        return await self._line.post(self._call(path, body, betas), orjson.dumps(body))

    def _reader(self, headers: Mapping[str, str]) -> Reader:
        return MessagesReader(
            provider=self.name,
            max_event_bytes=self._max_bytes,
            feedback=limit_feedback(headers, now_ms=now_ms()),
        )

    def _wire(self, request: InferenceRequest) -> dict[str, JsonValue]:
        body = {
            name: value
            for name, value in request.body.items()
            if name not in self._vendor.drops and not name.startswith(OWN_KEYS)
        }
        body.pop("stream", None)
        body["model"] = request.model
        body["messages"] = without_foreign(body.get("messages"))
        return body

    def _call(self, path: str, body: Mapping[str, Any], betas: Sequence[str]) -> Call:
        # An operator may ask for a newer version, but not for one that refuses the request.
        old = _needs_old_version(body)
        known = self._calls.get((path, old))
        if known is None:
            headers = self._headers.copy()
            if old:
                headers[VERSION_HEADER] = VERSION
            url = httpx.URL(self._base + path).copy_merge_params(dict(self._vendor.query))
            known = Call(url, headers, self._timeouts, self._max_bytes)
            self._calls[path, old] = known
        # Which betas there are is for clients to say, so that none of these is kept.
        return _with_betas(known, betas) if betas else known


def _betas(body: Mapping[str, Any]) -> list[str]:
    # A job's body may come from anyone, and this becomes a header.
    given = body.get(BETAS)
    named = given if isinstance(given, list) else []
    return [beta for beta in named if isinstance(beta, str) and BETA.fullmatch(beta)][:MOST_BETAS]


def _with_betas(call: Call, betas: Sequence[str]) -> Call:
    headers = call.headers.copy()
    own = [beta.strip() for beta in headers.get(BETA_HEADER, "").split(",") if beta.strip()]
    headers[BETA_HEADER] = ",".join(dict.fromkeys([*own, *betas]))
    return Call(call.url, headers, call.timeouts, call.max_bytes)


def _headers(api_key: str | None, given: Mapping[str, str]) -> httpx.Headers:
    headers = httpx.Headers(
        {
            "accept": "application/json",
            "accept-encoding": "identity",
            "content-type": "application/json",
            "user-agent": "penstock",
            VERSION_HEADER: VERSION,
        }
    )
    if api_key and api_key.startswith(OAUTH_TOKEN):
        headers["authorization"] = f"Bearer {api_key}"
    elif api_key:
        headers["x-api-key"] = api_key
    headers.update(given)
    if "authorization" in headers and OAUTH_TOKEN in headers["authorization"]:
        betas = [headers.get(BETA_HEADER), OAUTH_BETA]
        headers[BETA_HEADER] = ",".join(beta for beta in betas if beta)
    return headers


def _needs_old_version(body: Mapping[str, Any]) -> bool:
    if any(name in body for name in SAMPLING):
        return True
    messages = body.get("messages")
    return any(
        _is_of_old_version(message)
        for message in (messages if isinstance(messages, list) else [])
        if isinstance(message, dict)
    )


def _is_of_old_version(message: Mapping[str, Any]) -> bool:
    content = message.get("content")
    given = content if isinstance(content, list) else []
    blocks = [block for block in given if isinstance(block, dict)]
    if message.get("role") == "assistant":
        return any(block.get("type") == "document" for block in blocks)
    return any(block.get("type") == "text" and block.get("citations") for block in blocks)
