"""The second time an input is read: its lines become jobs, chunk by chunk.

What was stored and how far the input was read commit together, and only for whoever finds it as it
was left: nobody stores a line twice or leaves one out.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from shared.batches import input_store, twin_store
from shared.batches.archive_source import ArchiveSource
from shared.batches.input_store import Step
from shared.batches.lines import Line, LineChecker, LineError
from shared.batches.reading import BadInput, Place, Reading, Skipped
from shared.batches.twins import COALESCED, twin_key
from shared.clock import now_ms
from shared.database import chunks
from shared.failpoints import failpoint
from shared.ids import new_id, new_ids
from shared.jobs.changes import Change, change_of
from shared.jobs.draft import JobDraft
from shared.jobs.endpoints import Endpoint
from shared.jobs.rows import job_row
from shared.webhooks import store as webhook_store
from shared.webhooks.secrets import SecretBox
from workers.batches.work import MOST_ERRORS, Overtaken, Work, gone, sorted_out

BLOBS_AT_ONCE = 8
Rows = list[dict[str, Any]]


class Storing:
    """Stores one input; `pairing` keeps two from naming two askers for the same question."""

    def __init__(self, work: Work, skipped: Skipped, *, pairing: asyncio.Lock) -> None:
        self._work = work
        self._source = work.source()
        self._options = work.options
        self._resources = work.resources
        self._skipped = skipped
        self._pairing = pairing
        self._place = Place(work.input["stored_lines"], work.input["stored_bytes"])
        self._late: list[LineError] = []

    async def store(self, kept: Sequence[Reading] | None) -> AsyncIterator[None]:
        """Store every line that is not stored yet; pause after every chunk.

        `kept` are the lines themselves, where they are at hand.

        Raises:
            Overtaken: somebody else is at it, or the batch is being stopped.
        """
        async with self._source.held():
            async for _ in self._store(kept):
                yield

    async def _store(self, kept: Sequence[Reading] | None) -> AsyncIterator[None]:
        for reading in kept or ():
            if reading.place.lines > self._place.lines:
                await self._take(reading)
                yield
        if kept is None:
            async for reading in self._read():
                await self._take(reading)
                yield
        await self._finish()

    async def _read(self) -> AsyncIterator[Reading]:
        resources = self._resources
        checker = LineChecker(
            resources.catalog,
            resources.settings,
            self._options,
            again=True,
            standing=await resources.standings.of(self._work.batch["tenant_id"]),
        )
        self._skipped.rewind()
        readings = self._source.read(
            checker.check,
            start=self._place,
            first_line=self._work.first_line,
            skipped=self._skipped,
        )
        try:
            async for reading in readings:
                yield reading
        except BadInput as error:
            self._late.append(error.error)
        except FileNotFoundError:
            self._late.append(gone())

    async def _take(self, reading: Reading) -> None:
        lines, late = sorted_out(reading.items)
        # Right when it was checked, wrong now: the configuration has changed in between.
        self._late.extend(late[: MOST_ERRORS - len(self._late)])
        if reading.place == self._place:
            return
        jobs, requests = await self._rows(lines)
        files = await self._unpack(lines)
        if any(line.webhook for line in lines):
            await self._ensure_secret()
        step = Step(
            self._work.batch_id,
            self._work.number,
            from_line=self._place.lines,
            to_line=reading.place.lines,
            to_byte=reading.place.bytes,
            jobs=len(jobs),
        )
        if self._options.coalesce:
            async with self._pairing:
                await self._write(step, jobs, requests, files, lines)
        else:
            await self._write(step, jobs, requests, files, ())
        self._place = reading.place

    async def _write(
        self, step: Step, jobs: Rows, requests: Rows, files: Rows, twins: Sequence[Line]
    ) -> None:
        # A disk that fails may forget a chunk, together with how far it came.
        async with self._resources.database.transaction(durable=False) as db:
            if not await input_store.advance(db, step):
                raise Overtaken
            if twins:
                await self._pair(db, jobs, twins)
            await input_store.add_lines(db, jobs, requests, files)
            heard = [_change(job) for job in jobs if job["webhook"] is not None]
            await self._resources.announcer.announce(db, heard)
            failpoint("mid_expansion")

    async def _pair(self, db: AsyncConnection, jobs: Rows, lines: Sequence[Line]) -> None:
        tenant_id = self._work.batch["tenant_id"]
        keys = [twin_key(tenant_id, line) for line in lines]
        askers: dict[str, str] = {}
        for some in chunks(sorted(set(keys)), BLOBS_AT_ONCE * 32):
            askers.update(await twin_store.askers(db, some))
        for job, key in zip(jobs, keys, strict=True):
            job["twin_key"] = key
            asker = askers.setdefault(key, job["id"])
            if asker != job["id"]:
                job["held"], job["follows"] = COALESCED, asker

    async def _finish(self) -> None:
        async with self._resources.database.transaction() as db:
            missing = await input_store.finish(db, self._work.batch_id, self._work.number)
            if missing is None:
                raise Overtaken
            if missing:
                errors = self._work.errors_with(self._late)
                await input_store.lower_total(
                    db, self._work.batch_id, missing, invalid=missing, errors=errors
                )

    async def _rows(self, lines: Sequence[Line]) -> tuple[Rows, Rows]:
        inline_bytes = self._resources.settings.inline_bytes
        blobs = await self._put([line for line in lines if len(line.body) > inline_bytes])
        ids, alike = new_ids("job", len(lines)), self._alike()
        jobs = [
            {
                **alike,
                "id": job_id,
                "endpoint": line.endpoint,
                "model": line.model,
                "priority": line.priority.rank,
                "max_attempts": line.max_attempts,
                "request_bytes": len(line.body),
                "lane": line.lane,
                "tokens": line.tokens,
                "custom_id": line.custom_id,
                "metadata": line.tags,
                "webhook": line.webhook,
                "line": line.number,
            }
            for job_id, line in zip(ids, lines, strict=True)
        ]
        requests = []
        for job_id, line in zip(ids, lines, strict=True):
            blob = blobs.get(line.number)
            body = line.body if blob is None else None
            requests.append({"job_id": job_id, "body": body, "blob": blob})
        return jobs, requests

    def _alike(self) -> dict[str, Any]:
        """Return what the rows of all lines have in common; what none has is left out."""
        batch = self._work.batch
        draft = JobDraft(
            tenant_id=batch["tenant_id"],
            endpoint=Endpoint.CHAT,
            model="",
            body=None,
            request_bytes=0,
            created_at=now_ms(),
            complete_by=batch["complete_by"],
            on_unknown=self._options.on_unknown,
        )
        # Who publishes it is the dispatcher.
        row = {**job_row("", draft), "wakeup_at": None, "batch_id": batch["id"]}
        kept = {name: value for name, value in row.items() if value is not None}
        return {**kept, "held": None, "follows": None, "twin_key": None}

    async def _put(self, lines: Sequence[Line]) -> dict[int, str]:
        blobs = {line.number: f"requests/{new_id('req')}.json" for line in lines}
        for some in chunks(lines, BLOBS_AT_ONCE):
            puts = (self._resources.blobs.put(blobs[line.number], line.body) for line in some)
            await asyncio.gather(*puts)
        return blobs

    async def _unpack(self, lines: Sequence[Line]) -> Rows:
        if not lines or not isinstance(self._source, ArchiveSource):
            return []
        return await self._source.unpack(lines, self._work.first_line)

    async def _ensure_secret(self) -> None:
        # Before there is a job: what tells of it is signed.
        async with self._resources.database.transaction() as db:
            box = SecretBox(self._resources.secret_key)
            await webhook_store.ensure_secret(db, self._work.batch["tenant_id"], box)


def _change(job: dict[str, Any]) -> Change:
    return change_of({"reason": None, "not_before": None, **job})
