"""What becomes of a job whose worker is gone: a pure verdict."""

from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from shared.jobs.changes import Change
from shared.jobs.draft import OnUnknown
from shared.jobs.timer_store import Verdict
from shared.jobs.transitions import CANCELLED, JobState, Reason


def verdict(row: Mapping[str, Any], *, quarantine_after: int) -> Verdict:
    """Judge a row of `timer_store.abandoned`.

    Cancelled if that was asked for; quarantined if it has outlived too many workers; failed if a
    call may have been made and its owner forbids another; expired if its time is over; else it
    goes back to the queue.
    """
    if row["cancel_requested"]:
        return _end(row, JobState.CANCELLED, Reason.CANCELLED, "cancelled", CANCELLED)
    if row["crashes"] + 1 >= quarantine_after:
        message = (
            f"The job was in the hands of {quarantine_after} workers when they died; it is not tried"
            " again. POST …/retry opens a new generation."
        )
        return _end(row, JobState.FAILED, Reason.POISON, "poison", message)
    if row["calling"] and row["on_unknown"] == OnUnknown.FAIL:
        message = "The worker died during the call; on_unknown=fail forbids another one."
        return _end(row, JobState.FAILED, Reason.UNKNOWN_OUTCOME, "unknown_outcome", message)
    if row["overdue"]:
        message = "The job did not end by its complete_by time."
        return _end(row, JobState.EXPIRED, Reason.DEADLINE, "deadline", message)
    return Verdict(_change(row, JobState.QUEUED, Reason.RESCUED))


def _end(
    row: Mapping[str, Any], state: JobState, reason: Reason, code: str, message: str
) -> Verdict:
    error: dict[str, JsonValue] = {"code": code, "message": message}
    return Verdict(_change(row, state, reason), error)


def _change(row: Mapping[str, Any], state: JobState, reason: Reason) -> Change:
    return Change(
        job_id=row["id"],
        tenant_id=row["tenant_id"],
        number=row["version"] + 1,
        state=state,
        reason=reason,
        webhook=row["webhook"],
        batch_id=row["batch_id"],
    )
