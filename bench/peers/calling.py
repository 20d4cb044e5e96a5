"""The calls of the pipelines on asyncio, with the client that their writer chose."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import httpx
import orjson

from bench.peers.asked import HEADERS

Call = Callable[[str], Awaitable[str]]


@asynccontextmanager
async def with_httpx(url: str, at_once: int) -> AsyncIterator[Call]:
    """Call with httpx."""
    limits = httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once)
    async with httpx.AsyncClient(limits=limits, timeout=None, headers=HEADERS) as client:

        async def call(body: str) -> str:
            response = await client.post(url, content=body)
            response.raise_for_status()
            return text_of(response.content)

        yield call


@asynccontextmanager
async def with_aiohttp(url: str, at_once: int) -> AsyncIterator[Call]:
    """Call with aiohttp."""
    connector = aiohttp.TCPConnector(limit=at_once)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, headers=HEADERS
    ) as session:

        async def call(body: str) -> str:
            async with session.post(url, data=body.encode()) as response:
                response.raise_for_status()
                return text_of(await response.read())

        yield call


CLIENTS = {"aiohttp": with_aiohttp, "httpx": with_httpx}


def text_of(answer: bytes) -> str:
    """Return what is kept of an answer."""
    return str(orjson.loads(answer)["choices"][0]["message"]["content"])
