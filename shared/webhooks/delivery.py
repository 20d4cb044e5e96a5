"""One try: a POST to a receiver, and what came of it."""

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from time import monotonic
from typing import Final

import aiohttp

from shared.clock import now_ms
from shared.webhooks.egress import BlockedAddress, BlockedUrl, Guard, check_url, connected_to
from shared.webhooks.outcome import Outcome, TryError

READ_BYTES = 64 * 1024
KEPT_BYTES = 2048
INSTANT_S: Final = 1.0
"""A connection that failed sooner than this is tried once more at once."""
LONGEST_MESSAGE = 300
MOST_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is sent: a body, byte for byte, with the headers that were signed for this try."""

    url: str
    headers: Mapping[str, str]
    body: bytes


class Sender:
    """Sends parcels over one client; to whom, the guard decides at every connection."""

    def __init__(self, session: aiohttp.ClientSession, guard: Guard, *, timeout_s: float) -> None:
        self._session = session
        self._guard = guard
        self._timeout_s = timeout_s

    async def send(self, parcel: Parcel) -> Outcome:
        """Post a parcel, never following a redirect; whatever happens is an outcome."""
        began = _Began()
        seen = _Seen()
        mark = connected_to.set(seen.addresses)
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._deliver(parcel, seen, began)
        except Exception as error:  # noqa: BLE001  a receiver can break anything in the client
            return _outcome(seen, began, error)
        finally:
            connected_to.reset(mark)
        return _outcome(seen, began, None)

    async def _deliver(self, parcel: Parcel, seen: "_Seen", began: "_Began") -> None:
        check_url(parcel.url, allow_private=self._guard.allow_private)
        try:
            await self._exchange(parcel, seen)
        except _CONNECTION_ERRORS as error:
            if seen.status is not None or began.elapsed_s > INSTANT_S or _is_settled(error):
                raise
            await self._exchange(parcel, seen)

    async def _exchange(self, parcel: Parcel, seen: "_Seen") -> None:
        post = self._session.post(
            parcel.url, data=parcel.body, headers=parcel.headers, allow_redirects=False
        )
        async with post as response:
            seen.take(response)
            while len(seen.body) < READ_BYTES:
                piece = await response.content.read(READ_BYTES - len(seen.body))
                if not piece:
                    return
                seen.body += piece
            # There is more, and nobody wants it.
            response.close()


_CONNECTION_ERRORS = (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)


@dataclass(slots=True)
class _Began:
    at: int = field(default_factory=now_ms)
    ticks: float = field(default_factory=monotonic)

    @property
    def elapsed_s(self) -> float:
        return monotonic() - self.ticks


@dataclass(slots=True)
class _Seen:
    """What is known of an answer so far: its status stands even if its body never ends."""

    status: int | None = None
    retry_after_s: float | None = None
    legible: bool = True
    body: bytearray = field(default_factory=bytearray)
    addresses: list[str] = field(default_factory=list)

    def take(self, response: aiohttp.ClientResponse) -> None:
        self.status = response.status
        self.retry_after_s = read_retry_after_s(
            response.headers.get("retry-after", ""), now=now_ms()
        )
        self.legible = "content-encoding" not in response.headers


def _outcome(seen: _Seen, began: _Began, error: Exception | None) -> Outcome:
    answered = seen.status is not None
    code, message = (None, None) if answered or error is None else _explain(error)
    return Outcome(
        started_at=began.at,
        total_ms=round(began.elapsed_s * 1000),
        status_code=seen.status,
        response=_legible(bytes(seen.body)) if answered and seen.legible else None,
        retry_after_s=seen.retry_after_s,
        ip=seen.addresses[-1] if seen.addresses else None,
        error=code,
        error_message=message,
    )


def _explain(error: Exception) -> tuple[TryError, str]:
    """Return a code and a message, which tenants see: it names no address of ours."""
    if isinstance(error, BlockedUrl):
        return TryError.BLOCKED_ADDRESS, str(error)[:LONGEST_MESSAGE]
    if _is_blocked(error):
        return TryError.BLOCKED_ADDRESS, _BLOCKED
    for kind, code, message in _ERRORS:
        if isinstance(error, kind):
            return code, message or _in_words(error)
    return TryError.INTERNAL, type(error).__name__


def _in_words(error: Exception) -> str:
    cause = getattr(error, "os_error", error)
    number = getattr(cause, "errno", None)
    # The library's own words speak of its insides.
    words = os.strerror(number) if isinstance(number, int) and number > 0 else str(cause)
    return words[:LONGEST_MESSAGE]


def _is_settled(error: Exception) -> bool:
    # A name or a certificate is not another one a moment later.
    return _is_blocked(error) or isinstance(
        error, aiohttp.ClientConnectorDNSError | aiohttp.ClientSSLError
    )


def _is_blocked(error: BaseException) -> bool:
    return isinstance(getattr(error, "os_error", error), BlockedAddress)


def read_retry_after_s(text: str, *, now: int) -> float | None:
    """Read a `Retry-After` header, seconds or an HTTP date; None if it is neither."""
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS:
        return float(text)
    with suppress(ValueError, OverflowError):
        return max(0.0, parsedate_to_datetime(text).timestamp() - now / 1000)
    return None


def _legible(body: bytes) -> str:
    # PostgreSQL keeps no NUL; and what is not UTF-8 grows when it is made legible.
    text = body[:KEPT_BYTES].decode("utf-8", "replace").replace("\x00", "")
    return text.encode()[:KEPT_BYTES].decode("utf-8", "ignore")


_BLOCKED = "The URL does not lead to a public address; nothing was sent."
# The first that fits: certificate errors are connection errors too.
_ERRORS: tuple[tuple[type[Exception], TryError, str], ...] = (
    (TimeoutError, TryError.TIMEOUT, "The receiver did not answer in time."),
    (aiohttp.ClientConnectorDNSError, TryError.DNS, "The name of the receiver has no address."),
    (aiohttp.ClientSSLError, TryError.TLS, ""),
    (aiohttp.ServerDisconnectedError, TryError.CONNECTION, "It closed the connection."),
    (aiohttp.ClientOSError, TryError.CONNECTION, ""),
    (aiohttp.InvalidURL, TryError.BLOCKED_ADDRESS, "The URL is not one that can be sent to."),
    (aiohttp.ClientError, TryError.BAD_RESPONSE, "The answer was not HTTP as it should be."),
)
