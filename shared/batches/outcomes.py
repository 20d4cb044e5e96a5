"""Reading the ended lines of a batch, however many: page by page, nothing held between the pages."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from time import perf_counter

from shared.batches import results_store
from shared.batches.results_store import Which
from shared.database import Database, Row
from shared.errors import Gone
from shared.files.blobs import BlobStore

LINES_AT_ONCE = 250
BREATH_S = 0.005
LARGE_BYTES = 256 * 1024
Render = Callable[[Row, bytes | None], bytes]


class Outcomes:
    """What ended of a batch up to a moment, as `render` spells it.

    `until` is the last outcome number that is read. `lines` counts what was read so far.
    """

    def __init__(
        self, database: Database, blobs: BlobStore, batch_id: str, render: Render, *, until: int
    ) -> None:
        self.lines = 0
        self._database = database
        self._blobs = blobs
        self._batch_id = batch_id
        self._render = render
        self._until = until

    async def read(
        self, which: Which = Which.ALL, *, after: int = 0, limit: int | None = None
    ) -> AsyncIterator[bytes]:
        """Yield whole lines, many in a piece; `limit` is how many at most."""
        rest = self._until if limit is None else limit
        while rows := await self._page(which, after, min(rest, LINES_AT_ONCE)):
            async for piece in self._spell(rows):
                yield piece
            self.lines += len(rows)
            rest -= len(rows)
            after = rows[-1]["outcome_number"]

    async def read_in_order(self) -> AsyncIterator[bytes]:
        """Yield whole lines as `read` does, but in their own order.

        Raises:
            Gone: they were removed meanwhile. What came so far is no part of anything: its reader
                finds the answer to each request by counting.
        """
        async with self._database.reading() as db:
            numbers = await results_store.numbers_in_order(db, self._batch_id, until=self._until)
        for begin in range(0, len(numbers), LINES_AT_ONCE):
            some = numbers[begin : begin + LINES_AT_ONCE]
            async with self._database.reading() as db:
                rows = await results_store.chosen(db, self._batch_id, some)
            if len(rows) != len(some):
                detail = "The results of this batch were removed while they were read."
                raise Gone(detail, code="batch_purged")
            async for piece in self._spell(rows):
                yield piece
            self.lines += len(rows)

    async def _page(self, which: Which, after: int, limit: int) -> Sequence[Row]:
        if limit <= 0 or after >= self._until:
            return ()
        async with self._database.reading() as db:
            return await results_store.page(
                db, self._batch_id, which, after=after, until=self._until, limit=limit
            )

    async def _spell(self, rows: Sequence[Row]) -> AsyncIterator[bytes]:
        # Others of this process want their turn: a page may be megabytes.
        lines: list[bytes] = []
        began = perf_counter()
        for row in rows:
            body = row["body"] if row["blob"] is None else await self._fetch(row["blob"])
            if body is not None and len(body) > LARGE_BYTES:
                lines.append(await asyncio.to_thread(self._render, row, body))
            else:
                lines.append(self._render(row, body))
            if perf_counter() - began > BREATH_S or len(lines[-1]) > LARGE_BYTES:
                yield b"".join(lines)
                lines.clear()
                await asyncio.sleep(0)
                began = perf_counter()
        if lines:
            yield b"".join(lines)

    async def _fetch(self, key: str) -> bytes | None:
        try:
            return await self._blobs.get(key)
        except FileNotFoundError:
            return None
