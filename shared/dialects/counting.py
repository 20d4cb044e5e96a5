"""How many tokens a request has, as each dialect says it. Pure."""

from typing import Any

from shared.inference.dialect import Dialect


def counted(dialect: Dialect, tokens: int) -> dict[str, Any]:
    """Return the answer to a request that was only to be counted."""
    if dialect is Dialect.RESPONSES:
        return {"object": "response.input_tokens", "input_tokens": tokens}
    if dialect is Dialect.GEMINI:
        return {"totalTokens": tokens}
    return {"input_tokens": tokens}
