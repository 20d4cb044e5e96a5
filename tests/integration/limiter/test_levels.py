"""Looking at a lane's buckets: what is told is what the limiter would go by, and nothing changes."""

import asyncio

from shared.limiter.buckets import Bucket, Cost, Lane, Outcome
from shared.limiter.levels import Level, Levels
from tests.integration.limiter.proxy import Proxy
from tests.integration.limiter.workbench import Bench

REQUESTS = Bucket("requests", 100, 10)
TOKENS = Bucket("tokens", 6000, 100)


def levels(bench: Bench, *, fresh_s: float = -1) -> Levels:
    return Levels(bench.redis, fresh_s=fresh_s, clock=bench.clock)


async def test_what_is_left_and_when_it_is_full_again(bench: Bench) -> None:
    lane = await bench.lane(REQUESTS, TOKENS)
    await bench.admitted(lane, "a", Cost(1, 1000, 500))

    assert await levels(bench).of(lane) == [
        Level("requests", 600, 99, 0.1),
        Level("tokens", 6000, 4500, 15.0),
    ]
    bench.clock.move(5)
    later = await levels(bench).of(lane)
    assert [each.remaining for each in later] == [100, 5000]
    assert [each.full_in_s for each in later] == [0, 10.0]


async def test_looking_changes_nothing(bench: Bench) -> None:
    lane = await bench.lane(REQUESTS)
    await bench.admitted(lane, "a")
    bench.clock.move(1)
    before = await bench.everything()

    await levels(bench).of(lane)

    assert await bench.everything() == before
    unknown = Lane(f"{bench.key}-unknown", (REQUESTS,), 1)
    assert await levels(bench).of(unknown) == [Level("requests", 600, 0, 10.0)]
    assert await bench.redis.keys("*unknown*") == []


async def test_a_paused_lane_has_nothing_left(bench: Bench) -> None:
    lane = await bench.lane(REQUESTS)
    await bench.limiter.pause(lane, seconds=30)

    [level] = await levels(bench).of(lane)

    assert level.remaining == 0
    assert 30 <= level.full_in_s <= 33


async def test_debt_is_nothing_left(bench: Bench) -> None:
    lane = await bench.lane(TOKENS)
    held = await bench.admitted(lane, "a", Cost(1, 1000, 0))
    await bench.limiter.settle(held, Cost(1, 8000, 0), outcome=Outcome.OK)

    assert await levels(bench).of(lane) == [Level("tokens", 6000, 0, 80.0)]


async def test_calls_at_the_same_time_share_one_look(bench: Bench) -> None:
    lane = await bench.lane(REQUESTS)
    seen = levels(bench, fresh_s=60)

    first, second = await asyncio.gather(seen.of(lane), seen.of(lane))
    await bench.admitted(lane, "a")

    assert first is second
    assert await seen.of(lane) is first
    assert await levels(bench).of(lane) != first


async def test_without_redis_nothing_is_told(bench: Bench, proxy: Proxy) -> None:
    lane = await bench.lane(REQUESTS)
    proxy.down = True

    assert await Levels(proxy.client()).of(lane) == ()
