"""A mark in Redis that is gone when Redis lost its data: then leases are rebuilt from the database."""

from redis.asyncio import Redis

MARK = "penstock:limiter:intact"


async def is_intact(client: Redis) -> bool:
    """Tell whether Redis still has what the limiter wrote."""
    return bool(await client.exists(MARK))


async def mark_intact(client: Redis) -> None:
    """Say that the leases of the calls under way are in Redis."""
    await client.set(MARK, 1)
