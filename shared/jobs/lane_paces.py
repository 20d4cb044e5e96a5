"""How fast each lane's jobs end: told by the dispatcher, read by whoever says when a job's turn comes."""

from collections.abc import Mapping

import orjson
import redis
import structlog
from redis.asyncio import Redis

log = structlog.get_logger()

KEY = "penstock:paces"
KEPT_S = 15


async def tell(client: Redis, paces: Mapping[str, float]) -> None:
    """Say how many jobs a second end in each lane, best effort."""
    try:
        await client.set(KEY, orjson.dumps(dict(paces)), ex=KEPT_S)
    except (redis.RedisError, OSError) as error:
        log.debug("paces.not_told", error=str(error))


async def read(client: Redis) -> Mapping[str, float]:
    """Return what was last told; nothing when that is long ago or Redis is away."""
    try:
        told = await client.get(KEY)
    except (redis.RedisError, OSError) as error:
        log.debug("paces.not_read", error=str(error))
        return {}
    return {} if told is None else orjson.loads(told)
