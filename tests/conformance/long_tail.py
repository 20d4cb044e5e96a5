"""The long tail's adapter as a worker has it that was installed with the extra: calls what it is told to, line by line.

Runs in an environment of its own, because litellm wants an older `openai` than the tests do:

    python -m tests.conformance.long_tail BASE_URL

Reads `{"do": "generate" | "stream", "model": …, "body": {…}, "total_s": …, "key": …}`, one JSON object
a line, and answers each with `{"value": …, "usage": …}` or `{"raised": …}`.
"""

import asyncio
import sys
from collections.abc import Mapping
from typing import Any

import orjson

from shared.inference.request import InferenceRequest
from shared.inference.usage import Usage
from shared.providers.base import Provider
from shared.providers.errors import ProviderError
from shared.providers.registry import build_provider
from shared.providers.transport import Http, Timeouts, build_http


def main() -> None:
    """Do what standard input says until it ends."""
    asyncio.run(_serve(sys.argv[1]))


async def _serve(base_url: str) -> None:
    http = build_http()
    for line in sys.stdin:
        told = await _done(orjson.loads(line), base_url, http)
        sys.stdout.buffer.write(orjson.dumps(told) + b"\n")
        sys.stdout.buffer.flush()
    await http.aclose()


async def _done(asked: Mapping[str, Any], base_url: str, http: Http) -> dict[str, Any]:
    provider = build_provider(
        "cohere",
        http=http,
        base_url=base_url,
        api_key=asked.get("key", "sk-long-tail"),
        timeouts=Timeouts(total_s=asked.get("total_s", 20)),
    )
    request = InferenceRequest(asked["model"], asked["body"])
    imported = "litellm" in sys.modules
    try:
        value, usage = await getattr(_Calls(provider), asked["do"])(request)
    except ProviderError as error:
        return {"raised": _raised(error)}
    return {"value": value, "usage": _shown(usage), "imported_before": imported}


class _Calls:
    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    async def generate(self, request: InferenceRequest) -> tuple[Any, Usage | None]:
        answer = await self._provider.generate(request)
        return orjson.loads(answer.body), answer.usage

    async def stream(self, request: InferenceRequest) -> tuple[Any, Usage | None]:
        chunks, usage = [], None
        async for chunk in self._provider.stream(request):
            chunks.append(chunk.data)
            usage = chunk.usage or usage
        return chunks, usage


def _shown(usage: Usage | None) -> list[int] | None:
    return None if usage is None else [usage.input_tokens, usage.output_tokens]


def _raised(error: ProviderError) -> dict[str, Any]:
    return {
        "kind": type(error).__name__,
        "status": error.status,
        "sent": error.sent,
        "retry_after_s": error.retry_after_s,
        "message": error.message,
        "body": (error.body or b"").decode(),
    }


if __name__ == "__main__":
    main()
