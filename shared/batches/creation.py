"""Creating a batch: idempotency, then the batch with what it is made of, in one transaction."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import JsonValue
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.batches import store
from shared.batches.model import BatchState, InputKind
from shared.batches.options import BatchOptions
from shared.database import Database, Row
from shared.errors import NotFound, Unprocessable
from shared.files import store as file_store
from shared.jobs.draft import IdempotencyClaim
from shared.jobs.store import KeyClaim, StoredKey, reserve_keys

FIRST_INPUT = 0


@dataclass(frozen=True, slots=True)
class Source:
    """Where lines lie: a blob of this kind; `lines` is 0 where nobody has counted them.

    `file_id` names the file whose bytes these are, None for a blob that is the batch's own.
    `checked` says that every line was found right: they are counted, and need no validation.
    """

    kind: InputKind
    blob: str
    bytes: int
    lines: int = 0
    file_id: str | None = None
    checked: bool = False

    def row(self) -> dict[str, Any]:
        """Return it as an input without batch and number."""
        return {
            "kind": self.kind,
            "blob": self.blob,
            "bytes": self.bytes,
            "lines": self.lines,
            "file_id": self.file_id,
            "checked": self.checked,
        }


@dataclass(frozen=True, slots=True)
class BatchDraft:
    """A batch before it is stored; without a `source` it is open, and all its lines are to come.

    `new_file` is the row of a file that is stored together with it, `model` the one that every line
    names, if that is known.
    """

    id: str
    tenant_id: str
    created_at: int
    completion_window: str
    complete_by: int
    options: BatchOptions
    source: Source | None = None
    new_file: Mapping[str, Any] | None = None
    tags: dict[str, str] = field(default_factory=dict)
    webhook: dict[str, JsonValue] | None = None
    output_life_s: int | None = None
    retention_s: int | None = None
    open: bool = False
    idempotency: IdempotencyClaim | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Creation:
    """The stored batch; `replayed` when an earlier request with the same key had stored it."""

    batch: Row
    replayed: bool


async def create(database: Database, draft: BatchDraft, *, key_ttl_s: float) -> Creation:
    """Store a batch; a leader then reads its lines. When this returns, nothing can lose it.

    Raises:
        Unprocessable: the key was used before with another request.
        NotFound: the file was deleted a moment ago.
    """
    async with database.transaction() as db:
        if draft.idempotency is not None:
            first = await _reserve(db, draft.tenant_id, draft.id, draft.idempotency, key_ttl_s)
            if first is not None:
                return await _replay(db, draft.tenant_id, draft.idempotency, first)
        await _hold_file(db, draft)
        source = draft.source
        inputs = []
        if source is not None:
            inputs = [{**source.row(), "batch_id": draft.id, "number": FIRST_INPUT}]
        return Creation(await store.insert_batch(db, _row(draft), inputs), replayed=False)


async def append(
    database: Database,
    batch: Row,
    source: Source,
    *,
    idempotency: IdempotencyClaim | None,
    key_ttl_s: float,
) -> Creation | None:
    """Add lines to an open batch; None when it takes none any more.

    Raises:
        Unprocessable: the key was used before with another request.
    """
    tenant_id, batch_id = batch["tenant_id"], batch["id"]
    async with database.transaction() as db:
        if idempotency is not None:
            first = await _reserve(db, tenant_id, batch_id, idempotency, key_ttl_s)
            if first is not None:
                return await _replay(db, tenant_id, idempotency, first)
        changed = await store.append(db, tenant_id, batch_id, source.row())
        if changed is None and idempotency is not None:
            # A request that is refused uses up no key.
            await store.forget_key(db, tenant_id, idempotency.key)
        return None if changed is None else Creation(changed, replayed=False)


async def earlier(database: Database, tenant_id: str, claim: IdempotencyClaim) -> Creation | None:
    """Return the batch that an earlier request with this key stored, None if there was none.

    Raises:
        Unprocessable: it was another request.
    """
    async with database.looking() as db:
        first = await store.first_use(db, tenant_id, claim.key)
        return None if first is None else await _replay(db, tenant_id, claim, first)


async def _reserve(
    db: AsyncConnection, tenant_id: str, batch_id: str, claim: IdempotencyClaim, ttl_s: float
) -> StoredKey | None:
    wanted = KeyClaim(
        tenant_id=tenant_id,
        key=claim.key,
        fingerprint=claim.fingerprint,
        job_id=batch_id,
        ttl_ms=round(ttl_s * 1000),
    )
    return (await reserve_keys(db, [wanted])).get((tenant_id, claim.key))


async def _replay(
    db: AsyncConnection, tenant_id: str, claim: IdempotencyClaim, first: StoredKey
) -> Creation:
    same = first.fingerprint == claim.fingerprint
    batch = await store.get(db, tenant_id, first.job_id) if same else None
    if batch is not None:
        return Creation(batch, replayed=True)
    detail = (
        "This Idempotency-Key was used before with another request. Use a new key for a new"
        " request, or send exactly the same request again."
    )
    raise Unprocessable(detail, code="idempotency_mismatch", param="Idempotency-Key")


async def _hold_file(db: AsyncConnection, draft: BatchDraft) -> None:
    if draft.new_file is not None:
        await file_store.insert_file(db, draft.new_file)
        return
    file_id = None if draft.source is None else draft.source.file_id
    if file_id is None:
        return
    # Who deletes it from now on finds that its bytes are still needed.
    if not await file_store.get_many(db, draft.tenant_id, [file_id], hold=True):
        detail = f"The file `{file_id}` was deleted a moment ago."
        raise NotFound(detail, code="file_not_found", param="input_file_id")


def _row(draft: BatchDraft) -> dict[str, Any]:
    # Where there is nothing to read, or all was read before, there is nothing to validate.
    source = draft.source
    begins = source is None or source.checked
    options = draft.options
    return {
        "id": draft.id,
        "tenant_id": draft.tenant_id,
        "state": BatchState.IN_PROGRESS if begins else BatchState.VALIDATING,
        "in_progress_at": draft.created_at if begins else None,
        "total": source.lines if source is not None and source.checked else 0,
        "open": draft.open,
        "endpoint": options.endpoint,
        "model": draft.model if options.task is None else options.task.model,
        "input_file_id": None if source is None else source.file_id,
        "completion_window": draft.completion_window,
        "complete_by": draft.complete_by,
        "options": options.model_dump(mode="json", by_alias=True),
        "metadata": draft.tags,
        "webhook": draft.webhook,
        "output_life_s": draft.output_life_s,
        "retention_s": draft.retention_s,
        "created_at": draft.created_at,
    }
