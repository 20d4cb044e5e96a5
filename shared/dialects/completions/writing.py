"""A legacy completion, written from neutral words, of which it has few; pure."""

from typing import Any

from shared.dialects.chat.writing import write_sampling, write_stop
from shared.dialects.translator import Unsupported, Written
from shared.inference.conversation import Role, Text
from shared.inference.generation import GenerationRequest

UNSAID = ("effort", "thinking_tokens", "verbosity", "service_tier", "parallel_tool_calls")


def write_request(request: GenerationRequest) -> Written:
    """Write a request.

    Raises:
        Unsupported: it is more than one text of a user.
    """
    if request.tools:
        raise Unsupported("tools", "tools")
    if request.format is not None:
        raise Unsupported("an answer in JSON", "response_format")
    sampling, dropped = write_sampling(request.tuning)
    sampling.pop("verbosity", None)
    body: dict[str, Any] = {"prompt": _prompt(request), **sampling, **write_stop(request.stop)}
    if request.max_tokens is not None:
        body["max_tokens"] = request.max_tokens
    if request.choices != 1:
        body["n"] = request.choices
    if request.logprobs is not None:
        body["logprobs"] = request.logprobs
    unsaid = [name for name in UNSAID if getattr(request.tuning, name) is not None]
    return Written(body, tuple(dict.fromkeys((*dropped, *unsaid))))


def _prompt(request: GenerationRequest) -> str:
    if len(request.messages) != 1 or request.messages[0].role is not Role.USER:
        raise Unsupported("a conversation", "messages")
    parts = request.messages[0].parts
    texts = [part.text for part in parts if isinstance(part, Text)]
    if len(texts) < len(parts):
        raise Unsupported("what is not text", "messages")
    return "".join(texts)
