"""A batch in the words of Mistral's clients; pure."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from shared.batches.model import BatchState
from shared.batches.view import MIXED, ended
from shared.database import Row

STATUSES: Mapping[BatchState, str] = {
    BatchState.VALIDATING: "QUEUED",
    BatchState.IN_PROGRESS: "RUNNING",
    BatchState.FINALIZING: "RUNNING",
    BatchState.CANCELLING: "CANCELLATION_REQUESTED",
    BatchState.COMPLETED: "SUCCESS",
    BatchState.FAILED: "FAILED",
    BatchState.EXPIRED: "TIMEOUT_EXCEEDED",
    BatchState.CANCELLED: "CANCELLED",
}


def states_of(status: str) -> list[BatchState]:
    """Return the states that are called so; none for what is no status."""
    return [state for state, name in STATUSES.items() if name == status]


def batch_job(batch: Row) -> dict[str, Any]:
    """Build the public object; its times are in seconds."""
    options = batch["options"]
    given = options.get("copied_from") or [batch["input_file_id"]]
    return {
        "id": batch["id"],
        "object": "batch",
        "input_files": [each for each in given if each is not None],
        "metadata": batch["metadata"],
        "endpoint": batch["endpoint"] or MIXED,
        "model": batch["model"],
        "agent_id": None,
        "output_file": batch["output_file_id"],
        "error_file": batch["error_file_id"],
        "outputs": None,
        "errors": _errors(batch),
        "status": STATUSES[BatchState(batch["state"])],
        "created_at": batch["created_at"] // 1000,
        "started_at": _seconds(batch["in_progress_at"]),
        "completed_at": _seconds(batch["finished_at"]),
        "total_requests": batch["total"],
        "completed_requests": ended(batch),
        "succeeded_requests": batch["completed"],
        "failed_requests": ended(batch) - batch["completed"],
    }


def _errors(batch: Row) -> list[dict[str, Any]]:
    told = Counter(_sentence(each) for each in batch["errors"] or ())
    return [{"message": message, "count": count} for message, count in told.items()]


def _sentence(error: Mapping[str, Any]) -> str:
    where = "" if error.get("line") is None else f"Line {error['line']}: "
    return where + str(error.get("message"))


def _seconds(moment: int | None) -> int | None:
    return None if moment is None else moment // 1000
