"""Redis that is away, forgets its scripts, loses replies or refuses to write."""

import asyncio
from dataclasses import astuple

import pytest
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import ResponseError
from typing_extensions import override

from shared.clock import now_ms
from shared.limiter.buckets import Bucket, Cost, Outcome
from shared.limiter.limiter import Denied, Limiter, Reservation
from shared.limiter.round_trips import RedisDownError
from shared.limiter.scripts import load_scripts
from tests.integration.limiter.proxy import Proxy
from tests.integration.limiter.workbench import ONE, Bench

REQUESTS = Bucket("requests", 10, 1.0)
TOKENS = Bucket("tokens", 1_000, 10.0)


@pytest.fixture
async def limiter(bench: Bench, proxy: Proxy) -> Limiter:
    for script in astuple(load_scripts()):
        await bench.redis.script_load(script[0])
    return Limiter(proxy.client(), clock=bench.clock, timeout_s=2, most_owed=3)


async def test_lost_reply_is_charged_once(bench: Bench, proxy: Proxy, limiter: Limiter) -> None:
    """The script ran, its answer got lost: the retry gets the reservation, nothing more is taken."""
    lane = await bench.lane(REQUESTS, TOKENS)
    proxy.lose_replies = True
    lost = await limiter.acquire(lane, "a", Cost(1, 300, 0), lease_ttl_s=60)
    assert await bench.level("tokens") == 700

    proxy.lose_replies = False
    await limiter.flush()
    again = await limiter.acquire(lane, "a", Cost(1, 300, 0), lease_ttl_s=60)

    assert isinstance(lost, Denied)
    assert isinstance(again, Reservation)
    assert (await bench.level("requests"), await bench.level("tokens")) == (9, 700)


async def test_down_denies_and_says_when(bench: Bench, proxy: Proxy, limiter: Limiter) -> None:
    """No Redis, no call: everything waits about a second, the read-only question says 0."""
    lane = await bench.lane()
    proxy.down = True

    answers = await asyncio.gather(
        *(limiter.acquire(lane, f"op{n}", ONE, lease_ttl_s=60) for n in range(50))
    )

    waits = {answer.retry_at - now_ms() for answer in answers if isinstance(answer, Denied)}
    assert {answer.bucket for answer in answers if isinstance(answer, Denied)} == {"redis"}
    assert len(waits) > 10
    assert min(waits) > 500
    assert max(waits) <= 1_250
    assert await limiter.headroom(lane, horizon_s=60) == 0
    with pytest.raises(RedisDownError):
        await limiter.restore(lane, ["a"], lease_ttl_s=60)


async def test_settlements_wait_for_redis(bench: Bench, proxy: Proxy, limiter: Limiter) -> None:
    """Settled while Redis is down: kept, sent once and in order when it is back."""
    lane = await bench.lane(REQUESTS, TOKENS)
    first, second, third = [
        await bench.admitted(lane, name, Cost(1, 200, 0)) for name in ("a", "b", "c")
    ]
    proxy.down = True
    await limiter.settle(first, Cost(1, 50, 0), outcome=Outcome.OK)
    await limiter.settle(second, None, outcome=Outcome.FAILED)
    await limiter.release(third)
    assert (await limiter.flush(), limiter.owed) == (3, 3)
    assert await bench.level("tokens") == 400

    proxy.down = False
    async with bench.redis.monitor() as monitor:
        left = await limiter.flush()
        sent = [await _next_settled(monitor, bench.tag) for _ in range(3)]

    assert (left, limiter.owed) == (0, 0)
    assert sent == ["a", "b", "c"]
    assert (await bench.level("requests"), await bench.level("tokens")) == (8, 750)
    assert await bench.leases() == set()
    await limiter.flush()
    assert await bench.level("tokens") == 750


async def _next_settled(monitor: object, tag: str) -> str:
    while True:
        seen = await monitor.next_command()  # type: ignore[attr-defined]
        command = seen["command"]
        if command.startswith("ZREM ") and tag in command:
            return str(command.rsplit(" ", 1)[1])


async def test_lost_reply_to_settlement_refunds_once(
    bench: Bench, proxy: Proxy, limiter: Limiter
) -> None:
    """The settlement ran and its reply got lost: it is sent again and changes nothing."""
    lane = await bench.lane(TOKENS)
    held = await bench.admitted(lane, "a", Cost(1, 800, 0))
    proxy.lose_replies = True
    await limiter.settle(held, Cost(1, 300, 0), outcome=Outcome.OK)
    ran, owed = await bench.level("tokens"), limiter.owed

    proxy.lose_replies = False
    await limiter.flush()

    assert (ran, owed) == (700, 1)
    assert limiter.owed == 0
    assert await bench.level("tokens") == 700


async def test_next_call_brings_what_is_owed(bench: Bench, proxy: Proxy, limiter: Limiter) -> None:
    """Without a flush too: the first call that gets through brings the old ones with it."""
    lane = await bench.lane(TOKENS)
    held = await bench.admitted(lane, "a", Cost(1, 1_000, 0))
    proxy.lose_replies = proxy.down = True
    await limiter.settle(held, Cost(1, 0, 0), outcome=Outcome.OK)
    proxy.lose_replies = proxy.down = False
    limiter._trips._quiet_until = None  # the half second of silence is over

    answer = await limiter.acquire(lane, "b", Cost(1, 900, 0), lease_ttl_s=60)

    assert isinstance(answer, Reservation)
    assert await bench.level("tokens") == 100


