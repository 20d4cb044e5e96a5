"""Which failure of the tree an exception, a status or an error object is."""

import os
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
    BadRequest,
    ContextTooLong,
    Malformed,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    ResultTooLarge,
    Timeout,
    Unavailable,
)
from shared.providers.failure_names import (
    BY_CODE,
    BY_CODE_ALONE,
    BY_STATUS,
    BY_WORDS,
    TOO_LONG,
    TOO_LONG_STATUSES,
)
from shared.providers.gemini_errors import detailed_codes
from shared.providers.headers import limit_feedback, reset_s, retry_after_s, retry_in_body_s
from shared.providers.sse import EventTooLarge
from shared.providers.transport import BodyTooLarge

SNIPPET = 500
LAST_STATUS = 599

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

UNREACHABLE: tuple[tuple[type[BaseException], str], ...] = (
    (aiohttp.ClientConnectorDNSError, "its name is not found"),
    (aiohttp.ClientConnectorCertificateError, "its certificate is not accepted"),
    (aiohttp.ClientSSLError, "no TLS connection with it comes about"),
)


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
            return failure(f"{provider}: {_told(real)}", provider=provider, sent=sent)
    raise error


def _told(error: BaseException) -> str:
    """Say what happened; tenants read it, so without addresses of the operator's network."""
    for kind, why in UNREACHABLE:
        if isinstance(error, kind):
            return f"it cannot be reached: {why}"
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.errno or 0
        return f"it cannot be reached: {os.strerror(number) if number > 0 else 'no connection'}"
    return str(error)[:SNIPPET] or type(error).__name__


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
        if kind is BadRequest:
            kind = _in_words(HTTPStatus.BAD_REQUEST, error.message) or kind
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
