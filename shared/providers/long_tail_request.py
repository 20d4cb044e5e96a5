"""Which of a request's keys litellm may hear. Pure.

It takes a request as the arguments of a function, among which are its own: `base_url` and `fallbacks`
say where a call goes, and with which key. A client that could set these would be sent the operator's
key, so that whatever is not listed here never gets there.
"""

from typing import Any

from shared.inference.dialect import Dialect
from shared.inference.request import InferenceRequest
from shared.providers.errors import CannotDo

OWN_KEYS = "penstock"
_CHAT = frozenset(
    {
        *("messages", "tools", "tool_choice", "functions", "function_call", "response_format"),
        *("max_completion_tokens", "max_tokens", "stop", "n", "logprobs", "top_logprobs"),
        *("logit_bias", "reasoning_effort", "parallel_tool_calls", "temperature", "top_p"),
        *("seed", "presence_penalty", "frequency_penalty", "user"),
    }
)
_EMBEDDINGS = frozenset({"input", "dimensions", "encoding_format", "user"})
_SILENT = frozenset(
    {"model", "stream", "stream_options", "metadata", "store", "service_tier", "safety_identifier"}
    | {"prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"}
)
"""What says nothing about the answer, and to litellm something else or nothing."""
FUNCTION = "function"


def arguments_of(request: InferenceRequest, *, provider: str) -> dict[str, Any]:
    """Return what of a request becomes arguments.

    Raises:
        CannotDo: it asks for something that is not listed.
    """
    taken = _EMBEDDINGS if request.dialect is Dialect.EMBEDDINGS else _CHAT
    kept: dict[str, Any] = {}
    for name, value in request.body.items():
        if name in taken:
            kept[name] = value
        elif value is not None and name not in _SILENT and not name.startswith(OWN_KEYS):
            raise _cannot(provider, f"`{name[:64]}`")
    tools = kept.get("tools")
    for tool in tools if isinstance(tools, list) else ():
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind != FUNCTION:
            # litellm would run some of the others itself.
            raise _cannot(provider, f"tools of type `{str(kind)[:64]}`")
    return kept


def _cannot(provider: str, what: str) -> CannotDo:
    return CannotDo(f"{provider} cannot do this: {what}", provider=provider, sent=False)
