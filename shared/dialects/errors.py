"""How each dialect tells of an error: the body that its clients expect beside a status. Pure."""

from collections.abc import Mapping
from typing import Any

from shared.inference.dialect import Dialect

BROKEN = 500
ANTHROPIC_TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
GOOGLE_STATUSES: Mapping[int, str] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_OPENAI_CODES = {
    "context_too_long": "context_length_exceeded",
    "content_filtered": "content_filter",
}
_GOOGLES = (Dialect.GEMINI, Dialect.GEMINI_EMBEDDING, Dialect.GEMINI_EMBEDDINGS)


def error_body(
    dialect: Dialect, status: int, code: str, message: str, param: str | None = None
) -> dict[str, Any]:
    """Return the body of an error as a dialect's clients read it; `code` is ours, where it has a place."""
    if dialect is Dialect.MESSAGES:
        return {"type": "error", "error": {"type": anthropic_type(status), "message": message}}
    if dialect in _GOOGLES:
        return {"error": {"code": status, "message": message, "status": google_status(status)}}
    kind = _by_status(status, "server_error", "invalid_request_error")
    told = {"message": message, "type": kind, "param": param}
    return {"error": {**told, "code": _OPENAI_CODES.get(code, code)}}


def anthropic_type(status: int) -> str:
    """Return what Anthropic calls an error with a status."""
    return ANTHROPIC_TYPES.get(status) or _by_status(status, "api_error", "invalid_request_error")


def google_status(status: int) -> str:
    """Return what Google calls an error with a status."""
    return GOOGLE_STATUSES.get(status) or _by_status(status, "INTERNAL", "INVALID_ARGUMENT")


def _by_status(status: int, broken: str, refused: str) -> str:
    return broken if status >= BROKEN else refused
