"""The fake provider as Azure: OpenAI's chats and embeddings with the deployment in the path, and its filter's words."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import orjson
from typing_extensions import override

from tests.fakes.upstream_chat_wire import PATHS, ChatWire

Body = Mapping[str, Any]

DEPLOYMENT = re.compile(r"^/openai/deployments/(?P<name>[^/]+)/")
HARMLESS = {
    kind: {"filtered": False, "severity": "safe"}
    for kind in ("hate", "self_harm", "sexual", "violence")
}
FILTERED = [{"prompt_index": 0, "content_filter_results": HARMLESS}]


class AzureWire(ChatWire):
    """What a body says of its model is not read here: the deployment of the path answers."""

    @override
    def owns(self, path: str) -> bool:
        """Claim what is asked of a deployment."""
        return DEPLOYMENT.match(path) is not None and path.endswith(PATHS)

    @override
    def model(self, path: str, _body: Body) -> str:
        """Go by the path."""
        found = DEPLOYMENT.match(path)
        return unquote(found["name"]) if found else ""

    @override
    def key(self, headers: Mapping[str, str]) -> str:
        """Return Azure's own header, and no bearer's token."""
        return headers.get("api-key", "")

    @override
    def answer(
        self, path: str, body: Body, *, call: str, content: str | None, output_tokens: int | None
    ) -> dict[str, Any]:
        """Return what OpenAI would, with what the filter thought of it."""
        named = {**body, "model": self.model(path, body)}
        told = super().answer(path, named, call=call, content=content, output_tokens=output_tokens)
        if "choices" not in told:
            return told
        for choice in told["choices"]:
            choice["content_filter_results"] = HARMLESS
        return {**told, "prompt_filter_results": FILTERED}

    @override
    def events(self, answer: Body, body: Body) -> list[bytes]:
        """Return chunks; the first speaks of the prompt alone, without a choice or an id."""
        first = {"id": "", "object": "", "created": 0, "model": "", "choices": []}
        opening = {**first, "prompt_filter_results": FILTERED}
        return [b"data: " + orjson.dumps(opening) + b"\n\n", *super().events(answer, body)]

    @override
    def error(self, message: str, *, status: int | None = None) -> dict[str, Any]:
        """Return Azure's error object, whose code is a text."""
        if status is None:
            return super().error(message)
        return {"error": {"code": str(status), "message": message}}
