"""Calls at a time: leases that run out, a ceiling that may sink, a limit that adapts."""

from math import floor

from shared.limiter.buckets import Bucket, Cost, Lane, Outcome
from shared.limiter.limiter import Denied, Reservation
from tests.integration.limiter.workbench import ONE, Bench

BUCKETS = (Bucket("requests", 10, 1.0), Bucket("tokens", 1_000, 0.001))


async def test_ceiling_holds_without_buckets(bench: Bench) -> None:
    """A lane without buckets still has its slots; a settled call gives its slot to the next."""
    lane = await bench.lane(calls=2)
    first = await bench.admitted(lane, "a")
    await bench.admitted(lane, "b")

    refused = await bench.denied(lane, "c")
    await bench.limiter.settle(first, ONE, outcome=Outcome.OK)

    assert refused == Denied(bench.clock.after(0.25), "concurrency")
    await bench.admitted(lane, "c")


async def test_lease_that_runs_out_frees_slot_and_keeps_tokens_spent(bench: Bench) -> None:
    """A worker that died holds its slot for the lease and no longer; what it spent stays spent."""
    lane = await bench.lane(*BUCKETS, calls=1)
    held = await bench.admitted(lane, "dead", Cost(1, 100, 0), ttl_s=30)

    bench.clock.move(29.999)
    refused = await bench.acquire(lane, "next", Cost(1, 0, 0))
    bench.clock.move(0.001)
    await bench.admitted(lane, "next", Cost(1, 0, 0))

    assert isinstance(refused, Denied)
    assert floor(await bench.level("tokens")) == 900
    await bench.limiter.settle(held, Cost(1, 40, 0), outcome=Outcome.OK)
    assert floor(await bench.level("tokens")) == 960
    assert await bench.leases() == {"next"}


async def test_operation_asked_again_has_a_slot(bench: Bench) -> None:
    """The answer was lost for longer than the lease: who asks again is about to call."""
    lane = await bench.lane(calls=2)
    await bench.admitted(lane, "late", ttl_s=1)
    bench.clock.move(2)
    await bench.admitted(lane, "next")
    swept = await bench.leases()

    await bench.admitted(lane, "late", ttl_s=60)

    assert swept == {"next"}
    assert await bench.leases() == {"late", "next"}


async def test_renewed_lease_stays(bench: Bench) -> None:
    """Renewal extends a call under way, leases one again that ran out, skips a settled one."""
    lane = await bench.lane(calls=3)
    long, lapsed, settled = [
        await bench.admitted(lane, name, ttl_s=10) for name in ("long", "lapsed", "settled")
    ]
    await bench.limiter.settle(settled, None, outcome=Outcome.OK)
    bench.clock.move(9)
    await bench.limiter.renew([long], lease_ttl_s=10)
    bench.clock.move(9)
    await bench.admitted(lane, "new")

    swept = await bench.leases()
    await bench.limiter.renew([long, lapsed, settled], lease_ttl_s=10)

    assert swept == {"long", "new"}
    assert await bench.leases() == {"long", "new", "lapsed"}


async def test_renewal_rebuilds_leases_after_loss(bench: Bench) -> None:
    """Workers that outlive Redis's data put their calls back by renewing them."""
    lane = await bench.lane(calls=2)
    held = [await bench.admitted(lane, name) for name in ("a", "b")]
    await bench.lose_data()

    await bench.limiter.renew(held, lease_ttl_s=60)

    assert (await bench.denied(lane, "c")).bucket == "concurrency"


async def test_restored_leases_count(bench: Bench) -> None:
    """What the database knows to be running takes its slots again; a settled call does not."""
    lane = await bench.lane(calls=3)
    ended = await bench.admitted(lane, "ended")
    await bench.limiter.settle(ended, None, outcome=Outcome.OK)

    await bench.limiter.restore(lane, ["x", "y", "ended"], lease_ttl_s=60)

    await bench.admitted(lane, "a")
    assert (await bench.denied(lane, "b")).bucket == "concurrency"
    bench.clock.move(61)
    await bench.admitted(lane, "b")


async def test_lowered_ceiling_waits_for_calls_to_end(bench: Bench) -> None:
    """50 to 5 while 50 run: none is cut off, none is admitted until fewer than 5 are left."""
    wide = await bench.lane(calls=50)
    running = [await bench.admitted(wide, f"op{n}") for n in range(50)]
    narrow = Lane(wide.key, (), 5)

    admitted_at = None
    for left in range(49, -1, -1):
        await bench.limiter.settle(running[left], None, outcome=Outcome.OK)
        if isinstance(await bench.acquire(narrow, "next"), Reservation):
            admitted_at = left
            break

    assert admitted_at == 4
    assert len(await bench.leases()) == 5


