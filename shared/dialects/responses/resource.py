"""The response object: every field that the strictest client looks for, and what its caller asked. Pure."""

from collections.abc import Sequence
from typing import Any

from shared.dialects.translator import Head, Json
from shared.inference.generation import Finish
from shared.inference.usage import Usage

_NULLABLE = (
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "previous_response_id",
    "prompt_cache_key",
    "safety_identifier",
    "user",
)
_DEFAULTS: Json = {
    "parallel_tool_calls": True,
    "service_tier": "default",
    "temperature": 1.0,
    "tool_choice": "auto",
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "metadata": {},
}
_OURS = (
    "id",
    "object",
    "created_at",
    "model",
    "background",
    "store",
    "previous_response_id",
    "metadata",
)
"""What no provider knows, however natively it speaks."""
_TOOL_FIELDS = ("description", "parameters", "strict")
INCOMPLETE = {Finish.LENGTH: "max_output_tokens", Finish.CONTENT_FILTER: "content_filter"}


_CUT = b'"incomplete_details":{"reason"'


def response_id(job_id: str) -> str:
    """Name the response that a job is, by the job's id or the bare end of it."""
    return f"resp_{job_id.removeprefix('job_')}"


def is_incomplete(raw: bytes) -> bool:
    """Tell of a response, as we write it, whether it ended before its model had come to the end."""
    # In a text the quotes would be escaped.
    return _CUT in raw


def resource(
    asked: Json,
    head: Head,
    *,
    status: str = "in_progress",
    output: Sequence[Json] = (),
    usage: Usage | None = None,
    reason: str | None = None,
    error: Json | None = None,
) -> dict[str, Any]:
    """Return the whole object; `asked` is the request, `reason` why it is incomplete."""
    return {
        "id": response_id(head.id),
        "object": "response",
        "created_at": head.created_s,
        "completed_at": None,
        "status": status,
        "background": asked.get("background") is True,
        "error": error,
        "incomplete_details": None if reason is None else {"reason": reason},
        "model": head.model,
        "output": list(output),
        **{name: asked.get(name) for name in _NULLABLE},
        **{name: _given(asked, name, other) for name, other in _DEFAULTS.items()},
        "reasoning": _reasoning(asked.get("reasoning")),
        "store": asked.get("store") is not False,
        "text": _text(asked.get("text")),
        "tools": [_tool(each) for each in asked.get("tools") or ()],
        "usage": None if usage is None else usage_object(usage),
    }


def usage_object(usage: Usage) -> dict[str, Any]:
    """Spell a usage."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def adopted(said: Json, head: Head, asked: Json) -> dict[str, Any]:
    """Make a provider's own response, or its event with one, ours: our id, and nothing missing.

    What the provider says stands, but for what only we know.
    """
    inner = said.get("response")
    if isinstance(inner, dict):
        return {**said, "response": adopted(inner, head, asked)}
    if said.get("object") != "response":
        return dict(said)
    ours = resource(asked, head)
    theirs = {name: value for name, value in said.items() if value is not None}
    return {**ours, **theirs, **{name: ours[name] for name in _OURS}}


def _given(asked: Json, name: str, otherwise: object) -> object:
    value = asked.get(name)
    return otherwise if value is None else value


def _reasoning(asked: object) -> dict[str, Any] | None:
    if not isinstance(asked, dict):
        return None
    return {"effort": None, "summary": None, **asked}


def _text(asked: object) -> dict[str, Any]:
    given = dict(asked) if isinstance(asked, dict) else {}
    form = given.get("format")
    if not isinstance(form, dict):
        form = {"type": "text"}
    elif form.get("type") == "json_schema":
        form = {"description": None, "strict": None, **form}
    return {**given, "format": form}


def _tool(tool: object) -> object:
    if not isinstance(tool, dict) or tool.get("type") != "function":
        return tool
    return {**dict.fromkeys(_TOOL_FIELDS), **tool}
