"""A limiter with a clock that the test moves, and a lane of its own for each test."""

import uuid
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from shared.limiter.limiter import Limiter
from tests.integration.limiter.proxy import Proxy
from tests.integration.limiter.workbench import Bench, Clock


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_url, decode_responses=True)
    yield client
    await client.aclose()


@pytest.fixture
def bench(redis: Redis) -> Bench:
    clock = Clock()
    return Bench(redis, clock, Limiter(redis, clock=clock), f"test:{uuid.uuid4().hex}")


@pytest.fixture
async def proxy(redis_url: str) -> AsyncIterator[Proxy]:
    async with Proxy(redis_url) as running:
        yield running
