"""A transport that answers as Anthropic does, and keeps what it was asked."""

from typing import Any

import httpx
import orjson
from pydantic import JsonValue

from shared.inference.dialect import Dialect
from shared.inference.request import InferenceRequest
from shared.providers.transport import Http

ANSWER = {
    "type": "message",
    "content": [{"type": "text", "text": "hi"}],
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
EVENTS = (
    {"type": "message_start", "message": {**ANSWER, "content": []}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
    {"type": "message_stop"},
)


class Wire:
    """Answers every call with one body, and keeps the requests."""

    def __init__(self, body: object = ANSWER, *, status: int = 200) -> None:
        self.requests: list[httpx.Request] = []
        self._body, self._status = body, status
        self.http = Http(httpx.MockTransport(self._answer))

    @property
    def last(self) -> httpx.Request:
        return self.requests[-1]

    def sent(self) -> dict[str, Any]:
        body: dict[str, Any] = orjson.loads(self.last.content)
        return body

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if orjson.loads(request.content).get("stream") and self._status == 200:
            frames = [b"data: " + orjson.dumps(event) + b"\n\n" for event in EVENTS]
            headers = {"content-type": "text/event-stream"}
            return httpx.Response(200, headers=headers, content=b"".join(frames))
        if isinstance(self._body, bytes):
            return httpx.Response(self._status, content=self._body)
        return httpx.Response(self._status, json=self._body)


def ask(**body: JsonValue) -> InferenceRequest:
    messages: list[JsonValue] = [{"role": "user", "content": "hello"}]
    return InferenceRequest(
        "claude", {"max_tokens": 9, "messages": messages, **body}, Dialect.MESSAGES
    )
