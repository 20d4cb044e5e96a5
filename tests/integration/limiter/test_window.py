"""For every window W: admitted <= capacity + rate x W."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations_with_replacement

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from shared.limiter.buckets import MICRO, Bucket, Cost, Lane, Outcome
from shared.limiter.limiter import Limiter, Reservation
from tests.integration.limiter.workbench import Clock


@dataclass(frozen=True)
class Step:
    """Time that passes, then a call, then how and how much later it ends."""

    wait_us: int
    estimate: int
    used: Fraction | None
    ends_after: int
    clock_back_us: int


steps = st.builds(
    Step,
    wait_us=st.one_of(st.just(0), st.integers(0, 2 * MICRO)),
    estimate=st.integers(1, 30),
    used=st.none() | st.fractions(0, 1, max_denominator=8),
    ends_after=st.integers(0, 6),
    clock_back_us=st.one_of(st.just(0), st.just(0), st.integers(1, 9 * MICRO)),
)


@given(
    capacity=st.integers(1, 40),
    per_second=st.integers(1, 25),
    plan=st.lists(steps, min_size=5, max_size=40),
)
@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_no_window_admits_more(
    redis_url: str, capacity: int, per_second: int, plan: list[Step]
) -> None:
    """Whatever is reserved, refunded, lost or delayed, no window of any length holds too much."""
    async with Redis.from_url(redis_url) as redis:
        lane = Lane("window", (Bucket("input_tokens", capacity, per_second),), 1_000)
        await redis.delete(f"{lane.tag}:lane", f"{lane.tag}:leases")
        taken = await _play(redis, lane, plan)

    for (start, first), (end, last) in combinations_with_replacement(enumerate(taken), 2):
        admitted = sum(tokens for _, tokens in taken[start : end + 1])
        window_s = Fraction(last[0] - first[0], MICRO)
        assert admitted <= capacity + per_second * window_s


async def _play(redis: Redis, lane: Lane, plan: list[Step]) -> list[tuple[int, int]]:
    """Follow the plan; return when each call was admitted (the latest time seen) and what it took."""
    clock = Clock()
    limiter = Limiter(redis, clock=clock)
    latest, taken = clock.now, []
    ending: dict[int, list[tuple[Reservation, int | None]]] = {}
    for number, step in enumerate(plan):
        clock.now += step.wait_us
        latest = max(latest, clock.now)
        clock.now = max(clock.now - step.clock_back_us, latest - 9 * MICRO)
        cost = Cost(0, step.estimate, 0)
        await redis.delete(f"{lane.tag}:op:{number}")
        held = await limiter.acquire(lane, f"{number}", cost, lease_ttl_s=3)
        if isinstance(held, Reservation):
            used = None if step.used is None else int(step.estimate * step.used)
            taken.append((latest, step.estimate if used is None else used))
            ending.setdefault(number + step.ends_after, []).append((held, used))
        for reservation, used in ending.pop(number, []):
            actual = None if used is None else Cost(0, used, 0)
            await limiter.settle(reservation, actual, outcome=Outcome.OK)
    return taken
