"""SQL of what the leader does to batches as wholes: look, cut off, tell of progress, finish."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy import ColumnElement, and_, case, func, insert, not_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from shared.batches.model import Batch, BatchInput, BatchState
from shared.database import Row, fetch, now_ms
from shared.files.model import StoredFile
from shared.jobs.model import WAITING, Job, in_state

BATCHES = Batch.__table__  # type: ignore[attr-defined]
PAUSED = "paused"
"""What `Job.held` says of the lines of a paused batch."""
OVERDUE = "batch_expired"
ENDED_LINES = col(Batch.completed) + col(Batch.failed) + col(Batch.cancelled) + col(Batch.expired)
"""How many lines of a batch have ended."""


async def alive(db: AsyncConnection) -> Sequence[Row]:
    """Return the batches that have not ended, oldest first, with what there is to do to them.

    `ended` counts their lines that did. `unread`: not all lines are stored as jobs yet, and
    `unchecked`: some were not even looked at. `loose`: it is paused, and some waiting lines are not
    marked so; `stuck`: the other way round. `overdue`: its time is over. `now` is the database's
    clock, in milliseconds.
    """
    return cast("Sequence[Row]", (await db.execute(_ALIVE)).mappings().all())


def _some_line(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    mine = (col(Job.batch_id) == col(Batch.id), in_state(*WAITING), *conditions)
    return select(col(Job.id)).where(*mine).exists()


def _some_input(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    mine = (col(BatchInput.batch_id) == col(Batch.id), col(BatchInput.stored).is_(False))
    return select(col(BatchInput.number)).where(*mine, *conditions).exists()


_UNREAD = _some_input()
_ALIVE = (
    select(
        col(Batch.id),
        col(Batch.tenant_id),
        col(Batch.state),
        col(Batch.paused),
        col(Batch.open),
        col(Batch.retrying),
        col(Batch.total),
        col(Batch.outcomes),
        ENDED_LINES.label("ended"),
        col(Batch.told_ended),
        func.coalesce(col(Batch.told_at), col(Batch.in_progress_at), 0).label("told_at"),
        col(Batch.finalizing_at),
        col(Batch.complete_by),
        (col(Batch.complete_by) <= now_ms()).label("overdue"),
        now_ms().label("now"),
        _UNREAD.label("unread"),
        _some_input(col(BatchInput.checked).is_(False)).label("unchecked"),
        and_(col(Batch.paused), _some_line(col(Job.held).is_(None))).label("loose"),
        and_(not_(col(Batch.paused)), _some_line(col(Job.held) == PAUSED)).label("stuck"),
    )
    .where(col(Batch.finished_at).is_(None))
    .order_by(col(Batch.created_at))
)


async def cut(db: AsyncConnection, batch_id: str) -> None:
    """Take no more lines into a batch that is cancelled or overdue.

    Those that were checked are in its total: they are still stored, and end as all others do. What
    nobody has checked yet is left out, and if that is because time was over its errors say so.
    """
    # As expansion does it: first the input, then the batch, so neither waits for the other.
    late = and_(col(Batch.state) != BatchState.CANCELLING, col(Batch.complete_by) <= now_ms())
    over = or_(col(Batch.state) == BatchState.CANCELLING, late)
    its = (col(Batch.id) == batch_id, col(Batch.finished_at).is_(None), over)
    unchecked = (
        col(BatchInput.batch_id).in_(select(col(Batch.id)).where(*its)),
        col(BatchInput.stored).is_(False),
        col(BatchInput.checked).is_(False),
    )
    left_out = (await db.execute(update(BatchInput).where(*unchecked).values(stored=True))).rowcount
    # It stays paused, if it is: the time of some lines may not be over, and they wait to be let go.
    closed = update(BATCHES).where(*its).values(open=False, retrying=False)
    rows = await fetch(db, closed.returning(BATCHES))
    if rows and left_out and rows[0]["state"] != BatchState.CANCELLING:
        errors = [*(rows[0]["errors"] or ()), dict(_LEFT_OUT)]
        await db.execute(update(BATCHES).where(col(Batch.id) == batch_id).values(errors=errors))


_LEFT_OUT = {
    "code": OVERDUE,
    "message": "The time of the batch was over before all its lines were checked:"
    " those that were not are left out.",
    "line": None,
    "param": None,
}


async def progress(db: AsyncConnection, batch_id: str, *, told_ended: int) -> Row | None:
    """Note what is told of a running batch's progress; None when another has told it already."""
    runs = and_(col(Batch.finished_at).is_(None), col(Batch.finalizing_at).is_(None))
    return await _changed(
        db,
        batch_id,
        and_(runs, col(Batch.told_ended) == told_ended),
        told_at=now_ms(),
        told_ended=ENDED_LINES,
        version=Batch.version + 1,
    )


async def begin_end(db: AsyncConnection, batch_id: str) -> Row | None:
    """Begin to finish a batch whose every line has ended; None when it is not so."""
    ready = and_(
        col(Batch.finished_at).is_(None),
        col(Batch.finalizing_at).is_(None),
        col(Batch.open).is_(False),
        col(Batch.retrying).is_(False),
        col(Batch.total) == ENDED_LINES,
        not_(_UNREAD),
    )
    is_cancelled = col(Batch.state) == BatchState.CANCELLING
    return await _changed(
        db,
        batch_id,
        ready,
        finalizing_at=now_ms(),
        state=case((is_cancelled, BatchState.CANCELLING), else_=BatchState.FINALIZING),
        version=Batch.version + 1,
    )


async def finalizing(db: AsyncConnection) -> Sequence[Row]:
    """Return the batches whose files are to be made, oldest first."""
    query = select(BATCHES).where(
        col(Batch.finished_at).is_(None), col(Batch.finalizing_at).is_not(None)
    )
    return await fetch(db, query.order_by(col(Batch.created_at)))


async def end(
    db: AsyncConnection,
    batch: Row,
    *,
    output: Mapping[str, Any] | None,
    error: Mapping[str, Any] | None,
) -> Row | None:
    """End a batch with its files' rows; None when another did, or it is not what it was.

    `batch` is the row from which the files were made.
    """
    same = and_(
        col(Batch.finished_at).is_(None),
        col(Batch.finalizing_at) == batch["finalizing_at"],
        col(Batch.outcomes) == batch["outcomes"],
        col(Batch.state) == batch["state"],
    )
    row = await _changed(
        db,
        batch["id"],
        same,
        state=end_state(batch),
        finished_at=now_ms(),
        held=False,
        paused=False,
        output_file_id=output and output["id"],
        error_file_id=error and error["id"],
        version=Batch.version + 1,
    )
    files = [dict(each) for each in (output, error) if each is not None]
    if row is not None and files:
        await db.execute(insert(StoredFile), files)
    return row


def end_state(batch: Row) -> BatchState:
    """Return how a batch ends whose lines all have: also where every one failed, it completed."""
    if batch["state"] == BatchState.CANCELLING:
        return BatchState.CANCELLED
    left_out = any(each.get("code") == OVERDUE for each in batch["errors"] or ())
    return BatchState.EXPIRED if batch["expired"] or left_out else BatchState.COMPLETED


async def _changed(
    db: AsyncConnection, batch_id: str, condition: ColumnElement[bool], **values: Any
) -> Row | None:
    change = update(BATCHES).where(col(Batch.id) == batch_id, condition).values(**values)
    rows = await fetch(db, change.returning(BATCHES))
    return rows[0] if rows else None
