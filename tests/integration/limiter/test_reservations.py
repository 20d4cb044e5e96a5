"""Reserve all or nothing, settle once, start empty."""

import asyncio
from contextlib import AsyncExitStack

from redis.asyncio import Redis

from shared.limiter.buckets import Bucket, Cost, Lane, Outcome
from shared.limiter.limiter import Denied, Limiter, Reservation
from tests.integration.limiter.workbench import ONE, Bench

REQUESTS = Bucket("requests", 10, 1.0)
TOKENS = Bucket("tokens", 1_000, 10.0)


async def test_new_bucket_starts_empty(bench: Bench) -> None:
    """Nobody knows what a bucket without a record has spent: it begins with nothing."""
    lane = Lane(bench.key, (Bucket("requests", 500, 2.0),), 100)

    first = await bench.denied(lane, "a")
    bench.clock.move(0.499)
    early = await bench.acquire(lane, "a")
    bench.clock.move(0.001)
    due = await bench.acquire(lane, "a")

    assert first == Denied(bench.clock.after(0), "requests")
    assert isinstance(early, Denied)
    assert isinstance(due, Reservation)


async def test_lost_data_gives_no_burst(bench: Bench) -> None:
    """After Redis forgot everything the buckets are empty, not full."""
    lane = await bench.lane(REQUESTS, TOKENS)
    await bench.admitted(lane, "a")
    await bench.lose_data()

    answers = [await bench.acquire(lane, f"op{n}") for n in range(20)]
    bench.clock.move(3)
    later = [await bench.acquire(lane, f"op{n}") for n in range(20)]

    assert not [answer for answer in answers if isinstance(answer, Reservation)]
    assert len([answer for answer in later if isinstance(answer, Reservation)]) == 3


async def test_denied_says_when_and_why(bench: Bench) -> None:
    """`retry_at` is when the last of the short buckets has enough; it names that one."""
    lane = await bench.lane(REQUESTS, TOKENS)
    await bench.admitted(lane, "all", Cost(10, 600, 400))

    requests = await bench.denied(lane, "a", Cost(2, 10, 0))
    tokens = await bench.denied(lane, "a", Cost(1, 25, 25))

    assert requests == Denied(bench.clock.after(2), "requests")
    assert tokens == Denied(bench.clock.after(5), "tokens")


async def test_a_millionth_short_is_short(bench: Bench) -> None:
    """The microsecond before the bucket has refilled is too early."""
    lane = await bench.lane(Bucket("requests", 1, 1.0))
    await bench.admitted(lane, "a")

    bench.clock.move(0.999999)
    await bench.denied(lane, "b")
    bench.clock.move(0.000001)
    await bench.admitted(lane, "b")


async def test_denied_writes_nothing(bench: Bench) -> None:
    """A refusal, for whatever reason, leaves every key as it was."""
    lane = await bench.lane(REQUESTS, TOKENS, calls=2)
    await bench.admitted(lane, "a", Cost(1, 900, 0), ttl_s=1)
    before = await bench.everything()
    bench.clock.move(2)

    await bench.denied(lane, "b", Cost(1, 900, 0))
    await bench.denied(lane, "c", Cost(11, 0, 0))

    assert await bench.everything() == before


async def test_racing_clients_get_all_or_nothing(bench: Bench, redis_url: str) -> None:
    """Eight processes' worth of clients: as many are admitted as the scarcest bucket allows."""
    lane = await bench.lane(Bucket("requests", 50, 1.0), Bucket("input_tokens", 300, 1.0))
    async with AsyncExitStack() as clients:
        limiters = [
            Limiter(await clients.enter_async_context(Redis.from_url(redis_url)), clock=bench.clock)
            for _ in range(8)
        ]

        answers = await asyncio.gather(
            *(
                limiters[n % 8].acquire(lane, f"op{n}", Cost(1, 10, 0), lease_ttl_s=60)
                for n in range(160)
            )
        )

    admitted = {answer.op_id for answer in answers if isinstance(answer, Reservation)}
    assert len(admitted) == 30
    assert await bench.level("requests") == 20
    assert await bench.level("input_tokens") == 0
    assert await bench.leases() == admitted


async def test_same_operation_is_charged_once(bench: Bench) -> None:
    """A second `acquire` of an id is the first one's answer, at the first one's price."""
    lane = await bench.lane(REQUESTS, TOKENS)

    first = await bench.admitted(lane, "a", Cost(1, 100, 0))
    again = await bench.admitted(lane, "a", Cost(1, 100, 0))
    other = await bench.admitted(lane, "a", Cost(5, 7, 7))
    await bench.limiter.settle(first, Cost(1, 100, 0), outcome=Outcome.OK)
    settled = await bench.admitted(lane, "a", Cost(1, 100, 0))

    assert first == again == other == settled
    assert await bench.level("requests") == 9
    assert await bench.level("tokens") == 900
    assert await bench.leases() == set()


async def test_settle_refunds_once(bench: Bench) -> None:
    """What was reserved and not used comes back, however often and from where it is settled."""
    lane = await bench.lane(REQUESTS, TOKENS)
    held = await bench.admitted(lane, "a", Cost(1, 500, 500))
    actual = Cost(1, 200, 100)

    await asyncio.gather(
        *(bench.limiter.settle(held, actual, outcome=Outcome.OK) for _ in range(10))
    )
    await bench.limiter.settle(held, Cost(0, 0, 0), outcome=Outcome.OK)
    await bench.limiter.release(held)

    assert await bench.level("requests") == 9
    assert await bench.level("tokens") == 700
    assert await bench.leases() == set()


