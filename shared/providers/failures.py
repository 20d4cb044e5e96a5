"""Which failure of the tree an exception, a status or an error object is."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import aiohttp
import httpx
import orjson
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import JsonValue

from shared.inference.usage import Usage
from shared.providers.errors import (
    AuthFailed,
    BadRequest,
    ContentFiltered,
    ContextTooLong,
    Malformed,
    ModelNotFound,
    Overloaded,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    ResultTooLarge,
    Timeout,
    Unavailable,
)
from shared.providers.gemini_errors import NO_ACCESS, QUOTA_PER_DAY, detailed_codes
from shared.providers.headers import limit_feedback, reset_s, retry_after_s, retry_in_body_s
from shared.providers.sse import EventTooLarge
from shared.providers.transport import BodyTooLarge

SNIPPET = 500
LAST_STATUS = 599
TOO_LONG_STATUSES = frozenset({400, 413, 422})

# What a call may raise on its way; anything else is our own bug and stays one.
CALL_ERRORS = (
    httpx.HTTPError,
    httpx.InvalidURL,
    aiohttp.ClientError,
    HttpProcessingError,
    OSError,
    BodyTooLarge,
    EventTooLarge,
)

# First match wins. The second column: could the provider have seen the request?
BY_EXCEPTION: tuple[tuple[type[BaseException], bool, type[ProviderError]], ...] = (
    (aiohttp.ConnectionTimeoutError, False, Unavailable),  # to connect, or to get a place
    (aiohttp.ClientConnectorError, False, Unavailable),  # refused, DNS, TLS, proxy
    (aiohttp.ServerFingerprintMismatch, False, Unavailable),
    (aiohttp.InvalidURL, False, BadRequest),
    (aiohttp.NonHttpUrlClientError, False, BadRequest),
    (aiohttp.ServerTimeoutError, True, Timeout),
    (aiohttp.ClientResponseError, True, Malformed),  # not HTTP
    (aiohttp.ClientError, True, Unavailable),  # reset, cut off
    (HttpProcessingError, True, Malformed),
    (httpx.ConnectError, False, Unavailable),
    (httpx.ConnectTimeout, False, Unavailable),
    (httpx.PoolTimeout, False, Unavailable),
    (httpx.ProxyError, False, Unavailable),
    (httpx.UnsupportedProtocol, False, BadRequest),
    (httpx.InvalidURL, False, BadRequest),
    (httpx.TimeoutException, True, Timeout),
    (httpx.DecodingError, True, Malformed),
    (httpx.HTTPError, True, Unavailable),
    (BodyTooLarge, True, ResultTooLarge),
    (EventTooLarge, True, ResultTooLarge),
    (TimeoutError, True, Timeout),  # the total
    (OSError, True, Unavailable),
)

BY_STATUS: Mapping[int, type[ProviderError]] = {
    401: AuthFailed,
    402: QuotaExhausted,
    403: AuthFailed,
    404: ModelNotFound,
    408: Timeout,
    409: Unavailable,
    425: Unavailable,
    429: RateLimited,
    498: Overloaded,  # Groq: flex capacity
    499: Unavailable,
    503: Overloaded,
    529: Overloaded,
}

# Codes that say more than the status they come with.
BY_CODE: Mapping[str, type[ProviderError]] = {
    "insufficient_quota": QuotaExhausted,
    "billing_hard_limit_reached": QuotaExhausted,
    "billing_not_active": QuotaExhausted,
    "insufficient_balance": QuotaExhausted,
    "context_length_exceeded": ContextTooLong,
    "exceed_context_size_error": ContextTooLong,
    "content_filter": ContentFiltered,
    "content_policy_violation": ContentFiltered,
    "moderation_blocked": ContentFiltered,
    "responsibleaipolicyviolation": ContentFiltered,
    "model_not_found": ModelNotFound,
    "deploymentnotfound": ModelNotFound,
    "invalid_model": ModelNotFound,
    "model_decommissioned": ModelNotFound,
    "billing_error": QuotaExhausted,
    # Google's, which are names of statuses, and of reasons among its details.
    "api_key_invalid": AuthFailed,
    "billing_disabled": QuotaExhausted,
    QUOTA_PER_DAY: QuotaExhausted,
    "deadline_exceeded": Timeout,
}

# Codes that stand in for a status where there is none: in a 200, or in the middle of a stream.
BY_CODE_ALONE: Mapping[str, type[ProviderError]] = {
    **BY_CODE,
    "rate_limit_exceeded": RateLimited,
    "rate_limit_error": RateLimited,
    "resource_exhausted": RateLimited,
    "overloaded_error": Overloaded,
    "server_is_overloaded": Overloaded,
    "slow_down": Overloaded,
    "service_unavailable_error": Overloaded,
    "server_error": Unavailable,
    "internal_server_error": Unavailable,
    "api_error": Unavailable,
    "timeout": Timeout,
    "timeout_error": Timeout,
    "conflict_error": Unavailable,
    "not_found_error": ModelNotFound,
    "request_too_large": BadRequest,
    "invalid_request_error": BadRequest,
    "invalid_prompt": BadRequest,
    "invalid_api_key": AuthFailed,
    "authentication_error": AuthFailed,
    "permission_error": AuthFailed,
    "permission_denied": AuthFailed,
    "unauthenticated": AuthFailed,
    "invalid_argument": BadRequest,
    "not_found": ModelNotFound,
    "unavailable": Overloaded,
    "internal": Unavailable,
}

# Vendors without a code for it say it in words.
TOO_LONG = re.compile(
    r"maximum context length|context length|context window|context size|prompt is too long"
    r"|input token count .* exceeds|too many (?:input )?tokens|too large for model"
    r"|reduce the length of (?:the|your) (?:messages|prompt|input)|exceed context limit",
    re.IGNORECASE,
)
NO_MONEY = re.compile(r"credit balance is too low", re.IGNORECASE)
FILTERED = re.compile(r"blocked by content filtering", re.IGNORECASE)
NEVER_FITS = re.compile(r"request too large", re.IGNORECASE)
BY_WORDS: Mapping[int, tuple[tuple[re.Pattern[str], type[ProviderError]], ...]] = {
    400: ((NO_ACCESS, AuthFailed), (NO_MONEY, QuotaExhausted), (FILTERED, ContentFiltered)),
    429: ((NEVER_FITS, BadRequest),),
}


@dataclass(frozen=True, slots=True)
class ErrorObject:
    """What a provider's error body says, whichever of the usual shapes it has."""

    fields: Mapping[str, JsonValue]
    message: str
    codes: tuple[str, ...]

    @property
    def status(self) -> int | None:
        """Return the HTTP status that the object names, if it names one."""
        for name in ("code", "status", "status_code"):
            value = self.fields.get(name)
            number = int(value) if isinstance(value, int | str) and str(value).isdecimal() else 0
            if HTTPStatus.BAD_REQUEST <= number <= LAST_STATUS:
                return number
        return None


