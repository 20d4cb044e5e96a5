"""Every exception, status and error body of interest has its place in the tree."""

import errno
import inspect
import ssl
from collections.abc import Callable, Iterator

import aiohttp
import httpx
import orjson
import pytest
from aiohttp import client_exceptions, http_exceptions
from aiohttp.client_reqrep import ConnectionKey
from pydantic import JsonValue

from shared.providers import errors
from shared.providers.errors import ProviderError
from shared.providers.failures import CALL_ERRORS, from_error_object, from_exception, from_status
from shared.providers.sse import EventTooLarge
from shared.providers.transport import BodyTooLarge

AT = "Connect call failed ('10.1.2.3', 8000)"
# Raised while connecting, so that no provider can have seen the request.
NEVER_SENT = {
    "ClientConnectorError",
    "ClientConnectorDNSError",
    "ClientConnectorSSLError",
    "ClientConnectorCertificateError",
    "ClientProxyConnectionError",
    "ClientSSLError",
    "UnixClientConnectorError",
    "ConnectionTimeoutError",
    "ServerFingerprintMismatch",
    "InvalidURL",
    "InvalidUrlClientError",
    "InvalidUrlRedirectClientError",
    "NonHttpUrlClientError",
    "NonHttpUrlRedirectClientError",
    "ConnectError",
    "ConnectTimeout",
    "PoolTimeout",
    "ProxyError",
    "UnsupportedProtocol",
}


def exception_classes() -> Iterator[type[Exception]]:
    """Yield every exception that aiohttp's client and httpx define for calls."""
    roots = (
        (client_exceptions, aiohttp.ClientError),
        (http_exceptions, http_exceptions.HttpProcessingError),
        (httpx, httpx.HTTPError),
    )
    for module, root in roots:
        for _, found in inspect.getmembers(module, inspect.isclass):
            if issubclass(found, root):
                yield found
    yield from (httpx.InvalidURL, BodyTooLarge, EventTooLarge, TimeoutError, OSError)
    yield from (ConnectionResetError, BrokenPipeError, ssl.SSLError)


def instance(kind: type[Exception]) -> Exception:
    """Make one without its constructor, which wants parts that only a real call has."""
    named: type[Exception] = type(kind.__name__, (kind,), {"__str__": lambda _: "it"})
    return named.__new__(named)


KINDS = {kind.__name__: kind for kind in exception_classes()}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_exception_is_caught_and_placed(kind: type[Exception]) -> None:
    assert issubclass(kind, CALL_ERRORS)

    failure = from_exception(instance(kind), provider="p")

    assert type(failure) is not ProviderError
    assert failure.provider == "p"
    assert failure.sent is (kind.__name__ not in NEVER_SENT)


@pytest.mark.parametrize(
    ("raised", "cause", "kind", "sent"),
    [
        # What httpx-aiohttp makes of a connection lost after the request was sent.
        (httpx.ConnectTimeout, aiohttp.ServerDisconnectedError(), errors.Unavailable, True),
        (httpx.ConnectTimeout, aiohttp.ClientOSError(104, "reset"), errors.Unavailable, True),
        (httpx.ReadError, aiohttp.ClientPayloadError("cut off"), errors.Unavailable, True),
        (httpx.ReadTimeout, aiohttp.SocketTimeoutError(), errors.Timeout, True),
        (httpx.TimeoutException, aiohttp.ConnectionTimeoutError(), errors.Unavailable, False),
        (httpx.ReadError, OSError("read"), errors.Unavailable, True),
        (httpx.ConnectError, None, errors.Unavailable, False),
        (httpx.ReadTimeout, None, errors.Timeout, True),
    ],
)
def test_the_error_behind_the_error_decides(
    raised: type[httpx.RequestError],
    cause: Exception | None,
    kind: type[ProviderError],
    sent: bool,
) -> None:
    error = raised("it")
    error.__cause__ = cause

    failure = from_exception(error, provider="p")

    assert (type(failure), failure.sent) == (kind, sent)


