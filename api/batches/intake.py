"""How every batch comes in, whoever's protocol it is: its lines are admitted and kept, then it is stored.

A surface reads its own wire: it makes a draft (`drafting.draft_batch`) and a pile of lines (`sources`,
`given`). What becomes of them, and of the bytes that were written for them, is decided here alone.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import structlog
from starlette.requests import Request

from api.batches import sources
from api.batches.sources import Pile
from api.files import BATCH, BATCH_LIFE_S, file_row
from shared.batches import creation
from shared.batches.creation import BatchDraft, Creation, Source
from shared.database import Row
from shared.errors import Conflict, PenstockError
from shared.jobs.draft import IdempotencyClaim
from shared.resources import Resources


async def earlier(
    resources: Resources, tenant_id: str, claim: IdempotencyClaim | None
) -> Creation | None:
    """Return the batch that an earlier request with this key stored, None if there was none.

    Raises:
        Unprocessable: it was another request.
    """
    if claim is None:
        return None
    return await creation.earlier(resources.database, tenant_id, claim)


async def take_in(
    request: Request, draft: BatchDraft, pile: Pile | None, *, param: str = "requests"
) -> Creation:
    """Store a batch with its lines; what was written for it goes if it is refused or was stored before.

    `param` is the field that has the lines; without a pile they are all to come.

    Raises:
        TooLarge, LimitExceeded, Unavailable: there is no room for so many lines.
        Unprocessable: the idempotency key was used before with another request.
    """
    resources: Resources = request.state.resources
    ttl_s = resources.settings.idempotency_ttl_s
    if pile is None:
        made = await creation.create(resources.database, draft, key_ttl_s=ttl_s)
    else:
        async with _kept(request, draft.tenant_id, pile, param=param) as kept:
            drafted = _with_lines(draft, kept)
            made = await creation.create(resources.database, drafted, key_ttl_s=ttl_s)
            if made.replayed:
                await _remove(resources, kept)
    structlog.contextvars.bind_contextvars(batch_id=made.batch["id"])
    return made


async def take_more(
    request: Request, batch: Row, pile: Pile, claim: IdempotencyClaim | None
) -> Creation:
    """Add lines to an open batch; they go as those of `take_in` do.

    Raises:
        Conflict: it takes none any more.
        TooLarge, LimitExceeded, Unavailable, Unprocessable: as for a new batch.
    """
    resources: Resources = request.state.resources
    so_far, tenant_id = batch["total"], batch["tenant_id"]
    async with _kept(request, tenant_id, pile, param="requests", so_far=so_far) as kept:
        made = await creation.append(
            resources.database,
            batch,
            Source(kept.kind, kept.blob, kept.size, kept.lines),
            idempotency=claim,
            key_ttl_s=resources.settings.idempotency_ttl_s,
        )
        if made is None:
            raise closed(batch["id"])
        if made.replayed:
            await _remove(resources, kept)
    return made


@asynccontextmanager
async def removed_if_refused(resources: Resources, pile: Pile) -> AsyncIterator[None]:
    """Remove what was written for a batch if the batch is refused."""
    try:
        yield
    except PenstockError:
        # After any other failure the batch may be there, and then it wants its lines.
        await _remove(resources, pile)
        raise


def closed(batch_id: str) -> Conflict:
    """Return the refusal of lines for a batch that is not open."""
    detail = (
        f"The batch `{batch_id}` takes no more lines: it was created without `open`, or was closed,"
        " or has ended. Create another one."
    )
    return Conflict(detail, code="batch_closed")


@asynccontextmanager
async def _kept(
    request: Request, tenant_id: str, pile: Pile, *, param: str, so_far: int = 0
) -> AsyncIterator[Pile]:
    resources: Resources = request.state.resources
    async with removed_if_refused(resources, pile):
        most = resources.settings.max_batch_lines
        sources.refuse_too_many(so_far + pile.lines, most, param=param)
        await request.state.admission.admit_load(tenant_id, pile.load)
        kept = await sources.stored(pile, resources)
        async with removed_if_refused(resources, kept):
            yield kept


def _with_lines(draft: BatchDraft, pile: Pile) -> BatchDraft:
    row = None
    if pile.received is not None:
        named = replace(pile.received, filename=pile.received.filename or f"{draft.id}.jsonl")
        row = file_row(named, tenant_id=draft.tenant_id, purpose=BATCH, life_s=BATCH_LIFE_S)
    file_id = row["id"] if pile.file is None and row is not None else pile.file and pile.file.id
    source = Source(pile.kind, pile.blob, pile.size, pile.lines, file_id, checked=pile.checked)
    model = pile.model if pile.checked else draft.model
    return replace(draft, source=source, new_file=row, model=model)


async def _remove(resources: Resources, pile: Pile) -> None:
    if pile.received is not None:
        await resources.blobs.delete(pile.received.blob)
