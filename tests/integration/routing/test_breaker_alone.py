"""Breakers while Redis is away: what was read last holds."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from redis.asyncio import Redis

from shared.routing.breaker import Breakers, Pass, Shut
from shared.routing.breaker_states import Verdict
from shared.routing.model import BreakerRule
from tests.servers import RedisServer

RULE = BreakerRule(failure_rate=0.5, window_s=10, min_calls=4, cool_down_s=5)
BRIEF = replace(RULE, cool_down_s=0.2)


async def test_who_never_saw_redis_takes_all_for_closed() -> None:
    gone = Breakers(Redis(port=1, socket_connect_timeout=0.2))

    granted = await gone.enter("d", RULE, "call")
    assert isinstance(granted, Pass)
    gone.left(granted, Verdict.BAD)
    await gone.told_all()


async def test_what_is_known_to_be_down_stays_so_while_redis_is_away(
    start_redis: Callable[..., RedisServer],
) -> None:
    server = start_redis(appendonly=True)
    client = Redis.from_url(server.url)
    one = Breakers(client, tick_s=0.02)
    await one.trip("d", BRIEF)
    await one.start()
    try:
        server.stop()
        # Over several readings that fail, and past the time of the next probe.
        await asyncio.sleep(0.5)
        assert isinstance(await one.enter("d", RULE, "call"), Shut)
        assert isinstance(await one.enter("another", RULE, "call"), Pass)
        server.start()
        async with asyncio.timeout(5):
            while not isinstance(probe := await one.enter("d", RULE, "call"), Pass):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert probe.probe == "call"
    finally:
        await one.close()
        await client.aclose()
