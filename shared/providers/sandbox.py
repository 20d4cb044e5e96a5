"""A provider without a model: for demos and tests, deterministic, and labelled in every answer.

It is used only where a deployment or a model's name says `sandbox`; nothing falls back to it.
"""

import asyncio
import hashlib
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping

import orjson
from pydantic import JsonValue

from shared.clock import now_ms
from shared.inference.request import InferenceRequest
from shared.inference.response import InferenceChunk, InferenceResponse, LimitFeedback
from shared.inference.sandbox_options import SandboxOptions, for_model
from shared.inference.vendors import OPENAI_DIALECTS, SANDBOX
from shared.providers.completion import usage_of
from shared.providers.errors import ProviderError
from shared.providers.failures import from_status
from shared.providers.sandbox_replies import (
    DIMENSIONS,
    MAX_DIMENSIONS,
    chunks,
    completion,
    embeddings,
    input_tokens,
    messages,
    tokens,
)

MINUTE_S = 60.0
UNREADABLE = (TypeError, ValueError, LookupError, AttributeError, RecursionError)
"""What a request raises that is no proper one: a schema whose `type` is a list of lists, and the like."""
FLAKY_STATUS = 503


class Sandbox:
    """Answers at once, or as slowly and as badly as its options and the model's name ask for."""

    name = SANDBOX
    dialects = OPENAI_DIALECTS

    def __init__(
        self,
        options: SandboxOptions | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._options = options or SandboxOptions()
        self._monotonic = monotonic
        self._calls = 0
        self._minute: deque[float] = deque()

    async def generate(self, request: InferenceRequest) -> InferenceResponse:
        """Return an echo of the last user message, or JSON of the asked schema drawn from it."""
        options = for_model(self._options, request.model)
        feedback = await self._admit(options)
        value = self._completion(request, options)
        return InferenceResponse(200, orjson.dumps(value), usage_of(value), feedback)

    async def stream(self, request: InferenceRequest) -> AsyncGenerator[InferenceChunk, None]:
        """Yield the same answer in chunks; the last one has the usage and no choices."""
        options = for_model(self._options, request.model)
        feedback = await self._admit(options)
        for chunk in chunks(self._completion(request, options)):
            yield InferenceChunk(chunk, usage_of(chunk), feedback)
            feedback = None
            if options.chunk_ms:
                await asyncio.sleep(options.chunk_ms / 1000)

    async def embed(self, request: InferenceRequest) -> InferenceResponse:
        """Return unit vectors; texts that share words are near each other."""
        options = for_model(self._options, request.model)
        feedback = await self._admit(options)
        body = request.body
        texts = self._inputs(body)
        if max(map(tokens, texts)) > options.context_tokens:
            raise self._too_long(options)
        size = body.get("dimensions", DIMENSIONS)
        if type(size) is not int or not 0 < size <= MAX_DIMENSIONS:
            raise self._failure(400, f"`dimensions` must be between 1 and {MAX_DIMENSIONS}")
        encoded = body.get("encoding_format") == "base64"
        value = embeddings(request.model, texts, dimensions=size, encoded=encoded)
        return InferenceResponse(200, orjson.dumps(value), usage_of(value), feedback)

    async def count(self, _request: InferenceRequest, /) -> int | None:
        """Return None: it takes our own word for it."""
        return None

    async def aclose(self) -> None:
        """Do nothing: there is nothing to close."""

    async def _admit(self, options: SandboxOptions) -> LimitFeedback | None:
        self._calls += 1
        failing = _share(self._calls) < options.error_rate
        feedback = self._count(options)
        if options.latency_ms:
            await asyncio.sleep(options.latency_ms / 1000)
        if options.status is not None:
            raise self._failure(options.status, f"asked to fail with {options.status}")
        if failing:
            raise self._failure(FLAKY_STATUS, "asked to fail now and then")
        return feedback

    def _count(self, options: SandboxOptions) -> LimitFeedback | None:
        if options.rpm is None:
            return None
        now = self._monotonic()
        while self._minute and self._minute[0] <= now - MINUTE_S:
            self._minute.popleft()
        if len(self._minute) >= options.rpm:
            wait = self._minute[0] + MINUTE_S - now if self._minute else MINUTE_S
            raise self._failure(429, f"more than {options.rpm} calls a minute", wait_s=wait)
        self._minute.append(now)
        return LimitFeedback(
            remaining_requests=options.rpm - len(self._minute),
            reset_requests_s=self._minute[0] + MINUTE_S - now,
            limit_requests=options.rpm,
        )

    def _completion(
        self, request: InferenceRequest, options: SandboxOptions
    ) -> dict[str, JsonValue]:
        if not messages(request.body):
            raise self._failure(400, "`messages` must be a list of at least one message")
        if input_tokens(request.body) > options.context_tokens:
            raise self._too_long(options)
        try:
            return completion(request.model, request.body)
        except UNREADABLE as error:
            # A client's schema may hold anything at all, and so may the rest of its body.
            message = f"the request is none that can be answered ({type(error).__name__})"
            raise self._failure(400, message) from error

    def _inputs(self, body: Mapping[str, JsonValue]) -> list[str]:
        given = body.get("input")
        if isinstance(given, list) and given and all(isinstance(one, int) for one in given):
            given = [given]
        listed = given if isinstance(given, list) else [given]
        if not listed or any(one in (None, "", []) for one in listed):
            raise self._failure(
                400, "`input` must be a text or a list of texts, none of them empty"
            )
        return [one if isinstance(one, str) else orjson.dumps(one).decode() for one in listed]

    def _too_long(self, options: SandboxOptions) -> ProviderError:
        message = f"the maximum context length is {options.context_tokens} tokens"
        return self._failure(400, message, code="context_length_exceeded")

    def _failure(
        self, status: int, message: str, *, code: str | None = None, wait_s: float | None = None
    ) -> ProviderError:
        error = {"message": f"[sandbox] {message}", "type": "sandbox", "param": None, "code": code}
        headers = {} if wait_s is None else {"retry-after": f"{wait_s:.3f}"}
        body = orjson.dumps({"error": error})
        return from_status(status, headers, body, provider=self.name, now_ms=now_ms())


def _share(call: int) -> float:
    """Return a number between 0 and 1 that looks random and is always the same for a call."""
    return int.from_bytes(hashlib.sha256(str(call).encode()).digest()[:4]) / 2**32
