"""A yard with batches, over a migrated database of each kind and a real Redis."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared import migrate
from shared.resources import open_resources
from shared.settings import Settings
from tests.integration.batches.yard import Yard, a_yard


@pytest.fixture
async def yard(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Yard]:
    settings = Settings(database_url=database_url, redis_url=redis_url, data_dir=tmp_path)
    async with open_resources(settings) as resources:
        await migrate.upgrade(resources.database)
        async with a_yard(resources) as yard:
            yield yard
