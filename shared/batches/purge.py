"""Purging a batch: its results are gone in one commit, its lines chunk by chunk, its counts never.

What a crash or the clock interrupts, `clear` finishes: the leader of the schedulers sees to it.
"""

import asyncio
from time import monotonic

import structlog

from shared.batches import purge_store
from shared.batches.outputs import unpacked_file_id
from shared.database import Database, Row, chunks
from shared.files import removal
from shared.files.blobs import BlobStore
from shared.jobs import retention_store

log = structlog.get_logger()

LINES_AT_ONCE = 100
FILES_AT_ONCE = 500
PAUSE_S = 0.02
AT_HAND_S = 1.0
"""What a caller waits for at most; the rest goes behind its back."""


async def purge(database: Database, blobs: BlobStore, batch: Row) -> bool:
    """Remove an ended batch's requests, results and output files; its row stays, with its counts.

    From the commit of the mark (`purged_at`) on, nothing of it is to be had. False when the batch
    has not ended (or was opened again) and nothing was done; True also if it was purged before.
    """
    async with database.transaction() as db:
        marked = await purge_store.mark(db, batch["id"], with_files=True)
    if not marked and batch["purged_at"] is None:
        return False
    await clear(database, blobs, batch["id"], within_s=AT_HAND_S)
    return True


async def clear(database: Database, blobs: BlobStore, batch_id: str, *, within_s: float) -> bool:
    """Remove the lines of a marked batch, then the rest; False when the time ran out before."""
    until = monotonic() + within_s
    while await _clear_some(database, blobs, batch_id):
        if monotonic() > until:
            return False
        # Others write too, and SQLite lets in one at a time.
        await asyncio.sleep(PAUSE_S)
    await _forget_unpacked(database, batch_id)
    async with database.transaction() as db:
        inputs = await purge_store.finish(db, batch_id)
    await removal.remove_blobs(blobs, inputs)
    log.info("batch.purged", batch_id=batch_id)
    return True


async def _clear_some(database: Database, blobs: BlobStore, batch_id: str) -> bool:
    async with database.transaction() as db:
        ids = await purge_store.lines(db, batch_id, limit=LINES_AT_ONCE)
        if not ids:
            return False
        removed = await retention_store.remove_lines(db, ids)
    await removal.remove_blobs(blobs, removed.blobs)
    return True


async def _forget_unpacked(database: Database, batch_id: str) -> None:
    """Take the files out of sight that came in the batch's archives."""
    async with database.reading() as db:
        found = await purge_store.archives(db, batch_id)
    for each in found:
        entries = range(1, each["entries"] + 1)
        for some in chunks(entries, FILES_AT_ONCE):
            ids = [
                unpacked_file_id(batch_id, each["made_at"], each["number"], entry) for entry in some
            ]
            async with database.transaction() as db:
                await purge_store.forget_files(db, each["tenant_id"], ids)
            await asyncio.sleep(PAUSE_S)
