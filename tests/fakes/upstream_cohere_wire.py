"""The fake provider in Cohere's dialect, which none of ours is: `POST /v2/chat`."""

from collections.abc import Mapping
from typing import Any

import orjson

from tests.fakes import upstream_answers as answers

Body = Mapping[str, Any]


class CohereWire:
    """Cohere's chat, version 2: typed events, tool calls with their arguments as text."""

    terminator = b""
    broken_event = b'{"type": "content-delta", "delta":\n'

    def owns(self, path: str) -> bool:
        """Claim chats under any prefix."""
        return path.endswith("/v2/chat")

    def streams(self, _path: str, body: Body) -> bool:
        """Go by the body."""
        return bool(body.get("stream"))

    def model(self, _path: str, body: Body) -> str:
        """Go by the body."""
        return str(body.get("model"))

    def marker(self, body: Body) -> str:
        """Return the beginning of the last user message."""
        return answers.marker(body)

    def key(self, headers: Mapping[str, str]) -> str:
        """Return the bearer token."""
        return headers.get("authorization", "").removeprefix("Bearer ")

    def refusal(self, _path: str, _headers: Mapping[str, str], _body: Body) -> str | None:
        """Refuse nothing."""
        return None

    def answer(
        self, _path: str, body: Body, *, call: str, content: str | None, output_tokens: int | None
    ) -> dict[str, Any]:
        """Return a message with a text or, where tools were given, a call."""
        asked = {**body, "tool_choice": "required"} if body.get("tools") else body
        chat = answers.chat(asked, call=call, content=content, output_tokens=output_tokens)
        message, usage = chat["choices"][0]["message"], chat["usage"]
        said: dict[str, Any] = {"role": "assistant"}
        if message.get("tool_calls"):
            said |= {"tool_plan": "I will look it up.", "tool_calls": message["tool_calls"]}
        else:
            said["content"] = [{"type": "text", "text": message["content"]}]
        tokens = {
            "input_tokens": usage["prompt_tokens"],
            "output_tokens": usage["completion_tokens"],
        }
        finish = "TOOL_CALL" if message.get("tool_calls") else "COMPLETE"
        return {
            "id": call,
            "finish_reason": finish,
            "message": said,
            "usage": {"billed_units": tokens, "tokens": tokens},
        }

    def events(self, answer: Body, _body: Body) -> list[bytes]:
        """Return the answer's text in pieces, the usage in the last event."""
        text = "".join(part["text"] for part in answer["message"].get("content", []))
        pieces = [text[start : start + 8] for start in range(0, len(text), 8)]
        rows: list[dict[str, Any]] = [{"type": "message-start", "id": answer["id"], "delta": {}}]
        rows += [
            {
                "type": "content-delta",
                "index": 0,
                "delta": {"message": {"content": {"text": piece}}},
            }
            for piece in pieces
        ]
        delta = {"finish_reason": answer["finish_reason"], "usage": answer.get("usage")}
        rows.append({"type": "message-end", "delta": delta})
        return [_event(row) for row in rows]

    def usage(self, answer: Body) -> Any:
        """Return `usage`."""
        return answer.get("usage")

    def set_usage(self, answer: dict[str, Any], usage: Any) -> None:
        """Set `usage`."""
        answer["usage"] = usage

    def empty(self, answer: dict[str, Any]) -> None:
        """Leave no content."""
        answer["message"] = {"role": "assistant", "content": []}

    def unfinish(self, answer: dict[str, Any]) -> None:
        """Take the finish reason out."""
        answer["finish_reason"] = None

    def error(self, message: str, *, status: int | None = None) -> dict[str, Any]:
        """Return Cohere's error object."""
        return {"id": "error", "message": message if status else f"internal: {message}"}

    def error_event(self, error: Any, _after: int) -> bytes:
        """Return an event that is an error."""
        return _event({"type": "error", "error": error})


def _event(row: Mapping[str, Any]) -> bytes:
    # Who accepts JSON, as litellm says it does, gets lines of it.
    return orjson.dumps(row) + b"\n"
