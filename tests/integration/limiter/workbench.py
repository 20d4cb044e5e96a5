"""What the limiter's tests work at: a clock that they move, a lane, and a look into its books."""

from dataclasses import dataclass

from redis.asyncio import Redis

from shared.limiter.buckets import MICRO, Bucket, Cost, Lane
from shared.limiter.limiter import Denied, Limiter, Reservation

ONE = Cost(1, 0, 0)


@dataclass
class Clock:
    """A clock in µs that stands until it is moved."""

    now: int = 1_800_000_000 * MICRO

    def __call__(self) -> int:
        return self.now

    def move(self, seconds: float) -> None:
        """Move on by so many seconds, or back."""
        self.now += round(seconds * MICRO)

    def after(self, seconds: float) -> int:
        """Return a time that far from now, as `retry_at` tells it (ms)."""
        return self.now // 1000 + round(seconds * 1000)


@dataclass
class Bench:
    """A limiter with a movable clock, and the key of a lane that no other test uses."""

    redis: Redis
    clock: Clock
    limiter: Limiter
    key: str

    @property
    def tag(self) -> str:
        """What every Redis key of the lane starts with."""
        return f"{{rl:{self.key}}}"

    async def lane(self, *buckets: Bucket, calls: int = 100) -> Lane:
        """Open a lane and wait until its buckets are full."""
        lane = Lane(self.key, buckets, calls)
        await self.limiter.headroom(lane, horizon_s=0)
        slowest = max((bucket.capacity / bucket.per_second for bucket in buckets), default=0)
        self.clock.move(slowest + 1)
        return lane

    async def acquire(
        self, lane: Lane, op_id: str, cost: Cost = ONE, *, ttl_s: float = 60
    ) -> Reservation | Denied:
        """Ask for a reservation."""
        return await self.limiter.acquire(lane, op_id, cost, lease_ttl_s=ttl_s)

    async def admitted(
        self, lane: Lane, op_id: str, cost: Cost = ONE, *, ttl_s: float = 60
    ) -> Reservation:
        """Ask for a reservation that must be given."""
        answer = await self.acquire(lane, op_id, cost, ttl_s=ttl_s)
        assert isinstance(answer, Reservation), answer
        return answer

    async def denied(self, lane: Lane, op_id: str, cost: Cost = ONE) -> Denied:
        """Ask for a reservation that must be refused."""
        answer = await self.acquire(lane, op_id, cost)
        assert isinstance(answer, Denied), answer
        return answer

    async def level(self, field: str) -> float:
        """Read a bucket's level (units) as it was last written."""
        return int(await self.redis.hget(f"{self.tag}:lane", field) or 0) / MICRO

    async def leases(self) -> set[str]:
        """Read which operations have a lease, run out or not."""
        return {str(op_id) for op_id in await self.redis.zrange(f"{self.tag}:leases", 0, -1)}

    async def everything(self) -> dict[str, object]:
        """Read all that Redis knows of the lane."""
        found: dict[str, object] = {}
        async for key in self.redis.scan_iter(match=f"{self.tag}*"):
            kind = await self.redis.type(key)
            if kind == "hash":
                found[key] = await self.redis.hgetall(key)
            elif kind == "zset":
                found[key] = await self.redis.zrange(key, 0, -1, withscores=True)
            else:
                found[key] = await self.redis.get(key)
        return found

    async def lose_data(self) -> None:
        """Forget the lane, as Redis does when it restarts without its file."""
        keys = [key async for key in self.redis.scan_iter(match=f"{self.tag}*")]
        if keys:
            await self.redis.delete(*keys)
