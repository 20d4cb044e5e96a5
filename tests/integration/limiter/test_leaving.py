"""Who leaves between its question and the answer, in the narrowest of moments."""

import asyncio
from typing import Any

from redis.asyncio import Redis
from typing_extensions import override

from shared.limiter.buckets import Bucket
from shared.limiter.limiter import Denied, Limiter, Reservation
from tests.integration.limiter.workbench import ONE, Bench

REQUESTS = Bucket("requests", 10, 1.0)


class _LeavingRedis(Redis):
    leaving: "asyncio.Task[Reservation | Denied] | None" = None

    @override
    async def execute_command(self, *args: Any, **options: Any) -> Any:
        reply = await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        if self.leaving is not None:
            self.leaving.cancel()
        return reply


async def test_caller_that_leaves_as_the_answer_comes_holds_nothing(
    bench: Bench, redis_url: str
) -> None:
    """Cancelled, but not yet aware of it, when the answer is handed out: given back as well."""
    lane = await bench.lane(REQUESTS)
    async with _LeavingRedis.from_url(redis_url) as client:
        assert isinstance(client, _LeavingRedis)
        limiter = Limiter(client, clock=bench.clock)
        await limiter.acquire(lane, "first", ONE, lease_ttl_s=60)
        leaving = asyncio.create_task(limiter.acquire(lane, "leaving", ONE, lease_ttl_s=60))
        client.leaving = leaving
        await asyncio.wait([leaving])
        client.leaving = None
        await limiter.flush()

        assert leaving.cancelled()
    assert await bench.leases() == {"first"}
    assert await bench.level("requests") == 9
