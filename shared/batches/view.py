"""A batch as the API shows it: OpenAI's object with what Penstock knows beyond it; pure."""

from typing import Any

from shared.batches.model import BatchState
from shared.clock import rfc3339
from shared.database import Row
from shared.jobs.view import usd

MIXED = "mixed"
"""What stands for the endpoint of a batch whose lines name different ones."""


def public_batch(batch: Row) -> dict[str, Any]:
    """Build the public object; OpenAI's times are in seconds.

    `request_counts.failed` counts every line of the error file, so also those that were cancelled
    or expired; `counts` tells them apart.
    """
    batch_id = batch["id"]
    return {
        "id": batch_id,
        "object": "batch",
        "endpoint": batch["endpoint"] or MIXED,
        "model": batch["model"],
        "errors": _errors(batch),
        "input_file_id": batch["input_file_id"],
        "completion_window": batch["completion_window"],
        "status": batch["state"],
        "output_file_id": batch["output_file_id"],
        "error_file_id": batch["error_file_id"],
        "created_at": _seconds(batch["created_at"]),
        "in_progress_at": _seconds(batch["in_progress_at"]),
        "expires_at": _seconds(batch["complete_by"]),
        "finalizing_at": _seconds(batch["finalizing_at"]),
        "cancelling_at": _seconds(batch["cancelling_at"]),
        **{f"{state}_at": _finished(batch, state) for state in _ENDS},
        "request_counts": {
            "total": batch["total"],
            "completed": batch["completed"],
            "failed": batch["failed"] + batch["cancelled"] + batch["expired"],
        },
        "usage": _usage(batch),
        "metadata": batch["metadata"],
        "counts": {
            "pending": batch["total"] - ended(batch),
            "completed": batch["completed"],
            "failed": batch["failed"],
            "cancelled": batch["cancelled"],
            "expired": batch["expired"],
            "invalid": batch["invalid"],
        },
        "cost_usd": usd(batch["cost_nanousd"]),
        "paused": batch["paused"],
        "open": batch["open"],
        "complete_by": rfc3339(batch["complete_by"]),
        "purged_at": rfc3339(batch["purged_at"]),
        "webhook": batch["webhook"],
        "links": {
            "self": f"/v1/batches/{batch_id}",
            "results": f"/v1/batches/{batch_id}/results",
            "events": f"/v1/batches/{batch_id}/events",
            "cancel": f"/v1/batches/{batch_id}/cancel",
        },
    }


_ENDS = (BatchState.COMPLETED, BatchState.FAILED, BatchState.EXPIRED, BatchState.CANCELLED)


def ended(batch: Row) -> int:
    """Count the lines that have ended, which are just those that can be downloaded."""
    return int(batch["completed"] + batch["failed"] + batch["cancelled"] + batch["expired"])


def _seconds(moment: int | None) -> int | None:
    return None if moment is None else moment // 1000


def _finished(batch: Row, state: BatchState) -> int | None:
    return _seconds(batch["finished_at"]) if batch["state"] == state else None


def _errors(batch: Row) -> dict[str, Any] | None:
    return batch["errors"] and {"object": "list", "data": batch["errors"]}


def _usage(batch: Row) -> dict[str, Any] | None:
    if batch["input_tokens"] is None:
        return None
    return {
        "input_tokens": batch["input_tokens"],
        "input_tokens_details": {"cached_tokens": batch["cached_tokens"] or 0},
        "output_tokens": batch["output_tokens"],
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": batch["input_tokens"] + batch["output_tokens"],
    }
