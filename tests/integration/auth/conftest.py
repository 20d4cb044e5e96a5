"""A fresh database with the tables of this slice."""

from collections.abc import AsyncIterator

import pytest
from sqlmodel import SQLModel

from shared.auth.model import ApiKey, Tenant
from shared.database import Database


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    tables = [SQLModel.metadata.tables[str(each.__tablename__)] for each in (Tenant, ApiKey)]
    async with database.transaction() as db:
        await db.run_sync(SQLModel.metadata.create_all, tables=tables)
    yield database
    await database.close()
