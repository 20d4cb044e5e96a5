"""Clocks that step back neither give tokens away nor shut a lane."""

from shared.limiter.buckets import Bucket
from shared.limiter.limiter import Denied, Reservation
from tests.integration.limiter.workbench import Bench

REQUESTS = Bucket("requests", 100, 10.0)


async def test_small_step_back_stands_still(bench: Bench) -> None:
    """Behind by seconds: nothing is refilled twice, and refilling resumes where it stopped."""
    lane = await bench.lane(REQUESTS, calls=200)
    for n in range(100):
        await bench.admitted(lane, f"op{n}")

    bench.clock.move(-5)
    behind = await bench.acquire(lane, "a")
    bench.clock.move(5)
    level_again = await bench.acquire(lane, "a")
    bench.clock.move(0.1)

    assert isinstance(behind, Denied)
    assert isinstance(level_again, Denied)
    await bench.admitted(lane, "a")
    assert isinstance(await bench.acquire(lane, "b"), Denied)


async def test_clock_to_and_fro_gives_nothing_away(bench: Bench) -> None:
    """Nine seconds back and forth, twenty times, are not three minutes of refill."""
    lane = await bench.lane(REQUESTS, calls=200)
    for n in range(100):
        await bench.admitted(lane, f"op{n}")

    admitted = 0
    for n in range(20):
        bench.clock.move(-9)
        admitted += isinstance(await bench.acquire(lane, f"back{n}"), Reservation)
        bench.clock.move(9)
        admitted += isinstance(await bench.acquire(lane, f"forth{n}"), Reservation)

    assert admitted == 0


async def test_clock_set_back_an_hour_does_not_shut_the_lane(bench: Bench) -> None:
    """Lane time goes on from where it was; pauses and leases keep their length."""
    lane = await bench.lane(REQUESTS, calls=101)
    for n in range(100):
        await bench.admitted(lane, f"op{n}", ttl_s=60)

    bench.clock.move(-3_600)
    at_once = await bench.denied(lane, "a")
    bench.clock.move(0.1)
    await bench.admitted(lane, "a")
    crowded = await bench.acquire(lane, "b")
    bench.clock.move(59.9)

    assert at_once == Denied(at_once.retry_at, "requests")
    assert at_once.retry_at == bench.clock.after(-59.9)
    assert isinstance(crowded, Denied)
    await bench.admitted(lane, "b")
    assert await bench.leases() == {"a", "b"}
