"""What a lane keeps back: its reserve for interactive work, its pause, its limits, on both databases."""

import asyncio

import pytest

from shared.limiter.buckets import Cost, Lane
from shared.limiter.limiter import Reservation
from tests.integration.scheduler.conftest import INTERACTIVE, Bench

WIDE, NARROW = 90, 9
"""What the lanes admit besides their reserve."""


async def test_a_paused_lane_gets_nothing_but_its_probe(bench: Bench) -> None:
    await bench.worker()
    ids = await bench.add(20, priority=INTERACTIVE)
    others = await bench.add(3, model="narrow")
    await bench.limiter.pause(bench.lane("wide"), seconds=0.3)

    assert await bench.given() == others
    await asyncio.sleep(0.4)
    probe = await bench.given()
    assert probe == ids[:1]
    await bench.run(probe)
    assert await bench.given() == []
    await bench.end(probe)

    assert await bench.given() == ids[1:]


async def test_interactive_work_has_a_reserve(bench: Bench) -> None:
    await bench.worker()
    bulk = await bench.add(50, model="narrow", tokens=1)
    flood = await bench.given()
    assert flood == bulk[:NARROW]
    await bench.run(flood)
    urgent = await bench.add(3, model="narrow", tenant="ten_b", priority=INTERACTIVE)

    assert await bench.given() == urgent[:1]
    await bench.end(flood[:1])
    # The next place is theirs too, before all that waits longer.
    assert await bench.given() == urgent[1:2]


async def test_tokens_are_not_drained_below_the_reserve(bench: Bench) -> None:
    await bench.worker()
    await bench.add(100, model="metered")
    await bench.fill_buckets("metered")

    assert len(await bench.given()) in (54, 55)
    urgent = await bench.add(3, model="metered", tenant="ten_b", priority=INTERACTIVE)
    assert await bench.given() == urgent


async def test_a_lower_limit_is_kept_without_ending_anything(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.worker()
    await bench.add(200)
    first = await bench.given()
    await bench.run(first[:50])
    await bench.change(first[50:], "state = 'completed'")
    lane = bench.lane("wide")
    lower = Lane(lane.key, lane.buckets, 5)
    monkeypatch.setattr(bench.dispatcher._ways, "lanes", lambda _keys: [lower])

    assert await bench.given() == []
    await bench.end(first[:45])
    assert await bench.given() == []
    await bench.end(first[45:47])

    assert len(await bench.given()) == 2


async def test_a_fallback_has_room_too(bench: Bench) -> None:
    await bench.worker()
    ids = await bench.add(200, model="both")

    assert await bench.given() == ids[: NARROW + WIDE]


async def test_what_ends_soon_is_replaced_beforehand(bench: Bench) -> None:
    await bench.worker()
    await bench.add(300)
    first = await bench.given()
    await bench.run(first)
    assert await bench.given() == []
    for _ in range(10):
        bench.dispatcher._hear("bell", b'{"%s": 10}' % bench.lane("wide").key.encode())

    ahead = await bench.given()

    # A hundred in what is taken for a quarter of a second: forty in a tenth.
    assert 30 <= len(ahead) <= 41


async def test_the_limiter_keeps_the_reserve_for_whom_it_is_for(bench: Bench) -> None:
    lane = bench.lane("narrow")

    async def ask(name: str, kept: float) -> bool:
        answer = await bench.limiter.acquire(lane, name, Cost(1, 1, 0), lease_ttl_s=60, kept=kept)
        return isinstance(answer, Reservation)

    assert [await ask(f"bulk-{nth}", 0.1) for nth in range(10)] == [True] * 9 + [False]
    assert [await ask(f"urgent-{nth}", 0) for nth in range(2)] == [True, False]


async def test_the_limiter_keeps_tokens_back(bench: Bench) -> None:
    await bench.fill_buckets("metered")
    lane = bench.lane("metered")
    most, all_of_it = Cost(1, 2750, 0), Cost(1, 6000, 0)

    first = await bench.limiter.acquire(lane, "a", most, lease_ttl_s=60, kept=0.1)
    second = await bench.limiter.acquire(lane, "b", most, lease_ttl_s=60, kept=0.1)
    assert isinstance(first, Reservation)
    assert not isinstance(second, Reservation)
    await bench.fill_buckets("metered")

    # It could never leave the reserve, so it need not.
    whole = await bench.limiter.acquire(lane, "c", all_of_it, lease_ttl_s=60, kept=0.1)
    assert isinstance(whole, Reservation)