@pytest.mark.parametrize(
    ("kind", "cause", "words"),
    [
        (aiohttp.ClientConnectorError, OSError(errno.ECONNREFUSED, AT), "Connection refused"),
        (aiohttp.ClientConnectorDNSError, OSError(-2, AT), "its name is not found"),
        (aiohttp.ClientConnectorCertificateError, ssl.CertificateError(AT), "its certificate"),
        (aiohttp.ClientConnectorSSLError, ssl.SSLError(1, AT), "no TLS connection"),
    ],
)
def test_nobody_is_told_where_a_provider_is_that_cannot_be_reached(
    kind: Callable[[ConnectionKey, Exception], Exception], cause: Exception, words: str
) -> None:
    key = ConnectionKey("10.1.2.3", 8000, True, True, None, None, None)

    failure = from_exception(kind(key, cause), provider="p")

    assert str(failure).startswith(f"p: it cannot be reached: {words}")
    assert "10.1.2.3" not in str(failure)


def test_a_bug_of_our_own_is_not_dressed_up() -> None:
    with pytest.raises(KeyError):
        from_exception(KeyError("mine"), provider="p")


STATUSES: list[tuple[int, type[ProviderError]]] = [
    (301, errors.Malformed),
    (400, errors.BadRequest),
    (401, errors.AuthFailed),
    (402, errors.QuotaExhausted),
    (403, errors.AuthFailed),
    (404, errors.ModelNotFound),
    (405, errors.BadRequest),
    (408, errors.Timeout),
    (409, errors.Unavailable),
    (413, errors.BadRequest),
    (422, errors.BadRequest),
    (429, errors.RateLimited),
    (498, errors.Overloaded),
    (500, errors.Unavailable),
    (502, errors.Unavailable),
    (503, errors.Overloaded),
    (504, errors.Unavailable),
    (524, errors.Unavailable),
    (529, errors.Overloaded),
]


def refused(status: int, body: object, **headers: str) -> ProviderError:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return from_status(status, named, raw, provider="p", now_ms=0)


@pytest.mark.parametrize(("status", "kind"), STATUSES)
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error":"x"}', b'{"error":{}}'])
def test_every_status_has_its_place_whatever_the_body(
    status: int, kind: type[ProviderError], body: bytes
) -> None:
    failure = refused(status, body)

    assert type(failure) is kind
    assert (failure.status, failure.sent, failure.body) == (status, True, body)


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (429, {"code": "insufficient_quota"}, errors.QuotaExhausted),
        (429, {"type": "insufficient_quota", "code": None}, errors.QuotaExhausted),
        (429, {"code": "rate_limit_exceeded"}, errors.RateLimited),
        (429, {"status": "RESOURCE_EXHAUSTED", "code": 429}, errors.RateLimited),
        (429, {"message": "Request too large for gpt-4 in org x"}, errors.BadRequest),
        (400, {"code": "context_length_exceeded"}, errors.ContextTooLong),
        (
            400,
            {"message": "This model's maximum context length is 8 tokens"},
            errors.ContextTooLong,
        ),
        (400, {"message": "The input token count (9) exceeds 8"}, errors.ContextTooLong),
        (413, {"message": "Please reduce the length of the messages"}, errors.ContextTooLong),
        (400, {"code": "content_filter"}, errors.ContentFiltered),
        (
            400,
            {"code": None, "innererror": {"code": "ResponsibleAIPolicyViolation"}},
            errors.ContentFiltered,
        ),
        (403, {"code": "model_not_found"}, errors.ModelNotFound),
        (400, {"type": "invalid_model"}, errors.ModelNotFound),
        (404, {"code": "DeploymentNotFound"}, errors.ModelNotFound),
    ],
)
def test_a_code_says_more_than_its_status(
    status: int, error: dict[str, JsonValue], kind: type[ProviderError]
) -> None:
    assert type(refused(status, {"error": error})) is kind
    assert type(refused(status, error)) is kind
    assert type(refused(status, [{"error": error}])) is kind