def read_error(value: JsonValue) -> ErrorObject:
    """Find the error in a decoded body: `{"error": …}`, a list of it, or the bare object."""
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, dict) and value.get("error"):
        value = value["error"]
    if not isinstance(value, dict):
        return ErrorObject({}, str(value)[:SNIPPET] if value else "", ())
    message = value.get("message") or value.get("detail") or ""
    inner = value.get("innererror")
    names = [value.get("code"), value.get("type"), value.get("status")]
    names.append(inner.get("code") if isinstance(inner, dict) else None)
    names += detailed_codes(value.get("details"))
    codes = tuple(name.lower() for name in names if isinstance(name, str))
    return ErrorObject(value, str(message)[:SNIPPET], codes)


def from_exception(error: BaseException, *, provider: str) -> ProviderError:
    """Turn what a call raised into a failure of the tree.

    httpx-aiohttp reports a connection lost after sending as a connect timeout, so what decides is
    the aiohttp error behind it, where there is one.
    """
    cause = error.__cause__
    mapped = isinstance(error, httpx.HTTPError) and isinstance(cause, aiohttp.ClientError | OSError)
    real = cause if mapped else error
    for kind, sent, failure in BY_EXCEPTION:
        if isinstance(real, kind):
            said = f"{provider}: {str(real)[:SNIPPET] or type(real).__name__}"
            return failure(said, provider=provider, sent=sent)
    raise error


def from_status(
    status: int, headers: Mapping[str, str], body: bytes, *, provider: str, now_ms: int
) -> ProviderError:
    """Turn an answer that is no success into a failure of the tree."""
    error = read_error(_json(body))
    kind = _kind(status, error)
    feedback = limit_feedback(headers, now_ms=now_ms)
    wait = retry_after_s(headers, now_ms=now_ms)
    if wait is None and kind is not QuotaExhausted:
        # Of a day's quota Google says to come again in seconds, as of a minute's.
        wait = retry_in_body_s(error.fields)
    if wait is None and kind is RateLimited:
        wait = reset_s(feedback)
    return kind(
        f"{provider} answered {status}: {error.message or _snippet(body)}",
        provider=provider,
        status=status,
        retry_after_s=wait,
        body=body,
        feedback=feedback,
    )


def from_error_object(
    value: JsonValue,
    *,
    provider: str,
    raw: bytes,
    otherwise: type[ProviderError],
    usage: Usage | None = None,
) -> ProviderError:
    """Turn an error that came with a 200 into a failure; `otherwise` if it does not say which."""
    error = read_error(value)
    status = error.status
    if status is not None:
        kind = _kind(status, error)
    else:
        named = (BY_CODE_ALONE[code] for code in error.codes if code in BY_CODE_ALONE)
        kind = next(named, otherwise)
    return kind(
        f"{provider} sent an error: {error.message or _snippet(raw)}",
        provider=provider,
        status=200 if status is None else status,
        retry_after_s=retry_in_body_s(error.fields),
        usage=usage,
        body=raw,
    )


def malformed(
    what: str, raw: bytes, *, provider: str, status: int = 200, usage: Usage | None = None
) -> Malformed:
    """Say that a success is no answer, with a piece of what came."""
    message = f"{provider} {what}: {_snippet(raw)}"
    return Malformed(message, provider=provider, status=status, usage=usage, body=raw)


def _kind(status: int, error: ErrorObject) -> type[ProviderError]:
    for code in error.codes:
        if code in BY_CODE:
            return BY_CODE[code]
    known = _in_words(status, error.message) or BY_STATUS.get(status)
    if known is not None:
        return known
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return BadRequest
    # Neither a success nor a refusal: a redirect, which is never followed.
    return Unavailable if status >= HTTPStatus.INTERNAL_SERVER_ERROR else Malformed


def _in_words(status: int, message: str) -> type[ProviderError] | None:
    if status in TOO_LONG_STATUSES and TOO_LONG.search(message):
        return ContextTooLong
    # More tokens than the whole limit, said with a 429: waiting would never end.
    words = BY_WORDS.get(status, ())
    return next((kind for said, kind in words if said.search(message)), None)


def _json(body: bytes) -> JsonValue:
    try:
        value: JsonValue = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return value


def _snippet(raw: bytes) -> str:
    return raw[:SNIPPET].decode(errors="replace") or "nothing"
