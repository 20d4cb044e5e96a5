"""What every process opens once and passes on: database, Redis, broker, blobs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis

from shared import crypto
from shared import redis as redis_client
from shared.batches import tally
from shared.database import Database
from shared.enqueue import Enqueuer
from shared.files.blobs import BlobStore
from shared.files.opening import open_blobs
from shared.garbage import collect_less_often
from shared.jobs.announcer import Announcer
from shared.jobs.bell import Bell
from shared.publisher import Publisher
from shared.routing.catalog import Catalog, load_catalog
from shared.settings import Settings, read_config_file


@dataclass(frozen=True, slots=True)
class Resources:
    """Opened by `open_resources`, closed in reverse order."""

    settings: Settings
    database: Database
    redis: Redis
    enqueuer: Enqueuer
    publisher: Publisher
    announcer: Announcer
    bell: Bell
    blobs: BlobStore
    catalog: Catalog
    secret_key: bytes


@asynccontextmanager
async def open_resources(settings: Settings) -> AsyncIterator[Resources]:
    """Open all of it; nothing here needs the database or Redis to be up."""
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(settings.database_url)
    redis = redis_client.connect(settings.redis_url)
    enqueuer = Enqueuer(settings.redis_url)
    publisher = Publisher(database, enqueuer)
    publisher.start()
    announcer = Announcer(redis, publisher, count=tally.end_lines)
    bell = Bell(redis)
    collect_less_often()
    try:
        yield Resources(
            settings=settings,
            database=database,
            redis=redis,
            enqueuer=enqueuer,
            publisher=publisher,
            announcer=announcer,
            bell=bell,
            blobs=open_blobs(settings),
            catalog=load_catalog(read_config_file(settings.config), settings.provider_keys),
            secret_key=secret_key(settings),
        )
    finally:
        await bell.close()
        await announcer.close()
        await publisher.close()
        await enqueuer.close()
        await redis.aclose()
        await database.close()


def secret_key(settings: Settings) -> bytes:
    """Return the server's key: the setting, or one kept in the data folder."""
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value().encode()
    return crypto.load_or_create_secret(settings.data_dir / "secret.key")
