"""Removing files: out of sight in one commit, then the bytes, then the row.

The bytes that a batch still reads its lines from stay until it has read them.
"""

import asyncio
from collections.abc import Sequence

import structlog

from shared.database import Database, chunks
from shared.files import store
from shared.files.blobs import BlobStore

log = structlog.get_logger()

BLOBS_AT_ONCE = 16


async def remove(database: Database, blobs: BlobStore, *, tenant_id: str, file_id: str) -> bool:
    """Delete a file; False when the tenant has no such file.

    A crash on the way leaves a marked row, which `sweep` finishes off.
    """
    async with database.transaction() as db:
        blob = await store.mark_deleted(db, tenant_id, file_id)
    if blob is None:
        return False
    # Only now: a batch that names the file either came before, or finds none any more.
    async with database.reading() as db:
        if await store.is_being_read(db, blob):
            return True
    try:
        await blobs.delete(blob)
    except OSError as error:
        log.warning("files.blob_not_removed", file_id=file_id, error=str(error))
        return True
    async with database.transaction() as db:
        await store.forget(db, [file_id])
    return True


async def sweep(database: Database, blobs: BlobStore, *, limit: int = 500) -> int:
    """Remove the bytes and rows of expired files and of half-done deletions; return how many."""
    async with database.reading() as db:
        files = await store.doomed(db, limit=limit)
    gone = []
    for file in files:
        try:
            await blobs.delete(file.blob)
        except OSError as error:
            log.warning("files.blob_not_removed", file_id=file.id, error=str(error))
            continue
        gone.append(file.id)
    if gone:
        async with database.transaction() as db:
            await store.forget(db, gone)
    return len(gone)


async def remove_blobs(blobs: BlobStore, keys: Sequence[str]) -> None:
    """Delete blobs that no row names any more; one that cannot be is left to the search for orphans."""
    for some in chunks(keys, BLOBS_AT_ONCE):
        await asyncio.gather(*(_remove_blob(blobs, key) for key in some))


async def _remove_blob(blobs: BlobStore, key: str) -> None:
    try:
        await blobs.delete(key)
    except OSError as error:
        log.warning("files.blob_not_removed", blob=key, error=str(error))
