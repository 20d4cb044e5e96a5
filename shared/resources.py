"""What every process opens once and passes on: database, Redis, broker, blobs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis

from shared import crypto
from shared import redis as redis_client
from shared.auth.standings import Standings
from shared.batches import tally
from shared.database import Database
from shared.enqueue import Enqueuer
from shared.files.blobs import BlobStore
from shared.files.opening import open_blobs
from shared.garbage import collect_less_often
from shared.jobs.announcer import Announcer
from shared.jobs.bell import Bell
from shared.ledger.prices import published_price
from shared.publisher import Publisher
from shared.routing.catalog import Catalog, catalog_of
from shared.routing.file import read_file
from shared.routing.model import Price
from shared.routing.watch import CatalogWatch
from shared.settings import Settings


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
    watch: CatalogWatch
    standings: Standings
    secret_key: bytes


@asynccontextmanager
async def open_resources(settings: Settings) -> AsyncIterator[Resources]:
    """Open all of it; nothing here needs the database or Redis to be up.

    Whoever wants to follow the operator's changes starts `watch`; it is closed here.

    Raises:
        ConfigError: the configuration is wrong.
    """
    catalog = open_catalog(settings)
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    own_key = secret_key(settings)
    database = Database(settings.database_url)
    redis = redis_client.connect(settings.redis_url)
    enqueuer = Enqueuer(settings.redis_url)
    publisher = Publisher(database, enqueuer)
    publisher.start()
    announcer = Announcer(redis, publisher, count=tally.end_lines)
    bell = Bell(redis)
    watch = CatalogWatch(
        catalog, database, path=settings.config, secret_key=own_key, published=_published
    )
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
            catalog=catalog,
            watch=watch,
            standings=Standings(database),
            secret_key=own_key,
        )
    finally:
        await watch.close()
        await bell.close()
        await announcer.close()
        await publisher.close()
        await enqueuer.close()
        await redis.aclose()
        await database.close()


def open_catalog(settings: Settings) -> Catalog:
    """Read the operator's file.

    Raises:
        ConfigError: it is wrong; the message names the line and the field.
        OSError: it cannot be read.
    """
    text = read_file(settings.config)
    return catalog_of(text, settings.provider_keys, published=_published)


def _published(provider: str, model: str) -> Price | None:
    prices = published_price(provider, model)
    return None if prices is None else Price(*prices)


def secret_key(settings: Settings) -> bytes:
    """Return the server's key: the setting, or one kept in the data folder."""
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value().encode()
    return crypto.load_or_create_secret(settings.data_dir / "secret.key")
