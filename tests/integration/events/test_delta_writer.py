"""The writer of deltas before a Redis that goes away and comes back."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis

from shared.events.deltas import DeltaLog
from tests.integration.limiter.proxy import Proxy
from tests.integration.workers.conftest import until
from workers.attempt import deltas as module
from workers.attempt.deltas import DeltaWriter, JobDeltas


@pytest.fixture
async def proxy(redis_url: str) -> AsyncIterator[Proxy]:
    async with Proxy(redis_url) as proxy:
        yield proxy


@pytest.fixture
async def log(redis_url: str) -> AsyncIterator[DeltaLog]:
    client: Redis = Redis.from_url(redis_url)
    yield DeltaLog(client)
    await client.aclose()


@pytest.fixture
async def writer(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DeltaWriter]:
    monkeypatch.setattr(module, "RETRY_S", 0.02)
    writer = DeltaWriter(DeltaLog(proxy.client()))
    writer.start()
    yield writer
    await writer.close()


def chunk(number: int) -> dict[str, Any]:
    return {"n": number, "choices": [{"index": 0, "delta": {"content": f"wörd {number}"}}]}


async def said(log: DeltaLog, job_id: str, version: int = 2) -> list[int]:
    deltas = [each for each in await log.after(job_id, 0, 0) if each.version == version]
    assert [delta.number for delta in deltas] == list(range(1, len(deltas) + 1))
    return [each["n"] for delta in deltas for each in orjson.loads(delta.chunks)]


async def speak(job: JobDeltas, numbers: range) -> None:
    for number in numbers:
        job.add(chunk(number), at_once=number == 1)
        await asyncio.sleep(0.001)


async def test_a_redis_that_goes_and_comes_leaves_no_gap(
    writer: DeltaWriter, log: DeltaLog, proxy: Proxy
) -> None:
    jobs = [writer.of(f"job_{number}", 2) for number in range(5)]
    await asyncio.gather(*(speak(job, range(1, 60)) for job in jobs))
    proxy.down = True
    await asyncio.gather(*(speak(job, range(60, 120)) for job in jobs))
    assert 60 not in await said(log, "job_0")
    proxy.down = False
    await asyncio.gather(*(speak(job, range(120, 150)) for job in jobs))
    for job in jobs:
        job.flush(last=True)
    await asyncio.gather(*(job.written() for job in jobs))

    for number in range(5):
        assert await said(log, f"job_{number}") == list(range(1, 150))
        assert (await log.after(f"job_{number}", 0, 0))[-1].last


async def test_an_answer_that_is_lost_writes_nothing_twice(
    writer: DeltaWriter, log: DeltaLog, proxy: Proxy
) -> None:
    job = writer.of("job_a", 2)
    await speak(job, range(1, 10))
    await job.written()

    async def written() -> bool:
        return 10 in await said(log, "job_a")

    proxy.lose_replies = True
    await speak(job, range(10, 20))
    await until(written)  # though the writer does not hear of it
    proxy.lose_replies = False
    await speak(job, range(20, 30))
    job.flush(last=True)
    await job.written()

    assert await said(log, "job_a") == list(range(1, 30))


async def test_a_late_writer_stays_silent_and_the_others_go_on(
    writer: DeltaWriter, log: DeltaLog
) -> None:
    late, newer, other = writer.of("job_a", 2), writer.of("job_a", 4), writer.of("job_b", 2)
    await speak(late, range(1, 5))
    await late.written()
    await speak(newer, range(1, 5))
    await newer.written()

    await asyncio.gather(
        speak(late, range(5, 20)), speak(newer, range(5, 20)), speak(other, range(1, 20))
    )
    await asyncio.gather(late.written(), newer.written(), other.written())

    assert await said(log, "job_a") == list(range(1, 5))
    assert await said(log, "job_a", version=4) == list(range(1, 20))
    assert await said(log, "job_b") == list(range(1, 20))
    assert writer.held_bytes == 0
