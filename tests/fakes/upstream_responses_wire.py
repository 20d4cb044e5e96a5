"""The fake provider in OpenAI's newer dialect: `/v1/responses` and `/v1/responses/input_tokens`."""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from tests.fakes.upstream_answers import CREATED, fill, text_of, tokens
from tests.fakes.upstream_responses_asked import SEAL, refusal_of
from tests.fakes.upstream_responses_events import events_of

Body = Mapping[str, Any]

PATH = re.compile(r"^/(?:openai/)?v1/responses(?:/input_tokens)?$")
COUNTING = "/input_tokens"
CODES = {
    401: "invalid_api_key",
    404: "model_not_found",
    429: "rate_limit_exceeded",
}
ECHOED = (
    "instructions",
    "max_output_tokens",
    "metadata",
    "parallel_tool_calls",
    "temperature",
    "tool_choice",
    "tools",
    "top_p",
    "truncation",
)
"""What of a request stands in its response again."""
BY_DEFAULT: Body = {
    "parallel_tool_calls": True,
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
    "metadata": {},
}


class ResponsesWire:
    """The dialect as strict as OpenAI's own server about paths, names, and what refers to what."""

    terminator = b""
    broken_event = (
        b'event: response.output_text.delta\ndata: {"type": "response.output_text.delta", \n\n'
    )

    def owns(self, path: str) -> bool:
        """Claim what stands under `/v1`, as OpenAI has it, and under Azure's `/openai/v1`."""
        return PATH.match(path) is not None

    def streams(self, _path: str, body: Body) -> bool:
        """Go by the body."""
        return bool(body.get("stream"))

    def model(self, _path: str, body: Body) -> str:
        """Go by the body."""
        return str(body.get("model"))

    def marker(self, body: Body) -> str:
        """Return the beginning of what the user last said."""
        return asked_last(body)[:200]

    def key(self, headers: Mapping[str, str]) -> str:
        """Return the bearer token, or Azure's header."""
        return (headers.get("authorization") or headers.get("api-key", "")).removeprefix("Bearer ")

    def refusal(self, path: str, _headers: Mapping[str, str], body: Body) -> str | None:
        """Refuse what the real one refuses."""
        return refusal_of(body, counted=path.endswith(COUNTING))

    def answer(
        self, path: str, body: Body, *, call: str, content: str | None, output_tokens: int | None
    ) -> dict[str, Any]:
        """Return a response that has come to its end, or the count of a request's tokens."""
        if path.endswith(COUNTING):
            return {"object": "response.input_tokens", "input_tokens": input_tokens(body)}
        items = _output(body, call=call, content=content)
        return {
            "id": f"resp_{call}",
            "object": "response",
            "created_at": CREATED,
            "completed_at": CREATED + 1,
            "status": "completed",
            "background": False,
            "error": None,
            "incomplete_details": None,
            "model": body.get("model"),
            "output": items,
            **{name: body.get(name) or BY_DEFAULT.get(name) for name in ECHOED},
            "previous_response_id": None,
            "reasoning": {"effort": None, "summary": None, **(body.get("reasoning") or {})},
            "service_tier": "default",
            "store": False,
            "text": {"format": {"type": "text"}, "verbosity": "medium", **(body.get("text") or {})},
            "top_logprobs": body.get("top_logprobs") or 0,
            "usage": responses_usage(body, output_tokens=output_tokens),
            "user": None,
        }

    def events(self, answer: Body, _body: Body) -> list[bytes]:
        """Return numbered events; one that has no end lacks the last of them."""
        rows = events_of(answer)
        return [framed({**row, "sequence_number": number}) for number, row in enumerate(rows)]

    def usage(self, answer: Body) -> Any:
        """Return `usage`."""
        return answer.get("usage")

    def set_usage(self, answer: dict[str, Any], usage: Any) -> None:
        """Set `usage`."""
        answer["usage"] = usage

    def empty(self, answer: dict[str, Any]) -> None:
        """Leave no output: an empty list of it would still be a response."""
        answer["output"] = None

    def unfinish(self, answer: dict[str, Any]) -> None:
        """Leave it in progress."""
        answer["status"] = "in_progress"

    def error(self, message: str, *, status: int | None = None) -> dict[str, Any]:
        """Return OpenAI's error object."""
        code = "server_error" if status is None else CODES.get(status)
        kind = "server_error" if (status or 500) > 499 else "invalid_request_error"
        return {"error": {"message": message, "type": kind, "param": None, "code": code}}

    def error_event(self, error: Any, after: int) -> bytes:
        """Return `event: error`, whose members stand beside its type."""
        inner = error["error"]
        said = {name: inner.get(name) for name in ("code", "message", "param")}
        return framed({"type": "error", **said, "sequence_number": after})


