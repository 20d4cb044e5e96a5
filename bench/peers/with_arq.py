"""A pipeline of `arq`: one worker on asyncio, results kept in Redis for an hour.

`python -m bench.peers.with_arq work --redis … --url … --client aiohttp`; `put` fills its queue.
"""

import asyncio
from typing import Any

from arq import create_pool  # type: ignore[import-not-found]
from arq.connections import RedisSettings  # type: ignore[import-not-found]
from arq.worker import Worker, func  # type: ignore[import-not-found]

from bench.peers import asked
from bench.peers.asked import Asked
from bench.peers.calling import CLIENTS
from shared import open_files


async def call(context: dict[str, Any], body: str) -> str:
    """Make the call and return what is kept of the answer."""
    return str(await context["call"](body))


def work(options: Asked) -> None:
    """Work until the process is ended."""

    async def begin(context: dict[str, Any]) -> None:
        context["opened"] = opened = CLIENTS[options.client](options.url, options.at_once)
        context["call"] = await opened.__aenter__()

    async def end(context: dict[str, Any]) -> None:
        await context["opened"].__aexit__(None, None, None)

    Worker(
        functions=[func(call, name="call", timeout=asked.TIMEOUT_S)],
        redis_settings=RedisSettings.from_dsn(options.redis),
        max_jobs=options.at_once,
        on_startup=begin,
        on_shutdown=end,
    ).run()


async def put(options: Asked) -> None:
    """Fill the queue."""
    pool = await create_pool(RedisSettings.from_dsn(options.redis))
    for body in options.bodies():
        await pool.enqueue_job("call", body)
    await pool.aclose()


if __name__ == "__main__":
    open_files.raise_limit()
    told = asked.read([*CLIENTS])
    work(told) if told.what == "work" else asyncio.run(put(told))
