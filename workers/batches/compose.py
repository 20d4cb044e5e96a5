"""Ending batches: their files are composed by streaming, then rows, state and event commit as one.

A crash on the way leaves a blob that the next try overwrites: its key follows from the batch and
from what is in it. Of two leaders one ends the batch, and both have written the same bytes.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from functools import partial
from time import monotonic
from typing import Any

import structlog

from shared.batches import lifecycle_store
from shared.batches.announcing import announce
from shared.batches.model import BatchState
from shared.batches.outcomes import Outcomes
from shared.batches.outputs import OUTPUT_PURPOSE, output_name
from shared.batches.results import file_line
from shared.batches.results_store import Which
from shared.batches.view import ended
from shared.clock import now_ms
from shared.database import UNAVAILABLE, Row
from shared.endings import end
from shared.events.event import EventType
from shared.failpoints import failpoint
from shared.ids import file_id_of
from shared.resources import Resources

log = structlog.get_logger()

AT_ONCE = 3
LIFE_S = 30 * 24 * 3600
REST_S = 5.0
"""After a failure, a full disk for example, it is tried again after this time."""
LEAVE_S = 3.0
ANY_SIZE = 1 << 60
_EVENTS = {
    BatchState.COMPLETED: EventType.BATCH_COMPLETED,
    BatchState.EXPIRED: EventType.BATCH_EXPIRED,
    BatchState.CANCELLED: EventType.BATCH_CANCELLED,
}


class Composer:
    """One per scheduler; a large batch does not delay the small ones behind it."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._resting: dict[str, float] = {}

    async def perform(self) -> None:
        """Begin to end the batches whose lines all have, as many as there is room for."""
        if len(self._tasks) >= AT_ONCE:
            return
        async with self._resources.database.reading() as db:
            batches = await lifecycle_store.finalizing(db)
        now = monotonic()
        self._resting = {each: until for each, until in self._resting.items() if until > now}
        for batch in batches:
            batch_id = batch["id"]
            if len(self._tasks) >= AT_ONCE:
                return
            if batch_id in self._tasks or batch_id in self._resting:
                continue
            task = asyncio.create_task(self._end(batch), name="composer")
            self._tasks[batch_id] = task
            task.add_done_callback(partial(self._ended, batch_id))

    async def aclose(self) -> None:
        """Let what is nearly done be done; the next leader does the rest anew."""
        tasks = list(self._tasks.values())
        if not tasks:
            return
        await asyncio.wait(tasks, timeout=LEAVE_S)
        await end(*tasks)

    def _ended(self, batch_id: str, _task: asyncio.Task[None]) -> None:
        del self._tasks[batch_id]

    async def _end(self, batch: Row) -> None:
        batch_id = batch["id"]
        structlog.contextvars.bind_contextvars(batch_id=batch_id)
        try:
            await self._compose(batch)
        except UNAVAILABLE as error:
            log.warning("batch.not_ended_yet", error=str(error))
            self._resting[batch_id] = monotonic() + REST_S
        except Exception:
            # Whatever it is, it must not keep the other batches from their end.
            log.exception("batch.not_ended")
            self._resting[batch_id] = monotonic() + REST_S

    async def _compose(self, batch: Row) -> None:
        began = monotonic()
        output, lines = await self._file(batch, Which.OUTPUT)
        error, errors = await self._file(batch, Which.ERROR)
        if lines + errors != ended(batch):
            # Something has changed meanwhile; the row that is read next knows of it.
            log.warning("batch.miscounted", lines=lines + errors, counted=ended(batch))
            self._resting[batch["id"]] = monotonic() + REST_S
            return
        failpoint("after_batch_files")
        async with self._resources.database.transaction() as db:
            row = await lifecycle_store.end(db, batch, output=output, error=error)
            if row is not None:
                kind = _EVENTS[BatchState(row["state"])]
                await announce(db, self._resources.announcer, row, kind)
        if row is not None:
            took_s = round(monotonic() - began, 3)
            log.info("batch.ended", state=row["state"], lines=lines + errors, compose_s=took_s)

    async def _file(self, batch: Row, which: Which) -> tuple[Mapping[str, Any] | None, int]:
        """Write one file, unless there are no lines for it; return its row and how many there are."""
        resources, batch_id = self._resources, batch["id"]
        outcomes = Outcomes(
            resources.database, resources.blobs, batch_id, file_line, until=batch["outcomes"]
        )
        pieces = outcomes.read(which)
        first = await anext(pieces, None)
        if first is None:
            return None, 0
        # Of each end its own: a retry that is cancelled at once ends with what there was.
        key = f"batches/{batch_id[-2:]}/{batch_id}-{batch['finalizing_at']}-{which}"
        size, sha256 = await resources.blobs.put_stream(key, _joined(first, pieces), ANY_SIZE)
        created_at = now_ms()
        life_s = batch["output_life_s"] or LIFE_S
        row = {
            "id": file_id_of(created_at, secrets.token_bytes(10)),
            "tenant_id": batch["tenant_id"],
            "filename": output_name(batch_id, which),
            "purpose": OUTPUT_PURPOSE,
            "content_type": "application/jsonl",
            "lines": outcomes.lines,
            "bytes": size,
            "sha256": sha256,
            "blob": key,
            "created_at": created_at,
            "expires_at": created_at + life_s * 1000,
        }
        return row, outcomes.lines


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece
