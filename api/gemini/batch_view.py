"""A batch and its ended lines in the words of Google's clients; pure."""

from collections.abc import Mapping
from typing import Any

import orjson

from shared.batches.model import ENDED, BatchState
from shared.batches.results import ascii_json
from shared.batches.view import ended
from shared.clock import rfc3339
from shared.database import Row
from shared.dialects.errors import google_status
from shared.errors import Conflict, Gone, PenstockError, Unavailable
from shared.jobs.failures import failure_of
from shared.jobs.transitions import JobState

FOLDER = "batches/"
TYPE = "type.googleapis.com/google.ai.generativelanguage.v1.GenerateContentBatch"
STATES: Mapping[BatchState, str] = {
    BatchState.VALIDATING: "PENDING",
    BatchState.IN_PROGRESS: "RUNNING",
    BatchState.FINALIZING: "RUNNING",
    BatchState.CANCELLING: "RUNNING",
    BatchState.COMPLETED: "SUCCEEDED",
    BatchState.FAILED: "FAILED",
    BatchState.EXPIRED: "EXPIRED",
    BatchState.CANCELLED: "CANCELLED",
}


def batch_operation(batch: Row) -> dict[str, Any]:
    """Build the public object, an operation, without what became of its requests."""
    state = BatchState(batch["state"])
    told: dict[str, Any] = {
        "name": f"{FOLDER}{batch['id']}",
        "metadata": _metadata(batch, state),
        "done": state in ENDED,
    }
    if state is BatchState.FAILED:
        first: Mapping[str, Any] = next(iter(batch["errors"] or ()), {})
        told["error"] = {
            "code": _INVALID,
            "message": str(first.get("message") or "No line can be done."),
        }
    return told


def _metadata(batch: Row, state: BatchState) -> dict[str, Any]:
    changed = batch["finished_at"] or batch["in_progress_at"] or batch["created_at"]
    stats = {
        "requestCount": batch["total"],
        "pendingRequestCount": batch["total"] - ended(batch),
        "successfulRequestCount": batch["completed"],
        "failedRequestCount": ended(batch) - batch["completed"],
    }
    told: dict[str, Any] = {
        "@type": TYPE,
        "name": f"{FOLDER}{batch['id']}",
        "displayName": batch["options"].get("label") or batch["id"],
        "state": f"BATCH_STATE_{STATES[state]}",
        "createTime": rfc3339(batch["created_at"]),
        "updateTime": rfc3339(changed),
        # Google's JSON has its 64-bit numbers in quotes.
        "batchStats": {name: str(number) for name, number in stats.items()},
    }
    if batch["model"] is not None:
        told["model"] = f"models/{batch['model']}"
    if batch["finished_at"] is not None:
        told["endTime"] = rfc3339(batch["finished_at"])
    return told


def outcome(job: Row, body: bytes | None) -> bytes:
    """Spell what became of a request, with a comma behind it; a stored answer is copied, never parsed."""
    tags = job["tags"]
    noted = b"" if not tags else b',"metadata":' + ascii_json(orjson.dumps(tags))
    failure = _failure(job, body)
    if failure is None and body is not None:
        return b'{"response":' + ascii_json(body) + noted + b"},"
    failure = failure or PenstockError("The answer that was stored cannot be found any more.")
    # Its SDK takes no objects for details here.
    status = {"code": _rpc_code(job, failure), "message": failure.detail}
    return b'{"error":' + ascii_json(orjson.dumps(status)) + noted + b"},"


def _rpc_code(job: Row, failure: PenstockError) -> int:
    if job["deleted_at"] is None and job["state"] in _ENDS:
        return _ENDS[job["state"]]
    return _RPC_CODES.get(google_status(failure.status), _UNKNOWN)


_ENDS = {JobState.CANCELLED: 1, JobState.EXPIRED: 4}
_INVALID, _UNKNOWN = 3, 2
_RPC_CODES = {
    "INVALID_ARGUMENT": _INVALID,
    "DEADLINE_EXCEEDED": 4,
    "NOT_FOUND": 5,
    "PERMISSION_DENIED": 7,
    "RESOURCE_EXHAUSTED": 8,
    "FAILED_PRECONDITION": 9,
    "ABORTED": 10,
    "INTERNAL": 13,
    "UNAVAILABLE": 14,
    "UNAUTHENTICATED": 16,
}
"""`google.rpc.Code`: what is told of one of many is no answer of HTTP's."""


def _failure(job: Row, body: bytes | None) -> PenstockError | None:
    if job["deleted_at"] is not None:
        return Gone("The request and its answer were deleted.")
    if job["state"] == JobState.CANCELLED:
        return Conflict("The batch was cancelled before this request was done.")
    if job["state"] == JobState.EXPIRED:
        return Unavailable("The time of the batch was over before this request was done.")
    return failure_of(job, body)
