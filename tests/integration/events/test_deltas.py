"""The log of what streaming jobs said, on a real Redis."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
import redis as redis_errors
from redis.asyncio import Redis

from shared.events.deltas import Delta, DeltaLog, channel_of, parse

JOB, OTHER = "job_one", "job_two"


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client: Redis = Redis.from_url(redis_url)
    yield client
    await client.aclose()


def entry(number: int, *, job: str = JOB, version: int = 3, last: bool = False) -> Delta:
    return Delta(job, version, number, b'[{"n":%d,"text":"\xc3\xa4 b"}]' % number, last)


async def test_entries_come_back_in_order_from_behind_a_place(redis: Redis) -> None:
    log = DeltaLog(redis)
    await log.append([entry(1), entry(2)])
    await log.append([entry(3, last=True)])

    everything = await log.after(JOB, 0, 0)

    assert everything == [entry(1), entry(2), entry(3, last=True)]
    assert await log.after(JOB, 3, 2) == [entry(3, last=True)]
    assert await log.after(JOB, 3, 3) == []
    assert await log.after(OTHER, 0, 0) == []


async def test_names_of_what_was_dropped_come_back_as_they_were(redis: Redis) -> None:
    log = DeltaLog(redis)
    names = ("temperature>1", "a b,c%", "\u00e4")
    said = Delta(JOB, 3, 1, b"[ 1 ]", last=True, dropped=names)
    async with redis.pubsub() as heard:
        await heard.subscribe(channel_of(JOB))
        await heard.get_message(timeout=5)

        await log.append([said])

        assert await log.after(JOB, 0, 0) == [said]
        message = await heard.get_message(timeout=5)
    assert message is not None
    assert parse(JOB, message["data"]) == said


async def test_a_reader_gets_a_thousand_at_a_time(redis: Redis) -> None:
    log = DeltaLog(redis)
    await log.append([entry(number) for number in range(1, 1502)])

    first = await log.after(JOB, 3, 0)
    second = await log.after(JOB, 3, first[-1].number)

    assert [delta.number for delta in first + second] == list(range(1, 1502))
    assert len(first) == 1000


async def test_a_late_writer_is_dropped_and_holds_up_nobody(redis: Redis) -> None:
    log = DeltaLog(redis)
    await log.append([entry(1, version=5)])

    await log.append([entry(7, version=3), entry(1, job=OTHER), entry(2, version=5)])

    assert await log.after(JOB, 0, 0) == [entry(1, version=5), entry(2, version=5)]
    assert await log.after(OTHER, 0, 0) == [entry(1, job=OTHER)]


async def test_whoever_listens_hears_each_entry_once(redis: Redis) -> None:
    log = DeltaLog(redis)
    heard: list[Delta] = []
    async with redis.pubsub(ignore_subscribe_messages=True) as pubsub:
        await pubsub.subscribe(channel_of(JOB))
        await log.append([entry(1, version=5)])
        # A repetition, a late writer, somebody else's: none of them is told.
        await log.append([entry(1, version=5), entry(9, version=3), entry(2, job=OTHER)])
        await log.append([entry(2, version=5, last=True)])
        async with asyncio.timeout(5):
            while len(heard) < 2:
                message = await pubsub.get_message(timeout=1)
                if message is not None:
                    heard.append(parse(JOB, message["data"]))
        silence = await pubsub.get_message(timeout=0.05)

    assert heard == [entry(1, version=5), entry(2, version=5, last=True)]
    assert silence is None


async def test_a_log_is_trimmed_and_goes_away(redis: Redis) -> None:
    log = DeltaLog(redis, ttl_s=600, most=100)
    await log.append([entry(number) for number in range(1, 1001)])

    kept = [delta.number for delta in await log.after(JOB, 0, 0)]

    # Redis trims by whole nodes, so a little more than asked for may stay.
    assert 100 <= len(kept) <= 300
    assert kept[-1] == 1000
    assert all(later == earlier + 1 for earlier, later in pairwise(kept))
    assert 590_000 < await redis.pttl(channel_of(JOB)) <= 600_000


async def test_a_key_that_is_no_stream_holds_up_nobody(redis: Redis) -> None:
    await redis.set(channel_of(JOB), "something else")
    log = DeltaLog(redis)

    await log.append([entry(1), entry(1, job=OTHER)])

    assert await log.after(OTHER, 0, 0) == [entry(1, job=OTHER)]


async def test_a_redis_that_takes_no_writes_is_an_error(redis: Redis) -> None:
    await redis.config_set("maxmemory", "1")
    try:
        with pytest.raises(redis_errors.RedisError):
            await DeltaLog(redis).append([entry(1)])
    finally:
        await redis.config_set("maxmemory", "0")


async def test_a_redis_that_lost_its_scripts_is_taught_again(redis: Redis) -> None:
    log = DeltaLog(redis)
    await log.append([entry(1)])
    await redis.script_flush()

    await log.append([entry(2)])

    assert [delta.number for delta in await log.after(JOB, 3, 0)] == [1, 2]


async def test_one_round_trip_serves_many_jobs(redis: Redis) -> None:
    log = DeltaLog(redis)
    await log.append([entry(1, job="job_first")])
    before = await redis.info("commandstats")

    await log.append([entry(1, job=f"job_{number}") for number in range(200)])

    after = await redis.info("commandstats")
    assert after["cmdstat_evalsha"]["calls"] - before["cmdstat_evalsha"]["calls"] == 1
    assert await log.after("job_199", 0, 0) == [entry(1, job="job_199")]
