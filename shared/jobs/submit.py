"""Submitting: idempotency, admission, then job, body, key and wake-up in one transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from shared import outbox
from shared.database import Database, Row, is_unavailable, on_commit
from shared.errors import Conflict, PenstockError, Unavailable, Unprocessable
from shared.group_commit import GroupCommit
from shared.ids import new_id
from shared.jobs import store
from shared.jobs.admission import Admission
from shared.jobs.announcer import Announcer
from shared.jobs.bell import Bell
from shared.jobs.changes import change_of
from shared.jobs.draft import JobDraft
from shared.jobs.rows import job_row, request_row
from shared.jobs.transitions import JobState, Priority
from shared.jobs.wakeups import wakeups
from shared.publisher import Publisher
from shared.settings import Settings

STORE_UNAVAILABLE = "store_unavailable"
"""The error code that says: whether the job was stored is not known."""


@dataclass(frozen=True, slots=True)
class Submission:
    """The stored job; `replayed` when an earlier request with the same key had stored it."""

    job: Row
    replayed: bool


@dataclass(frozen=True, slots=True)
class _Entry:
    job_id: str
    draft: JobDraft
    direct: bool = True


class Submitter:
    """One per API process: what arrives together is stored together."""

    def __init__(
        self,
        database: Database,
        publisher: Publisher,
        announcer: Announcer,
        settings: Settings,
        *,
        admission: Admission | None = None,
        bell: Bell | None = None,
    ) -> None:
        self._bell = bell
        self._publisher = publisher
        self._announcer = announcer
        self._settings = settings
        self._admission = admission or Admission(database, settings)
        self._group: GroupCommit[_Entry, Submission] = GroupCommit(
            database, self._write, linger_s=0.003
        )
        self._storing: set[tuple[str, str]] = set()

    async def submit(self, draft: JobDraft) -> Submission:
        """Store a job and promise its wake-up; when this returns, nothing can lose it.

        Raises:
            Conflict: a request with the same idempotency key is being stored at this moment.
            Unprocessable: the key was used before with another request.
            LimitExceeded, Unavailable: no room; nothing was stored.
        """
        try:
            return await self._submit(draft)
        except PenstockError:
            raise
        except Exception as error:
            if not is_unavailable(error):
                raise
            detail = (
                "The job store did not answer. Try again; with an Idempotency-Key that is safe even if"
                " the job was stored."
            )
            raise Unavailable(detail, code=STORE_UNAVAILABLE, retry_after_s=2) from error

    async def close(self) -> None:
        """Store what is pending."""
        await self._group.close()

    async def _submit(self, draft: JobDraft) -> Submission:
        if draft.idempotency is None:
            return await self._admit_and_store(draft)
        key = (draft.tenant_id, draft.idempotency.key)
        if key in self._storing:
            raise _in_progress()
        self._storing.add(key)
        try:
            return await self._admit_and_store(draft)
        finally:
            self._storing.discard(key)

    async def _admit_and_store(self, draft: JobDraft) -> Submission:
        await self._admission.admit(draft)
        # A few may go straight to the workers; a crowd waits for its fair share of the lane.
        waiting = self._admission.waiting(draft.tenant_id)
        direct = waiting <= self._settings.direct_jobs_per_tenant or self._bell is None
        return await self._group.add(_Entry(new_id("job"), draft, direct=direct))

    async def _write(
        self, db: AsyncConnection, entries: Sequence[_Entry]
    ) -> Sequence[Submission | Exception]:
        replays = await self._replays(db, entries)
        fresh = [entry for entry in entries if entry.job_id not in replays]
        rows = {entry.job_id: _row(entry) for entry in fresh}
        if rows:
            requests = [request_row(entry.job_id, entry.draft) for entry in fresh]
            await store.insert_jobs(db, list(rows.values()), requests)
            await self._announcer.announce(db, [change_of(row) for row in rows.values()])
            await self._promise(db, rows.values())
        return [
            replays.get(entry.job_id) or Submission(rows[entry.job_id], replayed=False)
            for entry in entries
        ]

    async def _promise(self, db: AsyncConnection, rows: Iterable[Row]) -> None:
        queued = [row for row in rows if row["state"] == JobState.QUEUED]
        ready = [(row["id"], row["priority"]) for row in queued if row["wakeup_at"] is not None]
        if len(ready) < len(queued) and self._bell is not None:
            on_commit(db, self._bell.ring)
        messages = wakeups(ready, slice_size=self._settings.slice_size)
        if not messages:
            return
        promises = await outbox.add(db, messages)
        on_commit(db, partial(self._publisher.after_commit, promises))

    async def _replays(
        self, db: AsyncConnection, entries: Sequence[_Entry]
    ) -> dict[str, Submission | Exception]:
        claims = [_key_claim(entry, self._settings) for entry in entries if entry.draft.idempotency]
        if not claims:
            return {}
        # A key twice in one group: its first bearer left while its entry was waiting here.
        firsts = {(claim.tenant_id, claim.key): claim for claim in reversed(claims)}
        taken = await store.reserve_keys(db, list(firsts.values()))
        replays: dict[str, Submission | Exception] = {
            claim.job_id: _in_progress()
            for claim in claims
            if claim is not firsts[claim.tenant_id, claim.key]
        }
        for claim in firsts.values():
            first = taken.get((claim.tenant_id, claim.key))
            if first is None:
                continue
            if first.fingerprint != claim.fingerprint:
                replays[claim.job_id] = _other_request()
                continue
            job = await store.get(db, claim.tenant_id, first.job_id)
            replays[claim.job_id] = Submission(job, replayed=True) if job else _other_request()
        return replays


def _row(entry: _Entry) -> dict[str, Any]:
    row = job_row(entry.job_id, entry.draft)
    if not entry.direct and entry.draft.priority is not Priority.INTERACTIVE:
        # Nobody is told: it is due, and the dispatcher finds it.
        row["wakeup_at"] = None
    return row


def _in_progress() -> Conflict:
    detail = "A request with this Idempotency-Key is being stored right now. Ask again."
    return Conflict(detail, code="idempotency_in_progress", retry_after_s=1)


def _other_request() -> Unprocessable:
    detail = (
        "This Idempotency-Key was used before with another request. Use a new key for a new"
        " request, or send exactly the same request again."
    )
    return Unprocessable(detail, code="idempotency_mismatch", param="Idempotency-Key")


def _key_claim(entry: _Entry, settings: Settings) -> store.KeyClaim:
    claim = entry.draft.idempotency
    if claim is None:
        message = "only drafts with an idempotency key come here"
        raise ValueError(message)
    return store.KeyClaim(
        tenant_id=entry.draft.tenant_id,
        key=claim.key,
        fingerprint=claim.fingerprint,
        job_id=entry.job_id,
        ttl_ms=round(settings.idempotency_ttl_s * 1000),
    )
