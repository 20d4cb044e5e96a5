"""How bytes reach providers: the one module that knows which HTTP client does it.

Whole answers come from aiohttp itself, which is most calls and the cheapest way; what is streamed,
or compressed against our wish, comes as httpx's types over the same connections (httpx-aiohttp).
Neither has a cookie jar, which would carry one tenant's cookies into another's calls, nor follows
redirects.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import cast

import aiohttp
import httpx
from aiohttp import ClientSession
from httpx_aiohttp import AiohttpTransport
from httpx_aiohttp.transport import AiohttpResponseStream
from typing_extensions import override

MAX_CONNECTIONS = 8192
KEEPALIVE_S = 30.0
DNS_TTL_S = 60
# A stream is not kept whole, and its frames weigh far more than their text.
STREAM_FACTOR = 10
DRAIN_S = 0.2


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long each part of a call may take.

    `pool_s` is the wait for a place among the open connections, `idle_read_s` the longest silence,
    `total_s` the end of it all, however steadily bytes drip.
    """

    connect_s: float = 10
    pool_s: float = 30
    idle_read_s: float = 120
    total_s: float = 600


class BodyTooLarge(Exception):
    """The answer is larger than we keep."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the answer is larger than {limit} bytes")
        self.limit = limit


@dataclass(frozen=True, slots=True)
class Call:
    """What every call to one provider has in common; aiohttp's forms of it are derived once."""

    url: httpx.URL
    headers: httpx.Headers
    timeouts: Timeouts
    max_bytes: int
    address: str = field(init=False, repr=False, compare=False)
    plain_headers: dict[str, str] = field(init=False, repr=False, compare=False)
    waits: aiohttp.ClientTimeout = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        waits = aiohttp.ClientTimeout(
            sock_connect=self.timeouts.connect_s,
            # aiohttp counts this over both, the wait for a place and the connecting.
            connect=self.timeouts.pool_s + self.timeouts.connect_s,
            sock_read=self.timeouts.idle_read_s,
        )
        object.__setattr__(self, "address", str(self.url))
        object.__setattr__(self, "plain_headers", dict(self.headers))
        object.__setattr__(self, "waits", waits)


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer; header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def is_success(status: int) -> bool:
    """Tell whether a status is one of success, of which providers use more than one."""
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES


class OpenReply:
    """An answer whose body is still to come; whoever opened it closes it."""

    def __init__(self, response: httpx.Response, call: Call, deadline: float) -> None:
        self.status = response.status_code
        self.headers = _plain(response)
        self._response = response
        self._pieces = _pieces(response)
        self._call = call
        self._deadline = deadline
        self._size = 0

    async def read(self) -> bytes:
        """Return the whole body, which may have up to `max_bytes`.

        Raises:
            BodyTooLarge, TimeoutError, or what the client raises.
        """
        async with asyncio.timeout_at(self._deadline):
            return await _read(self._pieces, self._call.max_bytes)

    async def chunk(self) -> bytes | None:
        """Return the next bytes of the body, None after the last; ten times `max_bytes` in all.

        The deadline stands over the wait for bytes, never over the consumer's own time.

        Raises:
            BodyTooLarge, TimeoutError, or what the client raises.
        """
        async with asyncio.timeout_at(self._deadline):
            piece = await anext(self._pieces, None)
        if piece is None:
            return None
        self._size += len(piece)
        if self._size > self._call.max_bytes * STREAM_FACTOR:
            raise BodyTooLarge(self._call.max_bytes * STREAM_FACTOR)
        return piece

    async def drain(self) -> None:
        """Wait a moment for the end of a body that needs no more reading, to keep its connection."""
        with contextlib.suppress(TimeoutError, httpx.HTTPError, aiohttp.ClientError):
            async with asyncio.timeout(DRAIN_S):
                while await anext(self._pieces, None) is not None:
                    pass

    async def aclose(self) -> None:
        """Give the connection back if the body was read to its end, else close it."""
        await self._response.aclose()


