"""The breaker on a real Redis, with a clock that the test moves."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from redis.asyncio import Redis

from shared.routing.breaker import Breakers, Pass, Shut
from shared.routing.breaker_states import BreakerState, Verdict, read_standings
from shared.routing.model import BreakerRule

RULE = BreakerRule(failure_rate=0.5, window_s=10, min_calls=4, cool_down_s=5)
LEASE_S = 5


@dataclass
class Clock:
    """Milliseconds that stand until they are moved."""

    now: int = 1_800_000_000_000

    def __call__(self) -> int:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += round(seconds * 1000)


class Bench:
    """A process's breakers at a movable clock, and the changes that it heard of."""

    def __init__(self, redis: Redis, clock: Clock) -> None:
        self.heard: list[BreakerState] = []
        self.clock = clock
        self.breakers = Breakers(
            redis, clock=clock, dice=lambda: 0.0, told=lambda _, state: self.heard.append(state)
        )

    async def enter(self, call: str = "call") -> Pass | Shut:
        await self.breakers.refresh()
        return await self.breakers.enter("d", RULE, call)

    async def calls(self, *, good: int = 0, bad: int = 0) -> None:
        for verdict, count in ((Verdict.GOOD, good), (Verdict.BAD, bad)):
            for _ in range(count):
                self.breakers.left(Pass("d", RULE), verdict)
        await self.breakers.told_all()
        await self.breakers.refresh()

    async def probe(self, call: str = "probe") -> Pass:
        granted = await self.enter(call)
        assert isinstance(granted, Pass)
        assert granted.probe == call
        return granted

    async def end(self, granted: Pass, verdict: Verdict) -> None:
        self.breakers.left(granted, verdict)
        await self.breakers.told_all()

    def state(self) -> BreakerState:
        standing = self.breakers.open.get("d")
        if standing is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self.breakers.shut_s("d") else BreakerState.HALF_OPEN


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
def bench(redis: Redis) -> Bench:
    return Bench(redis, Clock())


async def test_closed_costs_no_round_trip(bench: Bench, redis: Redis) -> None:
    before = (await redis.info("stats"))["total_commands_processed"]

    for n in range(100):
        granted = await bench.breakers.enter("d", RULE, f"call{n}")
        assert isinstance(granted, Pass)
        bench.breakers.left(granted, Verdict.GOOD)

    assert (await redis.info("stats"))["total_commands_processed"] - before <= 1


async def test_too_few_calls_decide_nothing(bench: Bench) -> None:
    await bench.calls(bad=3)

    assert bench.state() is BreakerState.CLOSED


async def test_opens_at_the_rate_and_not_below(bench: Bench) -> None:
    await bench.calls(good=10, bad=9)
    below = bench.state()
    await bench.calls(bad=1)

    assert below is BreakerState.CLOSED
    assert bench.state() is BreakerState.OPEN
    assert bench.heard == [BreakerState.OPEN]
    shut = await bench.enter()
    assert isinstance(shut, Shut)
    assert shut.delay_s == pytest.approx(5, abs=0.2)


async def test_what_a_call_says_nothing_of_is_not_counted(bench: Bench) -> None:
    for _ in range(20):
        bench.breakers.left(Pass("d", RULE), Verdict.NONE)
    await bench.calls(bad=3)

    assert bench.state() is BreakerState.CLOSED


async def test_failures_long_ago_are_forgotten(bench: Bench) -> None:
    await bench.calls(bad=3)
    bench.clock.move(11)
    await bench.calls(bad=3)
    slid = bench.state()
    bench.clock.move(8)
    await bench.calls(bad=1)

    assert slid is BreakerState.CLOSED
    assert bench.state() is BreakerState.OPEN


async def test_one_probe_after_the_cool_down(bench: Bench) -> None:
    await bench.calls(bad=4)
    bench.clock.move(4.9)
    early = await bench.enter("early")
    bench.clock.move(0.2)
    await bench.probe()

    assert isinstance(early, Shut)
    assert isinstance(await bench.enter("second"), Shut)


async def test_a_good_probe_closes(bench: Bench) -> None:
    await bench.calls(bad=4)
    bench.clock.move(5.1)
    await bench.end(await bench.probe(), Verdict.GOOD)

    assert bench.state() is BreakerState.CLOSED
    assert bench.heard == [BreakerState.OPEN, BreakerState.CLOSED]
    await bench.calls(bad=3)
    assert bench.state() is BreakerState.CLOSED, "the old failures are forgotten"