async def test_unknown_use_refunds_nothing(bench: Bench) -> None:
    """A call whose fate nobody knows frees its slot and keeps its tokens spent."""
    lane = await bench.lane(REQUESTS, TOKENS)
    held = await bench.admitted(lane, "a", Cost(1, 500, 400))

    await bench.limiter.settle(held, None, outcome=Outcome.FAILED)
    await bench.limiter.settle(held, Cost(1, 0, 0), outcome=Outcome.OK)

    assert await bench.level("tokens") == 100
    assert await bench.leases() == set()


async def test_underestimate_becomes_debt(bench: Bench) -> None:
    """Ten times the estimate: the level goes below nothing and later calls wait for it."""
    lane = await bench.lane(TOKENS)
    held = await bench.admitted(lane, "a", Cost(1, 100, 100))

    await bench.limiter.settle(held, Cost(1, 100, 1_900), outcome=Outcome.OK)

    assert await bench.level("tokens") == -1_000
    assert await bench.denied(lane, "b", Cost(1, 10, 0)) == Denied(bench.clock.after(101), "tokens")


async def test_refund_stops_at_capacity(bench: Bench) -> None:
    """A refund that comes when the bucket has filled up again is not a burst."""
    lane = await bench.lane(TOKENS)
    held = await bench.admitted(lane, "a", Cost(1, 800, 0))
    bench.clock.move(1_000)

    await bench.limiter.settle(held, Cost(1, 0, 0), outcome=Outcome.OK)

    assert await bench.level("tokens") == 1_000


async def test_release_undoes_the_reservation(bench: Bench) -> None:
    """A call that never happened costs nothing, and pays when it is tried again."""
    lane = await bench.lane(REQUESTS, TOKENS)
    held = await bench.admitted(lane, "a", Cost(1, 500, 0))

    await bench.limiter.release(held)
    await bench.limiter.release(held)

    assert (await bench.level("requests"), await bench.level("tokens")) == (10, 1_000)
    await bench.admitted(lane, "a", Cost(1, 500, 0))
    assert (await bench.level("requests"), await bench.level("tokens")) == (9, 500)


async def test_settlement_of_lost_operation_changes_no_level(bench: Bench) -> None:
    """Redis forgot the charge, so there is nothing to refund; a restored slot is freed."""
    lane = await bench.lane(REQUESTS)
    held = await bench.admitted(lane, "a")
    await bench.lose_data()
    await bench.limiter.restore(lane, ["a", "b"], lease_ttl_s=60)

    await bench.limiter.settle(held, Cost(0, 0, 0), outcome=Outcome.OK)

    assert await bench.level("requests") == 0
    assert await bench.leases() == {"b"}


async def test_two_buckets_of_one_unit(bench: Bench) -> None:
    """A minute's and a day's requests are counted apart."""
    lane = await bench.lane(Bucket("requests", 3, 1.0), Bucket("requests", 5, 0.01))

    for n in range(3):
        await bench.admitted(lane, f"a{n}")
    bench.clock.move(3)
    for n in range(2):
        await bench.admitted(lane, f"b{n}")
    refused = await bench.denied(lane, "c")

    assert refused == Denied(bench.clock.after(97), "requests")


async def test_slow_bucket_fills_beside_fast_traffic(bench: Bench) -> None:
    """One in 10,000 s, with the books written every millisecond: no refill is rounded away."""
    lane = await bench.lane(Bucket("requests", 1, 0.0001))
    await bench.admitted(lane, "a", ONE)

    for n in range(1_000):
        bench.clock.move(0.001)
        held = await bench.admitted(lane, f"free{n}", Cost(0, 1, 1))
        bench.clock.move(0.001)
        await bench.limiter.settle(held, None, outcome=Outcome.OK)
    bench.clock.move(10_000 - 2)

    await bench.admitted(lane, "b", ONE)


async def test_own_clock_of_redis_rules(bench: Bench) -> None:
    """Without a test's clock the time is Redis's: a fast bucket has refilled by the next call."""
    limiter = Limiter(bench.redis)
    lane = Lane(bench.key, (Bucket("requests", 1_000_000, 1_000_000.0),), 10)
    seconds, micros = await bench.redis.time()

    answer: Reservation | Denied = Denied(0, "")
    for _ in range(50):
        answer = await limiter.acquire(lane, "a", ONE, lease_ttl_s=60)

    assert isinstance(answer, Reservation)
    lease = await bench.redis.zscore(f"{bench.tag}:leases", "a")
    assert lease is not None
    assert 60 <= lease / 1e6 - seconds - micros / 1e6 < 65


async def test_keys_share_a_slot_and_expire(bench: Bench) -> None:
    """All of a lane's keys hash alike, and none stays for ever."""
    lane = await bench.lane(REQUESTS)
    held = await bench.admitted(lane, "a")
    await bench.admitted(lane, "b")
    await bench.limiter.settle(held, None, outcome=Outcome.OK)

    ttl = {key: await bench.redis.ttl(key) for key in await bench.everything()}

    assert set(ttl) == {f"{bench.tag}:{end}" for end in ("lane", "leases", "op:a", "op:b")}
    assert ttl[f"{bench.tag}:lane"] >= 48 * 3600
    assert ttl[f"{bench.tag}:leases"] >= 48 * 3600
    assert 3600 <= ttl[f"{bench.tag}:op:b"] <= 3660
    assert 0 < ttl[f"{bench.tag}:op:a"] <= 600