def framed(event: Body) -> bytes:
    """Return an event as it is sent."""
    return b"event: " + str(event["type"]).encode() + b"\ndata: " + orjson.dumps(event) + b"\n\n"


def responses_usage(body: Body, *, output_tokens: int | None = None) -> dict[str, Any]:
    """Return the usage that the default response to this body reports."""
    inputs = input_tokens(body)
    outputs = tokens(answer_text(body)) if output_tokens is None else output_tokens
    return {
        "input_tokens": inputs,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": outputs,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": inputs + outputs,
    }


def input_tokens(body: Body) -> int:
    """Return how many tokens a body's instructions and items have."""
    texts = [str(body.get("instructions") or "")]
    texts += [text_of(item.get("content") or item.get("output")) for item in items_of(body)]
    return sum(map(tokens, texts))


def items_of(body: Body) -> list[dict[str, Any]]:
    """Return the input as items, of which a bare string is one."""
    given = body.get("input")
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": given}]
    return [item for item in given or [] if isinstance(item, dict)]


def asked_last(body: Body) -> str:
    """Return what the user last said."""
    for item in reversed(items_of(body)):
        said = text_of(item.get("content")) if item.get("role") == "user" else ""
        if said.strip():
            return said.strip()
    return ""


def answer_text(body: Body) -> str:
    """Return what the assistant says: JSON where that was asked for, else an echo."""
    wanted = (body.get("text") or {}).get("format") or {}
    if wanted.get("type") == "json_schema":
        return orjson.dumps(fill(wanted.get("schema", {}))).decode()
    if wanted.get("type") == "json_object":
        return orjson.dumps({"echo": asked_last(body)[:200]}).decode()
    return "" if _called(body) is not None else f"echo: {asked_last(body)[:200]}"


def _output(body: Body, *, call: str, content: str | None) -> list[dict[str, Any]]:
    tool = _called(body) if content is None else None
    if tool is not None:
        said = orjson.dumps(fill(tool.get("parameters") or {})).decode()
        of_call = {"call_id": "call_fake", "name": tool["name"], "arguments": said}
        items = [
            {"type": "function_call", "id": f"fc_{call}", "status": "completed", **of_call},
        ]
    else:
        text = answer_text(body) if content is None else content
        part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        message = {"type": "message", "id": f"msg_{call}", "status": "completed"}
        items = [{**message, "role": "assistant", "content": [part]}]
    return [*_thoughts(body, call), *items]


def _thoughts(body: Body, call: str) -> list[dict[str, Any]]:
    if not (body.get("reasoning") or {}).get("effort"):
        return []
    summary = [{"type": "summary_text", "text": f"thinking of {asked_last(body)[:200]}"}]
    thought = {"type": "reasoning", "id": f"rs_{call}", "summary": summary}
    asked = "reasoning.encrypted_content" in (body.get("include") or [])
    return [{**thought, "encrypted_content": f"{SEAL}{call}"} if asked else thought]


def _called(body: Body) -> dict[str, Any] | None:
    """Return the function that is to be called, if one has to be."""
    choice, tools = body.get("tool_choice"), body.get("tools") or []
    if choice in (None, "none", "auto"):
        return None
    named = choice.get("name") if isinstance(choice, dict) else None
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        if choice.get("mode") != "required":
            return None
        named = choice["tools"][0]["name"]
    functions = [tool for tool in tools if tool.get("type") == "function"]
    return next((one for one in functions if named in (None, one["name"])), None)
