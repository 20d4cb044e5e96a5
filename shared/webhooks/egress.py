"""The way out to receivers: which URLs may be named, and which addresses are really connected to.

Which addresses are public is ssrfguard's judgement. A name is resolved once for a connection, every
answer is judged, and the socket is opened to a judged address; so a name that points elsewhere a
moment later leads nowhere. The last judgement stands where sockets are made: nothing goes round it.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult
from ssrfguard import AddressTable, BlockedURLError, Policy
from typing_extensions import override

LONGEST_URL = 2048
PUBLIC_PORTS = frozenset({80, 443})
LOOKUPS_AT_ONCE = 64
LOOKUP_S = 5.0
MOST_PROVEN = 10_000
DNS_TTL_S = 30
# From one burst of events to the next; among thousands of receivers none is held for long.
KEEPALIVE_S = 5.0
READ_AHEAD_BYTES = 16 * 1024
MOST_HEADERS = 100

RESERVED = frozenset(
    {"localhost", "local", "internal", "invalid", "test", "home", "lan", "corp", "onion", "arpa"}
)
"""Top-level names that lead nowhere in public."""

AddressInfo = tuple[Any, Any, int, str, Any]
Lookup = Callable[..., Iterable[AddressInfo]]

connected_to: ContextVar[list[str]] = ContextVar("connected_to")
"""Where a caller puts a list, the addresses that its request was connected to are added."""

_STRICT = Policy(
    allowed_schemes=frozenset({"https"}), allowed_ports=PUBLIC_PORTS, max_url_length=LONGEST_URL
)
_ANYWHERE = Policy(
    allowed_ports=frozenset(range(1, 65536)),
    denied_networks=AddressTable(()),
    max_url_length=LONGEST_URL,
)


class BlockedUrl(Exception):
    """A URL to which nothing is ever sent; the message says why."""


class BlockedAddress(OSError):
    """A connection that would not have gone to a public address, and was not opened."""


def check_url(url: str, *, allow_private: bool) -> None:
    """See to it that a URL may be a receiver; where its name leads is judged at each connection.

    Raises:
        BlockedUrl: it may not.
    """
    policy = _ANYWHERE if allow_private else _STRICT
    try:
        parts = urlsplit(url[: LONGEST_URL + 1])
        if not allow_private and parts.scheme.lower() == "http":
            raise BlockedUrl(_NOT_HTTPS)
        target = policy.check_url(url)
    except BlockedURLError as error:
        raise BlockedUrl(f"Nothing can be sent to this URL ({error.reason}).") from error
    except ValueError as error:
        raise BlockedUrl(f"Nothing can be sent to this URL ({error}).") from error
    if not allow_private and target.address is None and _is_disguised(target.host):
        raise BlockedUrl(_NOT_PUBLIC)


def _is_disguised(host: str) -> bool:
    host = host.rstrip(".").lower()
    if host.rpartition(".")[2] in RESERVED:
        return True
    # `0x7f000001` looks like a name, and the system's resolver takes it for an address.
    with contextlib.suppress(OSError):
        socket.inet_aton(host)
        return True
    return False


class Guard:
    """Judges every address at the moment of connecting."""

    def __init__(
        self,
        *,
        allow_private: bool,
        lookup: Lookup = socket.getaddrinfo,
        make_socket: Callable[..., socket.socket] = socket.socket,
    ) -> None:
        self.allow_private = allow_private
        self.lookup = lookup
        self._policy = _ANYWHERE if allow_private else _STRICT
        self._make_socket = make_socket

    def check(self, address: str, port: int) -> None:
        """Let an address pass.

        Raises:
            BlockedAddress: it is not one to connect to.
        """
        public = self._policy.permits_address(address)
        if not public or port not in self._policy.allowed_ports:
            # Not which address it is: that would draw strangers a map of our network.
            raise BlockedAddress(_NOT_PUBLIC)

    def open_socket(self, info: AddressInfo) -> socket.socket:
        """Make the socket for a connection that is about to be opened.

        Raises:
            BlockedAddress: it would go to an address that is not one to connect to.
        """
        family, kind, protocol, _, address = info
        self.check(str(address[0]), int(address[1]))
        connected_to.get([]).append(str(address[0]))
        return self._make_socket(family=family, type=kind, proto=protocol)


class GuardedResolver(AbstractResolver):
    """Resolves names in threads of its own; one that leads to any blocked address leads nowhere."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        # Names whose servers do not answer hold their places for long. They are anybody's to name,
        # so those that have answered before have places of their own.
        self._proven: dict[str, None] = {}
        self._for_proven = asyncio.Semaphore(LOOKUPS_AT_ONCE)
        self._for_others = asyncio.Semaphore(LOOKUPS_AT_ONCE)

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a name.

        Raises:
            OSError: it has none, or none in time.
            BlockedAddress: one of them is not one to connect to.
        """
        places = self._for_proven if host in self._proven else self._for_others
        self._proven.pop(host, None)
        try:
            async with asyncio.timeout(LOOKUP_S):
                await places.acquire()
                found = await _in_thread(
                    lambda: self._guard.lookup(host, port, family, socket.SOCK_STREAM),
                    at_end=places.release,
                )
        except TimeoutError as error:
            message = f"the name was not resolved within {LOOKUP_S:g} seconds"
            raise OSError(message) from error
        self._remember(host)
        results: list[ResolveResult] = []
        for kind, _, protocol, _, address in found:
            self._guard.check(str(address[0]), port)
            results.append(
                ResolveResult(
                    hostname=host,
                    host=str(address[0]),
                    port=port,
                    family=kind,
                    proto=protocol,
                    flags=socket.AI_NUMERICHOST,
                )
            )
        return results

    def _remember(self, host: str) -> None:
        self._proven[host] = None
        if len(self._proven) > MOST_PROVEN:
            del self._proven[next(iter(self._proven))]

    @override
    async def close(self) -> None:
        """Nothing is held."""


async def _in_thread(
    look_up: Callable[[], Iterable[AddressInfo]], *, at_end: Callable[[], None]
) -> list[AddressInfo]:
    # Not one of the loop's own few threads, which others need. A daemon: a look-up that hangs must not keep the process from ending.
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[AddressInfo]] = loop.create_future()

    def tell(addresses: list[AddressInfo], error: Exception | None) -> None:
        at_end()
        if found.done():
            return
        if error is None:
            found.set_result(addresses)
        else:
            found.set_exception(error)

    def run() -> None:
        addresses: list[AddressInfo] = []
        problem: Exception | None = None
        try:
            addresses = list(look_up())
        except Exception as error:  # noqa: BLE001  it is the caller's answer
            problem = error
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(tell, addresses, problem)

    threading.Thread(target=run, name="webhook-lookup", daemon=True).start()
    return await found


class _Connector(aiohttp.TCPConnector):
    @override
    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[aiohttp.tracing.Trace],
        timeout: aiohttp.ClientTimeout,
    ) -> aiohttp.connector.Connection:
        connection = await super().connect(req, traces, timeout)
        # One that was open already has not passed the guard's door today.
        peer = connection.transport.get_extra_info("peername") if connection.transport else None
        if peer:
            connected_to.get([]).append(str(peer[0]))
        return connection


def open_session(guard: Guard, *, at_once: int) -> aiohttp.ClientSession:
    """Return the HTTP client of one process's deliveries; to be called on its loop.

    It follows no proxy of the environment and keeps no cookies, and answers stay compressed.
    """
    connector = _Connector(
        resolver=GuardedResolver(guard),
        socket_factory=guard.open_socket,
        ttl_dns_cache=DNS_TTL_S,
        limit=at_once,
        keepalive_timeout=KEEPALIVE_S,
        ssl=httpx.create_ssl_context(),
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        read_bufsize=READ_AHEAD_BYTES,
        max_headers=MOST_HEADERS,
        # Whoever sends has one limit over everything.
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
    )


_NOT_HTTPS = "Nothing can be sent to this URL: it must begin with https://."
_NOT_PUBLIC = "Nothing can be sent to this URL: it does not lead to a public address."
