"""The long tail: providers that speak no dialect of ours, through litellm, which is an extra.

It is imported on the first call only: it takes seconds and 200 MB, and most workers never need it.
What it raises is read by its status, as any provider's refusal.
"""

import asyncio
import importlib
import importlib.util
from collections.abc import AsyncGenerator, Mapping
from typing import Any, NoReturn

import orjson
from pydantic import JsonValue

from shared.clock import now_ms
from shared.inference.dialect import Dialect
from shared.inference.request import InferenceRequest
from shared.inference.response import InferenceChunk, InferenceResponse
from shared.inference.vendors import Vendor
from shared.providers.completion import check, usage_of
from shared.providers.errors import Malformed, ProviderError, Timeout, Unavailable
from shared.providers.failures import from_status, malformed
from shared.providers.line import HIDDEN, LEAST_SECRET
from shared.providers.long_tail_request import arguments_of
from shared.providers.transport import Timeouts
from shared.settings import keep_litellm_offline

MODULE = "litellm"
OK = 200

# By the name of litellm's exception, where its status says too little.
CODES = {
    "ContextWindowExceededError": "context_length_exceeded",
    "ContentPolicyViolationError": "content_filter",
}


def installed() -> bool:
    """Tell whether the extra is there, without importing it."""
    return importlib.util.find_spec(MODULE) is not None


class LongTail:
    """One vendor that litellm knows, reached with one key."""

    def __init__(
        self,
        vendor: Vendor,
        *,
        base_url: str | None,
        api_key: str | None,
        timeouts: Timeouts,
        headers: Mapping[str, str],
    ) -> None:
        self.name = vendor.name
        self.dialects = vendor.dialects
        self._prefix = vendor.prefix
        self._api_key = api_key
        self._timeouts = timeouts
        self._fixed: dict[str, Any] = {
            "api_base": base_url,
            "api_key": api_key,
            "extra_headers": dict(headers) or None,
            # One place retries, and it is not here.
            "num_retries": 0,
            "max_retries": 0,
        }

    async def generate(self, request: InferenceRequest) -> InferenceResponse:
        """Return a whole chat completion."""
        asked, library = self._asked(request), await _library()
        answer = await self._answered(library.acompletion(**asked))
        return self._response(answer, Dialect.CHAT)

    async def stream(self, request: InferenceRequest) -> AsyncGenerator[InferenceChunk, None]:
        """Yield a chat completion in chunks; where the vendor tells no usage, it is litellm's estimate."""
        asked = self._asked(request) | {"stream": True, "stream_options": {"include_usage": True}}
        library = await _library()
        ended = False
        try:
            async with asyncio.timeout(self._timeouts.total_s):
                chunks = await library.acompletion(**asked)
                async for chunk in chunks:
                    value = chunk.model_dump(exclude_none=True)
                    ended = ended or _ends(value)
                    yield InferenceChunk(value, usage_of(value))
        except Exception as error:  # noqa: BLE001  it has a hundred classes of its own
            self._failed(error)
        if not ended:
            message = f"{self.name} broke off its stream"
            raise Unavailable(message, provider=self.name, status=OK)

    async def embed(self, request: InferenceRequest) -> InferenceResponse:
        """Return embeddings."""
        asked, library = self._asked(request), await _library()
        answer = await self._answered(library.aembedding(**asked))
        return self._response(answer, Dialect.EMBEDDINGS)

    async def count(self, _request: InferenceRequest, /) -> int | None:
        """Return None: few of these vendors count."""
        return None

    async def aclose(self) -> None:
        """Do nothing: litellm keeps its connections."""

    def _asked(self, request: InferenceRequest) -> dict[str, Any]:
        kept = arguments_of(request, provider=self.name)
        return {**kept, **self._fixed, "model": self._prefix + request.model}

    async def _answered(self, call: Any) -> Any:
        try:
            async with asyncio.timeout(self._timeouts.total_s):
                return await call
        except Exception as error:  # noqa: BLE001  it has a hundred classes of its own
            self._failed(error)

    def _response(self, answer: Any, dialect: Dialect) -> InferenceResponse:
        try:
            raw = self._hide(orjson.dumps(_finished(answer.model_dump(exclude_none=True))))
        except (TypeError, AttributeError) as error:
            raise malformed(
                "sent what is no answer", repr(answer).encode(), provider=self.name
            ) from error
        usage = check(dialect, raw, provider=self.name)
        return InferenceResponse(OK, raw, usage)

    def _failed(self, error: Exception) -> NoReturn:
        # Below the first lines stand our own paths.
        said = self._hidden(str(error).partition("\nTraceback")[0]) or type(error).__name__
        if isinstance(error, TimeoutError) or type(error).__name__ == "Timeout":
            raise Timeout(f"{self.name}: {said}", provider=self.name) from error
        status = getattr(error, "status_code", None)
        if type(error).__name__ == "APIConnectionError":
            # litellm says 500 of what never arrived, and of what it could not read.
            raise self._lost(error, said) from error
        if not isinstance(status, int) or status < 400:  # noqa: PLR2004
            raise Malformed(f"{self.name}: {said}", provider=self.name, status=OK) from error
        raise from_status(
            status,
            _headers(error),
            orjson.dumps({"error": {"message": said, "code": CODES.get(type(error).__name__)}}),
            provider=self.name,
            now_ms=now_ms(),
        ) from error

    def _lost(self, error: Exception, said: str) -> ProviderError:
        causes = [error, error.__cause__, error.__context__]
        refused = any("Connect" in type(cause).__name__ for cause in causes[1:])
        return Unavailable(f"{self.name}: {said}", provider=self.name, sent=not refused)

    def _hide(self, raw: bytes) -> bytes:
        return self._hidden(raw.decode()).encode()

    def _hidden(self, text: str) -> str:
        secret = self._api_key or ""
        return text.replace(secret, HIDDEN.decode()) if len(secret) >= LEAST_SECRET else text


def _finished(answer: dict[str, Any]) -> dict[str, Any]:
    # litellm says `stop` of some vendors' tool calls, and clients go by the reason.
    for choice in answer.get("choices") or ():
        if choice.get("message", {}).get("tool_calls") and choice.get("finish_reason") == "stop":
            choice["finish_reason"] = "tool_calls"
    return answer


def _ends(chunk: Mapping[str, JsonValue]) -> bool:
    choices = chunk.get("choices")
    return isinstance(choices, list) and any(
        isinstance(choice, dict) and choice.get("finish_reason") for choice in choices
    )


def _headers(error: Exception) -> dict[str, str]:
    response = getattr(error, "response", None)
    found = getattr(error, "litellm_response_headers", None) or getattr(response, "headers", None)
    return {str(name).lower(): str(value) for name, value in dict(found or {}).items()}


async def _library() -> Any:
    return await asyncio.to_thread(_imported)


def _imported() -> Any:
    keep_litellm_offline()
    library: Any = importlib.import_module(MODULE)
    library.telemetry = False
    library.suppress_debug_info = True
    library.drop_params = False
    return library
