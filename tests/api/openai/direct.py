"""Calling the endpoints directly, as a client that stays and as one that may leave."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx

from tests.api.openai.exchange import Exchange
from tests.api.openai.hand import Hand, chunk
from tests.api.whole_app import ADMIN_KEY, WholeApp

CHAT = "/v1/chat/completions"
ASKED = {"model": "sandbox/echo", "messages": [{"role": "user", "content": "hi"}]}
STREAM = {**ASKED, "stream": True}
Ask = Callable[..., Exchange]


def asking(
    app: WholeApp, body: dict[str, Any] | None = None, path: str = CHAT, **headers: str
) -> "asyncio.Task[httpx.Response]":
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return asyncio.create_task(app.client.post(path, json=body or ASKED, headers=named, timeout=60))


async def answered(
    app: WholeApp, hand: Hand, answer: bytes, body: dict[str, Any] | None = None, path: str = CHAT
) -> httpx.Response:
    asked = asking(app, body, path)
    await hand.end(await hand.claim(), answer=answer)
    return await asked


def leaving(app: WholeApp, **headers: str) -> Exchange:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Exchange(app.app, CHAT, ASKED, {"authorization": f"Bearer {ADMIN_KEY}", **named})


async def begun(ask: Ask, hand: Hand, *said: str, **headers: str) -> tuple[Exchange, Any, bytes]:
    """Start a stream that has said something; return it, its claim, and what came."""
    exchange = ask(**headers)
    job = await hand.claim()
    await hand.say(job, 1, chunk(), *(chunk(each) for each in said))
    return exchange, job, await exchange.piece()
