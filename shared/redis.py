"""The asyncio Redis client of the limiter and of the notices."""

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff


def connect(url: str) -> Redis:
    """Return a client that fails within seconds rather than hangs; callers decide what to do then."""
    client: Redis = Redis.from_url(
        url,
        socket_connect_timeout=2,
        socket_timeout=10,
        health_check_interval=15,
        max_connections=64,
        retry=Retry(NoBackoff(), 1),
    )
    return client
