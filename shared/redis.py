"""The asyncio Redis client of the limiter and of the notices."""

from collections.abc import Iterable
from typing import Any, Self, cast

import hiredis
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
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


class _Spelling:
    """A connection that has its commands spelled in C, as its replies are read: a third of the cost."""

    def pack_commands(self, commands: Iterable[Iterable[Any]]) -> list[bytes]:
        """Return all the commands as one piece of what is sent."""
        spelled = [tuple(command) for command in commands]
        if any(" " in str(command[0]) for command in spelled):
            # Two words that Redis takes as two arguments: the library knows how.
            return cast("list[bytes]", super().pack_commands(spelled))  # type: ignore[misc]
        return [b"".join(map(hiredis.pack_command, spelled))]


def connect(url: str, *, losses: Losses | None = None, patience_s: float | None = 10) -> Redis:
    """Return a client that fails within seconds rather than hangs; callers decide what to do then.

    `patience_s` is for every single reply; None is for who limits the whole exchange himself, and
    saves a timer for each.
    """
    client: Redis = Redis.from_url(
        url,
        socket_connect_timeout=2,
        socket_timeout=patience_s,
        health_check_interval=15,
        max_connections=64,
        retry=Retry(losses or NoBackoff(), 1),
    )
    pool = client.connection_pool
    # TCP, TLS or a Unix socket: the URL decided which.
    kind: type[AbstractConnection] = pool.connection_class
    pool.connection_class = type(f"Spelling{kind.__name__}", (_Spelling, kind), {})
    return client
