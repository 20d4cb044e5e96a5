"""What a worker process opens beyond the shared resources: limiter, providers, extractor, journal."""

import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from shared import redis
from shared.database import Database
from shared.documents import tessdata
from shared.documents.extract import Extractor
from shared.documents.extraction import Limits
from shared.errors import NotFound
from shared.events.deltas import DeltaLog
from shared.files.blobs import BlobStore
from shared.inference.usage import Usage
from shared.jobs import timer_store
from shared.ledger.prices import price_of
from shared.limiter.buckets import Lane
from shared.limiter.limiter import Limiter
from shared.limiter.tokens import TokenCounter
from shared.resources import Resources, open_resources
from shared.routing.breaker import Breakers
from shared.routing.catalog import Catalog
from shared.routing.model import Route, Target, targets
from shared.settings import Settings
from shared.telemetry.metrics import WorkerMetrics
from workers.attempt.deltas import DeltaWriter
from workers.attempt.loads import LaneLoads
from workers.attempt.retry import Backoff
from workers.attempt.slots import Slots
from workers.journal import Journal
from workers.provider_pool import ProviderPool

CHARS_PER_TOKEN = 3


@dataclass(frozen=True, slots=True)
class WorkerResources:
    """One per worker process; `owner` names this boot of it and no other."""

    shared: Resources
    owner: str
    limiter: Limiter
    slots: Slots
    breakers: Breakers
    loads: LaneLoads
    tokens: TokenCounter
    providers: ProviderPool
    extractor: Extractor
    journal: Journal
    deltas: DeltaWriter
    backoff: Backoff
    metrics: WorkerMetrics

    @property
    def settings(self) -> Settings:
        """The settings that the process was started with."""
        return self.shared.settings

    @property
    def database(self) -> Database:
        """The truth."""
        return self.shared.database

    @property
    def blobs(self) -> BlobStore:
        """Where large bodies and files lie."""
        return self.shared.blobs

    @property
    def catalog(self) -> Catalog:
        """Where models can be had."""
        return self.shared.catalog

    async def route(self, model: str) -> Route:
        """Return the route of a model, also of one that the API has known for a moment longer.

        Raises:
            NotFound: nothing serves it.
        """
        try:
            return self.catalog.resolve(model)
        except NotFound:
            await self.shared.watch.look_again()
            return self.catalog.resolve(model)

    def cost_of(self, target: Target, usage: Usage) -> int | None:
        """Return what a call cost, in nano-dollars; None where no price is known."""
        deployment = target.deployment
        return price_of(deployment.provider, deployment.model, usage, own=deployment.price)

    def sees(self, model: str) -> bool:
        """Tell whether a model reads pictures, wherever it may be called."""
        return all(each.deployment.vision for each in targets(self.catalog.resolve(model)))

    def context_chars(self, model: str) -> int:
        """Return how much text a document may have for a model, in characters."""
        most = self.settings.max_document_chars
        windows = [each.deployment.context_tokens for each in targets(self.catalog.resolve(model))]
        known = [window * CHARS_PER_TOKEN for window in windows if window is not None]
        return min([most, *known])


@asynccontextmanager
async def open_worker_resources(settings: Settings) -> AsyncIterator[WorkerResources]:
    """Open everything; on leaving, write what the journal still holds before the rest closes."""
    owner = f"worker-{uuid.uuid4().hex}"
    async with open_resources(settings) as shared:
        metrics = WorkerMetrics()
        journal = Journal(
            shared.database, shared.announcer, owner=owner, metrics=metrics, bell=shared.bell
        )
        providers = ProviderPool(settings)
        found = tessdata.find(settings.tessdata_dir)
        extractor = Extractor(
            limits=Limits(
                timeout_s=settings.extraction_timeout_s,
                memory_bytes=settings.extraction_memory_bytes,
                max_input_bytes=settings.max_document_bytes,
                tessdata="" if found is None else str(found.folder),
                languages=() if found is None else found.languages,
                max_images=settings.max_document_images,
            ),
            children=settings.extraction_children,
        )
        for target in shared.catalog.lanes().values():
            # A deployment that cannot be called as it is written is told now, not on a job.
            providers.get(target)
        await shared.watch.start()
        deltas = DeltaWriter(DeltaLog(shared.redis, ttl_s=settings.deltas_kept_s))
        deltas.start()
        losses = redis.Losses()
        connection = redis.connect(settings.redis_url, losses=losses, patience_s=None)
        breakers = Breakers(shared.redis, told=partial(_count_change, metrics, shared.catalog))
        await breakers.start()
        slots, tokens = Slots(), TokenCounter(settings.tiktoken_cache_dir)
        await tokens.load()
        limiter = Limiter(
            connection,
            under_way=partial(_calls_under_way, shared.database),
            losses=lambda: losses.count,
            freed=slots.freed,
        )
        try:
            yield WorkerResources(
                shared=shared,
                owner=owner,
                limiter=limiter,
                slots=slots,
                breakers=breakers,
                loads=LaneLoads(),
                tokens=tokens,
                providers=providers,
                extractor=extractor,
                journal=journal,
                deltas=deltas,
                backoff=Backoff(settings.backoff_base_s, settings.backoff_cap_s),
                metrics=metrics,
            )
        finally:
            await journal.close()
            await deltas.close()
            await breakers.close()
            await limiter.flush()
            await connection.aclose()
            await extractor.aclose()
            await providers.aclose()


def _count_change(metrics: WorkerMetrics, catalog: Catalog, name: str, state: str) -> None:
    configured = any(each.deployment.name == name for each in catalog.lanes().values())
    # What a client named by itself must not become a series.
    metrics.breaker_changed(name if configured else f"{name.partition('/')[0]}/*", state)


async def _calls_under_way(database: Database, lane: Lane) -> Sequence[str]:
    async with database.reading() as db:
        lanes = await timer_store.calls_under_way(db)
    return lanes.get(lane.key, [])