async def test_overload_cuts_once_a_round_trip(bench: Bench) -> None:
    """Calls that started before the cut do not cut again; one that started after it does."""
    lane = await bench.lane(calls=20)
    together = [await bench.admitted(lane, f"a{n}") for n in range(10)]
    bench.clock.move(1)
    for held in together:
        await bench.limiter.settle(held, None, outcome=Outcome.OVERLOADED)
    after_first = await bench.limiter.headroom(lane, horizon_s=0)
    bench.clock.move(1)
    later = await bench.admitted(lane, "b")
    bench.clock.move(1)
    await bench.limiter.settle(later, None, outcome=Outcome.OVERLOADED)

    assert after_first == 14
    assert await bench.limiter.headroom(lane, horizon_s=0) == 9


async def _calls(bench: Bench, lane: Lane, outcomes: list[Outcome]) -> int:
    bench.clock.move(1)
    held = [await bench.admitted(lane, f"{bench.clock.now}:{n}") for n in range(len(outcomes))]
    bench.clock.move(1)
    for each, outcome in zip(held, outcomes, strict=True):
        await bench.limiter.settle(each, ONE, outcome=outcome)
    return await bench.limiter.headroom(lane, horizon_s=0)


async def test_sporadic_failures_cut_nothing(bench: Bench) -> None:
    """A provider that fails one call of five is not asked too much."""
    lane = await bench.lane(calls=60)
    fifth = [Outcome.STRAINED] * 12 + [Outcome.OK] * 48

    seen = {await _calls(bench, lane, fifth) for _ in range(10)}

    assert seen == {60}, "though failures come sooner than answers"


async def test_many_failures_cut_to_the_share_that_went_well(bench: Bench) -> None:
    """Once a round trip, at least to 0.7 and at most by half; few calls decide nothing."""
    lane = await bench.lane(calls=60)

    few = await _calls(bench, lane, [Outcome.STRAINED] * 20)
    all_of_them = await _calls(bench, lane, [Outcome.STRAINED] * 4)
    some = await _calls(bench, lane, [Outcome.STRAINED] * 12 + [Outcome.OK] * 18)

    # The first 24 calls of each round decide: 24 and 12 of them failed.
    assert (few, all_of_them, some) == (60, 30, 15)


async def test_limit_never_falls_below_one_call(bench: Bench) -> None:
    """However often it is overloaded, one call at a time may try."""
    lane = await bench.lane(calls=4)

    for n in range(10):
        bench.clock.move(1)
        held = await bench.admitted(lane, f"op{n}")
        bench.clock.move(1)
        await bench.limiter.settle(held, None, outcome=Outcome.OVERLOADED)

    assert await bench.limiter.headroom(lane, horizon_s=0) == 1


async def test_limit_grows_back_to_the_ceiling(bench: Bench) -> None:
    """As many successes as the limit raise it by one; failures do not; the ceiling ends it."""
    lane = await bench.lane(calls=4)
    bad = await bench.admitted(lane, "bad")
    bench.clock.move(1)
    await bench.limiter.settle(bad, None, outcome=Outcome.OVERLOADED)

    seen = []
    for n in range(12):
        bench.clock.move(1)
        held = await bench.admitted(lane, f"op{n}")
        outcome = Outcome.FAILED if n == 0 else Outcome.OK
        await bench.limiter.settle(held, ONE, outcome=outcome)
        seen.append(await bench.limiter.headroom(lane, horizon_s=0))

    assert seen == [2, 2, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4]


async def test_ceiling_moves_under_an_adapted_limit(bench: Bench) -> None:
    """The lower of the two holds; once the limit has reached the ceiling, it follows it up."""
    lane = await bench.lane(calls=20)
    bad = await bench.admitted(lane, "bad")
    bench.clock.move(1)
    await bench.limiter.settle(bad, None, outcome=Outcome.OVERLOADED)
    narrow, wide = Lane(lane.key, (), 5), Lane(lane.key, (), 50)

    cut = [await bench.limiter.headroom(each, horizon_s=0) for each in (lane, narrow, wide)]
    bench.clock.move(1)
    good = await bench.admitted(narrow, "good")
    await bench.limiter.settle(good, None, outcome=Outcome.OK)

    assert cut == [14, 5, 14]
    assert await bench.limiter.headroom(wide, horizon_s=0) == 50


async def test_headroom_counts_slots_and_requests(bench: Bench) -> None:
    """What could start within the horizon: the scarcer of free slots and refilled requests."""
    lane = await bench.lane(*BUCKETS, calls=9)
    for n in range(4):
        await bench.admitted(lane, f"op{n}", Cost(2, 0, 0))

    assert await bench.limiter.headroom(lane, horizon_s=0) == 2
    assert await bench.limiter.headroom(lane, horizon_s=2.5) == 4
    assert await bench.limiter.headroom(lane, horizon_s=60) == 5
    await bench.admitted(lane, "tokens", Cost(0, 1_000, 0))
    assert await bench.limiter.headroom(lane, horizon_s=0) == 0