async def test_a_bad_probe_opens_for_longer_each_time(bench: Bench) -> None:
    await bench.calls(bad=4)
    waits = []
    for wait_s in (5, 10, 20, 40, 40):
        bench.clock.move(wait_s - 0.1)
        waits.append(isinstance(await bench.enter(), Shut))
        bench.clock.move(0.2)
        await bench.end(await bench.probe(), Verdict.BAD)

    assert all(waits)


async def test_a_probe_that_says_nothing_leaves_its_turn_to_the_next(bench: Bench) -> None:
    await bench.calls(bad=4)
    bench.clock.move(5.1)
    await bench.end(await bench.probe("first"), Verdict.NONE)

    await bench.probe("second")


async def test_the_probe_of_a_dead_process_runs_out(redis: Redis) -> None:
    clock = Clock()
    dead, alive = Bench(redis, clock), Bench(redis, clock)
    await dead.calls(bad=4)
    clock.move(5.1)
    granted = await dead.probe("dead")
    clock.move(LEASE_S - 0.1)
    early = await alive.enter("alive")
    clock.move(0.2)
    await alive.probe("alive")
    await dead.end(granted, Verdict.GOOD)

    assert isinstance(early, Shut)
    assert isinstance(await alive.enter("third"), Shut), "who came too late closes nothing"


async def test_a_long_probe_is_renewed(bench: Bench) -> None:
    await bench.calls(bad=4)
    bench.clock.move(5.1)
    await bench.probe()
    for _ in range(5):
        bench.clock.move(LEASE_S - 1)
        assert isinstance(await bench.enter("other"), Shut)


async def test_other_processes_see_it(redis: Redis) -> None:
    clock = Clock()
    one, other = Bench(redis, clock), Bench(redis, clock)
    await one.calls(bad=4)

    assert isinstance(await other.enter(), Shut)
    clock.move(5.1)
    await other.end(await other.probe(), Verdict.GOOD)
    assert isinstance(await one.enter(), Pass)


async def test_it_may_be_opened_by_hand(bench: Bench) -> None:
    await bench.breakers.trip("d", RULE)
    await bench.breakers.trip("d", RULE)

    assert bench.state() is BreakerState.OPEN
    assert bench.heard == [BreakerState.OPEN]
    bench.clock.move(5.1)
    await bench.probe()


async def test_calls_that_began_before_it_opened_change_nothing(bench: Bench) -> None:
    await bench.calls(bad=4)
    await bench.calls(good=100, bad=100)
    bench.clock.move(5.1)

    await bench.probe()


async def test_a_clock_set_back_does_not_keep_it_open(bench: Bench) -> None:
    await bench.calls(bad=4)
    bench.clock.move(-1_000_000)
    await bench.end(await bench.probe(), Verdict.GOOD)

    assert bench.state() is BreakerState.CLOSED


async def test_a_failure_is_told_at_once(redis: Redis) -> None:
    one, other = Breakers(redis, tick_s=0.02), Breakers(redis, tick_s=0.02)
    await one.start()
    try:
        for _ in range(4):
            one.left(Pass("d", RULE), Verdict.BAD)
        async with asyncio.timeout(5):
            while "d" not in other.open:
                await other.refresh()
    finally:
        await one.close()
    assert (await read_standings(redis))["d"].trips == 1


async def test_routes_with_windows_of_their_own_count_the_same_calls(bench: Bench) -> None:
    other = BreakerRule(failure_rate=0.5, window_s=40, min_calls=4, cool_down_s=5)
    for rule in (RULE, other, RULE, other):
        assert bench.state() is BreakerState.CLOSED
        bench.breakers.left(Pass("d", rule), Verdict.BAD)
        await bench.breakers.told_all()
        bench.clock.move(1)

    assert bench.state() is BreakerState.OPEN


async def test_a_short_window_leaves_the_calls_of_a_longer_one(bench: Bench) -> None:
    longer = BreakerRule(failure_rate=0.5, window_s=100, min_calls=4, cool_down_s=5)
    for _ in range(3):
        bench.breakers.left(Pass("d", longer), Verdict.BAD)
    await bench.breakers.told_all()
    bench.clock.move(30)
    await bench.calls(good=1)

    bench.breakers.left(Pass("d", longer), Verdict.BAD)
    await bench.breakers.told_all()

    assert bench.state() is BreakerState.OPEN
