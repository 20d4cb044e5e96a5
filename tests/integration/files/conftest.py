"""Both kinds of blob store, and a database with the table of files."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from obstore.store import MemoryStore
from sqlmodel import SQLModel

from shared.batches.model import Batch, BatchInput
from shared.database import Database
from shared.files.blobs import BlobStore
from shared.files.model import StoredFile


@pytest.fixture(params=["local", "remote"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    """A store on the disk, and one that is not: obstore's memory stands for S3."""
    root = tmp_path / "data" / "blobs"
    return BlobStore(root) if request.param == "local" else BlobStore(root, store=MemoryStore())


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    named = (StoredFile, Batch, BatchInput)
    tables = [SQLModel.metadata.tables[str(each.__tablename__)] for each in named]
    async with database.transaction() as db:
        await db.run_sync(SQLModel.metadata.create_all, tables=tables)
    yield database
    await database.close()
