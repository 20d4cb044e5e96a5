"""Blobs that no row names: written before a crash, or by a worker that had lost its job."""

import re
from collections.abc import AsyncIterator, Sequence
from time import monotonic

import structlog

from shared.clock import now_ms
from shared.database import Database
from shared.files import orphan_store, removal
from shared.files.blobs import BlobStore, StoredBlob

log = structlog.get_logger()

_OURS = re.compile(
    r"(doctor|files|batches|requests|results)/([0-9a-v]{2}/)?"
    r"(blob_|file-|batch_|req_|job_)[0-9a-v]{26}(-[\w-]+|/\d+-\d+)?(\.json)?"
)
"""How every blob is named that is written anywhere here."""


class OrphanSearch:
    """One walk over all blobs, a few pages at a time.

    It removes those that are older than `age_s` and that nothing names. A young one may be about
    to be named. One that is older than the database itself is somebody else's, or the database is
    not the one that it should be. Whatever has another name than ours was put into the bucket by
    somebody else.
    """

    def __init__(self, database: Database, blobs: BlobStore, *, age_s: float) -> None:
        self._database = database
        self._blobs = blobs
        self._age_s = age_s
        self._pages: AsyncIterator[Sequence[StoredBlob]] = blobs.pages()
        self.removed = 0

    async def go_on(self, *, within_s: float) -> bool:
        """Walk on for so long; tell whether the walk is over.

        Raises:
            OSError: the store does not answer; begin another search later.
        """
        until = monotonic() + within_s
        async with self._database.reading() as db:
            born_at = await orphan_store.born_at(db)
        if born_at is None:
            return True
        async for page in self._pages:
            before = now_ms() - round(self._age_s * 1000)
            old = [
                each.key
                for each in page
                if born_at < each.written_at < before and _OURS.fullmatch(each.key)
            ]
            if old:
                await self._remove(old)
            if monotonic() > until:
                return False
        self.removed += await self._blobs.remove_unfinished(older_than_s=self._age_s)
        log.info("files.orphans_sought", removed=self.removed)
        return True

    async def _remove(self, keys: Sequence[str]) -> None:
        async with self._database.reading() as db:
            named = await orphan_store.named(db, keys)
        orphans = [key for key in keys if key not in named]
        await removal.remove_blobs(self._blobs, orphans)
        self.removed += len(orphans)
