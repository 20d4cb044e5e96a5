"""What is to be done next to a batch that has not ended; pure."""

from enum import StrEnum

from shared.batches.model import BatchState
from shared.database import Row

TOLD_EVERY_MS = 10_000
TOLD_PARTS = 20
"""Progress is told after a twentieth of all lines, or after the time above."""


class Step(StrEnum):
    """One kind of work on a batch."""

    CUT = "cut"
    CANCEL = "cancel"
    REOPEN = "reopen"
    FINISH = "finish"
    MARK = "mark"
    LET_GO = "let_go"
    TELL = "tell"


def next_step(batch: Row) -> Step | None:
    """Return what a batch needs next, as `lifecycle_store.alive` shows it; None for nothing now."""
    if batch["finalizing_at"] is not None:
        return None
    cancelling = batch["state"] == BatchState.CANCELLING
    grows = batch["unchecked"] or batch["open"] or batch["retrying"]
    if grows and (cancelling or batch["overdue"]):
        return Step.CUT
    if batch["retrying"]:
        return Step.REOPEN
    if batch["ended"] == batch["total"] and not (grows or batch["unread"]):
        return Step.FINISH
    return Step.CANCEL if cancelling else _of_running(batch)


def _of_running(batch: Row) -> Step | None:
    if batch["loose"]:
        return Step.MARK
    if batch["stuck"]:
        return Step.LET_GO
    return Step.TELL if _is_news(batch) else None


def _is_news(batch: Row) -> bool:
    more = batch["ended"] - batch["told_ended"]
    if more <= 0 or batch["ended"] == batch["total"]:
        # Where all have ended the end is told instead.
        return False
    silent_ms = batch["now"] - batch["told_at"]
    return bool(more * TOLD_PARTS >= batch["total"] or silent_ms >= TOLD_EVERY_MS)
