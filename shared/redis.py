"""The asyncio Redis client of the limiter and of the notices."""

from typing import Any, Self

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import AbstractBackoff, NoBackoff
from typing_extensions import override


class Losses(AbstractBackoff):
    """Counts the connections that a client lost, also those that it opened again in silence.

    After each Redis may be another one, or set back by a moment. (It is the pause between the
    client's two tries, which is none: nothing else of redis-py is asked at every loss.)
    """

    def __init__(self) -> None:
        self.count = 0

    @override
    def compute(self, failures: int) -> float:
        """Count; the next try comes at once."""
        self.count += 1
        return 0

    def __deepcopy__(self, _memo: dict[int, Any]) -> Self:
        # Each connection of a pool takes a copy, and all have to count here.
        return self


def connect(url: str, *, losses: Losses | None = None) -> Redis:
    """Return a client that fails within seconds rather than hangs; callers decide what to do then."""
    client: Redis = Redis.from_url(
        url,
        socket_connect_timeout=2,
        socket_timeout=10,
        health_check_interval=15,
        max_connections=64,
        retry=Retry(losses or NoBackoff(), 1),
    )
    return client
