"""A pipeline of `taskiq`: one receiver on asyncio, results kept in Redis for an hour."""

import asyncio

from taskiq.api import run_receiver_task  # type: ignore[import-not-found]
from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend  # type: ignore[import-not-found]

from bench.peers import asked
from bench.peers.asked import Asked
from bench.peers.calling import CLIENTS
from shared import open_files

KEPT_S = 3600


def broker_of(options: Asked) -> ListQueueBroker:
    """Return the broker that both sides use."""
    results = RedisAsyncResultBackend(options.redis, result_ex_time=KEPT_S)
    return ListQueueBroker(options.redis).with_result_backend(results)


async def work(options: Asked) -> None:
    """Work until the process is ended."""
    broker = broker_of(options)
    async with CLIENTS[options.client](options.url, options.at_once) as make_call:

        async def call(body: str) -> str:
            return await make_call(body)

        broker.register_task(call, task_name="call")
        await broker.startup()
        await run_receiver_task(broker, max_async_tasks=options.at_once, run_startup=False)


async def put(options: Asked) -> None:
    """Fill the queue."""
    broker = broker_of(options)

    async def call(body: str) -> str:
        return body

    task = broker.register_task(call, task_name="call")
    await broker.startup()
    for body in options.bodies():
        await task.kiq(body)
    await broker.shutdown()


if __name__ == "__main__":
    open_files.raise_limit()
    told = asked.read([*CLIENTS])
    asyncio.run(work(told) if told.what == "work" else put(told))
