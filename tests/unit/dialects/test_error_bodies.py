"""A refusal told in another dialect than the one in which it came."""

import pytest

from shared.dialects.errors import error_body
from shared.inference.dialect import Dialect


@pytest.mark.parametrize("dialect", [Dialect.CHAT, Dialect.RESPONSES, Dialect.EMBEDDINGS])
def test_openai(dialect: Dialect) -> None:
    told = error_body(dialect, 400, "context_too_long", "too long", "messages")

    assert told == {
        "error": {
            "message": "too long",
            "type": "invalid_request_error",
            "param": "messages",
            "code": "context_length_exceeded",
        }
    }


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "invalid_request_error"), (404, "not_found_error"), (418, "invalid_request_error")],
)
def test_anthropic(status: int, kind: str) -> None:
    told = error_body(Dialect.MESSAGES, status, "bad_request", "no")

    assert told == {"type": "error", "error": {"type": kind, "message": "no"}}


@pytest.mark.parametrize(
    ("status", "name"), [(400, "INVALID_ARGUMENT"), (502, "INTERNAL"), (503, "UNAVAILABLE")]
)
def test_google(status: int, name: str) -> None:
    told = error_body(Dialect.GEMINI, status, "bad_request", "no")

    assert told == {"error": {"code": status, "message": "no", "status": name}}
