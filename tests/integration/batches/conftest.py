"""A yard with batches, over a migrated database of each kind and a real Redis."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared import migrate
from shared.limiter.limiter import Limiter
from shared.resources import open_resources
from shared.settings import Settings
from shared.telemetry.metrics import SchedulerMetrics
from tests.integration.batches.yard import Yard
from workers.batches.compose import Composer
from workers.batches.lifecycle import Lifecycle
from workers.journal import Journal
from workers.scheduler.duties import Desk


@pytest.fixture
async def yard(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Yard]:
    settings = Settings(database_url=database_url, redis_url=redis_url, data_dir=tmp_path)
    async with open_resources(settings) as resources:
        await migrate.upgrade(resources.database)
        metrics = SchedulerMetrics()
        composer = Composer(resources)
        desk = Desk(resources, Limiter(resources.redis), metrics)
        journal = Journal(resources.database, resources.announcer, owner="w")
        yield Yard(resources, Lifecycle(resources, metrics), composer, desk, journal)
        await journal.close()
        await composer.aclose()