class Http:
    """The long-lived way to all providers of one process."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def post(self, call: Call, content: bytes) -> Reply:
        """Send a body and return the whole answer, whatever its status.

        Raises:
            BodyTooLarge, TimeoutError when the total time is over, or what the client raises.
        """
        async with asyncio.timeout(call.timeouts.total_s):
            response = await self._transport.handle_async_request(_request(call, content))
            try:
                body = await _read(_pieces(response), call.max_bytes)
            finally:
                await response.aclose()
        return Reply(response.status_code, _plain(response), body)

    async def open(self, call: Call, content: bytes) -> OpenReply:
        """Send a body and return as soon as the answer's headers are there.

        Raises:
            TimeoutError when the total time is over, or what the client raises.
        """
        deadline = asyncio.get_running_loop().time() + call.timeouts.total_s
        async with asyncio.timeout_at(deadline):
            response = await self._transport.handle_async_request(_request(call, content))
        return OpenReply(response, call, deadline)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._transport.aclose()


class _AiohttpHttp(Http):
    """Whole answers without httpx's types, which would cost as much as aiohttp itself."""

    def __init__(self, transport: AiohttpTransport, session: Callable[[], ClientSession]) -> None:
        super().__init__(transport)
        self._over = transport
        self._open_session = session

    @override
    async def post(self, call: Call, content: bytes) -> Reply:
        async with asyncio.timeout(call.timeouts.total_s):
            asked = self._session.request(
                "POST",
                call.address,
                headers=call.plain_headers,
                data=content,
                allow_redirects=False,
                auto_decompress=False,
                timeout=call.waits,
            )
            async with asked as response:
                body = await _whole(response, call.max_bytes)
        return Reply(response.status, _spelled(response.raw_headers), body)

    @property
    def _session(self) -> ClientSession:
        # One for both ways; it wants a running loop.
        if not isinstance(self._over.client, ClientSession):
            self._over.client = self._open_session()
        return self._over.client


async def _whole(response: aiohttp.ClientResponse, limit: int) -> bytes:
    if "content-encoding" in response.headers:
        stream = AiohttpResponseStream(response)
        packed = httpx.Response(response.status, headers=response.raw_headers, stream=stream)
        return await _read(packed.aiter_bytes(), limit)
    parts: list[bytes] = []
    size = 0
    while piece := await response.content.readany():
        size += len(piece)
        if size > limit:
            raise BodyTooLarge(limit)
        parts.append(piece)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def build_http(*, max_connections: int = MAX_CONNECTIONS) -> Http:
    """Return the HTTP side of all providers; connections open on first use, on the running loop.

    Proxies named in the environment are not trusted; `SSL_CERT_FILE` is, for private authorities.
    """
    context = httpx.create_ssl_context()

    def session() -> ClientSession:
        connector = aiohttp.TCPConnector(
            limit=max_connections,
            limit_per_host=0,
            keepalive_timeout=KEEPALIVE_S,
            ttl_dns_cache=DNS_TTL_S,
            ssl=context,
        )
        return ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
        )

    return _AiohttpHttp(AiohttpTransport(verify=context, client=session), session)


def _request(call: Call, content: bytes) -> httpx.Request:
    timeouts = call.timeouts
    waits = {
        "connect": timeouts.connect_s,
        # aiohttp counts this over both, the wait for a place and the connecting.
        "pool": timeouts.pool_s + timeouts.connect_s,
        "read": timeouts.idle_read_s,
    }
    return httpx.Request(
        "POST", call.url, headers=call.headers, content=content, extensions={"timeout": waits}
    )


def _pieces(response: httpx.Response) -> AsyncIterator[bytes]:
    # We ask for no compression; a server that compresses all the same goes the longer way.
    if "content-encoding" in response.headers:
        return response.aiter_bytes()
    return aiter(cast("httpx.AsyncByteStream", response.stream))


async def _read(pieces: AsyncIterator[bytes], limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for piece in pieces:
        size += len(piece)
        if size > limit:
            raise BodyTooLarge(limit)
        parts.append(piece)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _plain(response: httpx.Response) -> dict[str, str]:
    return _spelled(response.headers.raw)


def _spelled(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in raw}