async def test_what_is_owed_is_bounded(bench: Bench, proxy: Proxy, limiter: Limiter) -> None:
    """Beyond the bound the oldest is given up, and counted."""
    lane = await bench.lane(TOKENS)
    held = [await bench.admitted(lane, f"op{n}", Cost(1, 10, 0)) for n in range(5)]
    proxy.down = True
    for reservation in held:
        await limiter.settle(reservation, Cost(1, 0, 0), outcome=Outcome.OK)
    owed = limiter.owed

    proxy.down = False
    await limiter.flush()

    assert (owed, limiter.dropped) == (3, 2)
    assert await bench.leases() == {"op0", "op1"}


async def test_silence_is_an_outage(bench: Bench, proxy: Proxy) -> None:
    """A Redis that never answers holds nobody up longer than the limiter's own patience."""
    limiter = Limiter(proxy.client(), clock=bench.clock, timeout_s=0.05)
    lane = await bench.lane()
    await limiter.headroom(lane, horizon_s=0)
    proxy.silent = True

    answer = await limiter.acquire(lane, "a", ONE, lease_ttl_s=60)

    assert isinstance(answer, Denied)
    assert answer.bucket == "redis"


@pytest.mark.parametrize(
    "words",
    [
        b"-READONLY You can't write against a read only replica.",
        b"-OOM command not allowed when used memory > 'maxmemory'.",
        b"-ERR Error running script (call to f_0): @user_script:1: -READONLY You can't write.",
        b"-LOADING Redis is loading the dataset in memory",
        b"-MISCONF Errors writing to the AOF file",
    ],
)
async def test_redis_that_cannot_write_is_an_outage(
    bench: Bench, proxy: Proxy, limiter: Limiter, words: bytes
) -> None:
    """Denied and kept for later, and well again as soon as Redis is."""
    lane = await bench.lane(TOKENS)
    held = await bench.admitted(lane, "a", Cost(1, 600, 0))
    proxy.answer = words + b"\r\n"
    refused = await limiter.acquire(lane, "b", ONE, lease_ttl_s=60)
    await limiter.flush()
    await limiter.settle(held, Cost(1, 0, 0), outcome=Outcome.OK)
    owed = limiter.owed

    proxy.answer = None
    await limiter.flush()

    assert isinstance(refused, Denied)
    assert (refused.bucket, owed, limiter.owed) == ("redis", 1, 0)
    assert await bench.level("tokens") == 1_000


async def test_broken_script_is_not_hidden(bench: Bench, proxy: Proxy, limiter: Limiter) -> None:
    """A mistake of ours is an error, not an outage that lasts for ever."""
    lane = await bench.lane()
    proxy.answer = b"-ERR Error running script: attempt to index a nil value\r\n"

    with pytest.raises(ResponseError, match="nil value"):
        await limiter.acquire(lane, "a", ONE, lease_ttl_s=60)


async def test_flushed_scripts_are_loaded_again(bench: Bench) -> None:
    """After SCRIPT FLUSH every decision still comes, in the middle of a crowd too."""
    lane = await bench.lane(REQUESTS, calls=1_000)
    held = await bench.admitted(lane, "a")
    await bench.redis.script_flush()

    await bench.limiter.settle(held, Cost(0, 0, 0), outcome=Outcome.OK)
    await bench.redis.script_flush()
    answers = await asyncio.gather(*(bench.acquire(lane, f"op{n}") for n in range(20)))

    assert len([answer for answer in answers if isinstance(answer, Reservation)]) == 10
    assert await bench.level("requests") == 0


class _CountingRedis(Redis):
    """Counts the conversations."""

    conversations = 0

    @override
    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        self.conversations += 1
        return super().pipeline(transaction, shard_hint)


async def test_one_tick_is_one_round_trip(bench: Bench, redis_url: str) -> None:
    """A hundred decisions asked for at once are one conversation."""
    lane = await bench.lane(calls=1_000)
    async with _CountingRedis.from_url(redis_url) as client:
        assert isinstance(client, _CountingRedis)
        limiter = Limiter(client, clock=bench.clock)
        await limiter.acquire(lane, "first", ONE, lease_ttl_s=60)
        client.conversations = 0

        await asyncio.gather(
            *(limiter.acquire(lane, f"op{n}", ONE, lease_ttl_s=60) for n in range(100))
        )

        assert client.conversations == 1
    assert len(await bench.leases()) == 101


async def test_caller_that_leaves_holds_nothing(bench: Bench) -> None:
    """A job cancelled between question and answer leaves no slot taken and no token spent."""
    lane = await bench.lane(REQUESTS)
    callers = [asyncio.create_task(bench.acquire(lane, f"op{n}")) for n in range(5)]
    stayed = asyncio.create_task(bench.acquire(lane, "stayed"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for caller in callers:
        caller.cancel()
    await asyncio.wait(callers)
    await stayed
    await bench.limiter.flush()

    assert await bench.leases() == {"stayed"}
    assert await bench.level("requests") == 9


async def test_caller_that_leaves_with_the_answer_holds_nothing(bench: Bench) -> None:
    """Cancelled when the answer has come and before it is read: that is given back too."""
    lane = await bench.lane(REQUESTS)
    leaving: list[asyncio.Task[Reservation | Denied]] = []

    async def first() -> None:
        await bench.admitted(lane, "first")
        leaving[0].cancel()

    ahead = asyncio.create_task(first())
    leaving.append(asyncio.create_task(bench.acquire(lane, "leaving")))
    await asyncio.wait([ahead, leaving[0]])
    await bench.limiter.flush()

    assert leaving[0].cancelled()
    assert await bench.leases() == {"first"}
    assert await bench.level("requests") == 9
