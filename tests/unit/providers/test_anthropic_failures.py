"""Every way in which Anthropic says no, and its place in the tree of failures."""

from typing import Any

import pytest

from shared.providers import errors
from shared.providers.registry import build_provider
from tests.unit.providers.anthropic_wire import Wire, ask


def error(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, error("invalid_request_error", "messages: required"), errors.BadRequest),
        (
            400,
            error("invalid_request_error", "prompt is too long: 2 tokens > 1 maximum"),
            errors.ContextTooLong,
        ),
        (
            400,
            error("invalid_request_error", "input length and `max_tokens` exceed context limit"),
            errors.ContextTooLong,
        ),
        (
            400,
            error("invalid_request_error", "Your credit balance is too low to access the API."),
            errors.QuotaExhausted,
        ),
        (
            400,
            error("invalid_request_error", "Output blocked by content filtering policy"),
            errors.ContentFiltered,
        ),
        (401, error("authentication_error", "invalid x-api-key"), errors.AuthFailed),
        (402, error("billing_error", "pay"), errors.QuotaExhausted),
        (403, error("permission_error", "no"), errors.AuthFailed),
        (404, error("not_found_error", "model: claude-9"), errors.ModelNotFound),
        (413, error("request_too_large", "more than 32 MB"), errors.BadRequest),
        (429, error("rate_limit_error", "slow down"), errors.RateLimited),
        (500, error("api_error", "oops"), errors.Unavailable),
        (504, error("timeout_error", "late"), errors.Unavailable),
        (529, error("overloaded_error", "Overloaded"), errors.Overloaded),
        (200, error("overloaded_error", "Overloaded"), errors.Overloaded),
        (200, error("not_found_error", "model: x"), errors.ModelNotFound),
        (200, error("invalid_request_error", "prompt is too long"), errors.ContextTooLong),
        (200, error("billing_error", "pay"), errors.QuotaExhausted),
        (200, error("request_too_large", "x"), errors.BadRequest),
        (200, error("timeout_error", "x"), errors.Timeout),
        (200, error("of the future", "x"), errors.Malformed),
        (200, {"content": "text"}, errors.Malformed),
        (200, {"content": ["text"]}, errors.Malformed),
        (200, b"<html>", errors.Malformed),
    ],
)
async def test_every_failure_has_its_place(
    status: int, body: object, kind: type[errors.ProviderError]
) -> None:
    provider = build_provider(
        "anthropic", http=Wire(body, status=status).http, api_key="sk-ant-key"
    )

    with pytest.raises(kind) as raised:
        await provider.generate(ask())

    assert type(raised.value) is kind


async def test_the_key_is_hidden_wherever_it_is_quoted() -> None:
    secret = "sk-ant-secret"
    wire = Wire(error("authentication_error", f"{secret} is wrong"), status=401)
    provider = build_provider("anthropic", http=wire.http, api_key=secret)

    for attempt in (provider.generate(ask()), provider.count(ask())):
        with pytest.raises(errors.AuthFailed) as raised:
            await attempt
        assert secret.encode() not in (raised.value.body or b"")
        assert secret not in raised.value.message