def test_the_message_is_the_providers_own() -> None:
    assert "p answered 400: no such role" in str(
        refused(400, {"error": {"message": "no such role"}})
    )
    assert "no such role" in str(refused(400, {"error": "no such role"}))
    assert "extra_forbidden" in str(refused(422, {"detail": [{"type": "extra_forbidden"}]}))
    assert "bad gateway" in str(refused(502, b"<h1>bad gateway</h1>"))


def test_how_long_to_wait_comes_from_wherever_it_is_said() -> None:
    said = {"error": {"message": "Please try again in 7s"}}
    spent = {"x_ratelimit_remaining_tokens": "0", "x_ratelimit_reset_tokens": "9s"}

    assert refused(429, said, retry_after="3", **spent).retry_after_s == 3
    assert refused(429, said, **spent).retry_after_s == 7
    assert refused(429, {}, **spent).retry_after_s == 9
    assert refused(429, {}).retry_after_s is None
    assert refused(503, {}, retry_after="2").retry_after_s == 2
    feedback = refused(429, {}, **spent).feedback
    assert feedback is not None
    assert feedback.remaining_tokens == 0


def test_a_long_body_is_cut() -> None:
    body = refused(500, b"x" * 200_000).body

    assert body is not None
    assert len(body) == 64 * 1024


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        ({"code": 429, "message": "slow"}, errors.RateLimited, 429),
        ({"code": "429"}, errors.RateLimited, 429),
        ({"status": 503}, errors.Overloaded, 503),
        ({"code": "rate_limit_exceeded"}, errors.RateLimited, 200),
        ({"type": "overloaded_error"}, errors.Overloaded, 200),
        ({"type": "server_error"}, errors.Unavailable, 200),
        ({"code": "insufficient_quota"}, errors.QuotaExhausted, 200),
        ({"code": "never heard of"}, errors.Malformed, 200),
        ("just words", errors.Malformed, 200),
    ],
)
def test_an_error_in_a_200_is_placed_by_what_it_says(
    error: JsonValue, kind: type[ProviderError], status: int
) -> None:
    failure = from_error_object(
        {"error": error}, provider="p", raw=b"raw", otherwise=errors.Malformed
    )

    assert (type(failure), failure.status, failure.body) == (kind, status, b"raw")


@pytest.mark.parametrize(
    ("failure", "transient", "consumes", "billed"),
    [
        (errors.RateLimited("", provider="p", status=429), True, False, False),
        (errors.Overloaded("", provider="p", status=503), True, False, False),
        (errors.QuotaExhausted("", provider="p", status=429), True, False, False),
        (errors.Timeout("", provider="p"), True, True, True),
        (errors.Unavailable("", provider="p", sent=False), True, False, False),
        (errors.Unavailable("", provider="p"), True, True, True),
        (errors.Unavailable("", provider="p", status=500), True, True, False),
        (errors.Unavailable("", provider="p", status=504), True, True, True),
        (errors.Malformed("", provider="p", status=200), True, True, True),
        (errors.BadRequest("", provider="p", status=400), False, True, False),
        (errors.AuthFailed("", provider="p", status=401), False, True, False),
        (errors.ResultTooLarge("", provider="p"), False, True, True),
    ],
)
def test_what_the_engine_decides_by(
    failure: ProviderError, transient: bool, consumes: bool, billed: bool
) -> None:
    assert failure.transient is transient
    assert failure.consumes_attempt is consumes
    assert failure.possibly_billed is billed


def test_every_failure_has_its_own_code() -> None:
    kinds = [kind for kind in vars(errors).values() if inspect.isclass(kind)]
    codes = [kind.code for kind in kinds if issubclass(kind, ProviderError)]

    assert len(codes) == len(set(codes)) == 14
