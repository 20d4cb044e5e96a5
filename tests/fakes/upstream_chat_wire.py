"""The fake provider in OpenAI's dialect: chat completions and embeddings."""

from collections.abc import Mapping
from typing import Any

import orjson

from tests.fakes import upstream_answers as answers

Body = Mapping[str, Any]
PATHS = ("/chat/completions", "/embeddings")


class ChatWire:
    """OpenAI's dialect, as most vendors speak it."""

    terminator = b"data: [DONE]\n\n"
    broken_event = b'data: {"id": "x", "choices": [\n\n'

    def owns(self, path: str) -> bool:
        """Claim chat completions and embeddings under any prefix."""
        return path.endswith(PATHS)

    def streams(self, _path: str, body: Body) -> bool:
        """Go by the body."""
        return bool(body.get("stream"))

    def model(self, _path: str, body: Body) -> str:
        """Go by the body."""
        return str(body.get("model"))

    def marker(self, body: Body) -> str:
        """Return the beginning of the last user message, or of the embeddings' input."""
        return answers.marker(body)

    def key(self, headers: Mapping[str, str]) -> str:
        """Return the bearer token, or Azure's header."""
        return (headers.get("authorization") or headers.get("api-key", "")).removeprefix("Bearer ")

    def refusal(self, _path: str, _headers: Mapping[str, str], _body: Body) -> str | None:
        """Refuse nothing: vendors differ."""
        return None

    def answer(
        self, path: str, body: Body, *, call: str, content: str | None, output_tokens: int | None
    ) -> dict[str, Any]:
        """Return a completion or embeddings."""
        if path.endswith("/embeddings"):
            return answers.embeddings(body)
        return answers.chat(body, call=call, content=content, output_tokens=output_tokens)

    def events(self, answer: Body, body: Body) -> list[bytes]:
        """Return chunks, the last with the usage if that was asked for."""
        asked = (body.get("stream_options") or {}).get("include_usage", False)
        rows = answers.chunks(answer, include_usage=asked and answer.get("usage") is not None)
        return [b"data: " + orjson.dumps(row) + b"\n\n" for row in rows]

    def usage(self, answer: Body) -> Any:
        """Return `usage`."""
        return answer.get("usage")

    def set_usage(self, answer: dict[str, Any], usage: Any) -> None:
        """Set `usage`."""
        answer["usage"] = usage

    def empty(self, answer: dict[str, Any]) -> None:
        """Leave no choices, or no vectors."""
        answer["data" if "data" in answer else "choices"] = []

    def unfinish(self, answer: dict[str, Any]) -> None:
        """Set every `finish_reason` to null."""
        for choice in answer["choices"]:
            choice["finish_reason"] = None

    def error(self, message: str, *, status: int | None = None) -> dict[str, Any]:
        """Return OpenAI's error object."""
        if status is not None:
            return {"error": {"message": message, "type": "fake"}}
        return {"error": {"message": message, "type": "server_error", "code": "server_error"}}

    def error_event(self, error: Any, _after: int) -> bytes:
        """Return a chunk that is an error."""
        return b"data: " + orjson.dumps(error) + b"\n\n"
