"""A batch and its ended lines in the words of Anthropic's clients; pure."""

from json.encoder import encode_basestring_ascii
from typing import Any

import orjson

from api.surfaces import anthropic_error
from shared.batches.model import ENDED, BatchState
from shared.batches.results import ascii_json
from shared.clock import rfc3339
from shared.database import Row
from shared.errors import Gone, PenstockError
from shared.jobs.failures import failure_of
from shared.jobs.transitions import JobState

OURS, THEIRS = "batch_", "msgbatch_"
PATH = "/v1/messages/batches"


def shown_id(batch_id: str) -> str:
    """Return how a batch is called here."""
    return THEIRS + batch_id.removeprefix(OURS)


def own_id(shown: str) -> str | None:
    """Return how it is called everywhere else; None for what no batch is called here."""
    return OURS + shown.removeprefix(THEIRS) if shown.startswith(THEIRS) else None


def is_ended(batch: Row) -> bool:
    """Tell whether its results are there to be read."""
    return batch["state"] in ENDED


def message_batch(batch: Row) -> dict[str, Any]:
    """Build the public object."""
    shown, ended = shown_id(batch["id"]), is_ended(batch)
    readable = ended and batch["purged_at"] is None
    return {
        "id": shown,
        "type": "message_batch",
        "processing_status": _status(batch),
        "request_counts": _counts(batch, ended=ended),
        "created_at": rfc3339(batch["created_at"]),
        "expires_at": rfc3339(batch["complete_by"]),
        "ended_at": rfc3339(batch["finished_at"]),
        "cancel_initiated_at": rfc3339(batch["cancelling_at"]),
        "archived_at": rfc3339(batch["purged_at"]),
        "results_url": f"{PATH}/{shown}/results" if readable else None,
    }


def result_line(job: Row, body: bytes | None) -> bytes:
    """Spell an ended line with its end; what was stored of an answer is copied, never parsed."""
    custom_id = encode_basestring_ascii(job["custom_id"] or "").encode()
    return b'{"custom_id":%b,"result":%b}\n' % (custom_id, _result(job, body))


_ENDS = {JobState.CANCELLED: b'{"type":"canceled"}', JobState.EXPIRED: b'{"type":"expired"}'}


def _result(job: Row, body: bytes | None) -> bytes:
    if job["deleted_at"] is not None:
        detail = "The request and its answer were deleted."
        return _errored(job, Gone(detail, code="line_deleted"))
    if (end := _ENDS.get(job["state"])) is not None:
        return end
    if (failure := failure_of(job, body)) is not None:
        return _errored(job, failure)
    if body is None:
        detail = "The answer that was stored for this request cannot be found any more."
        return _errored(job, PenstockError(detail, code="result_lost"))
    return b'{"type":"succeeded","message":%b}' % ascii_json(body)


def _errored(job: Row, error: PenstockError) -> bytes:
    told = {"type": "errored", "error": anthropic_error(error, job["id"])}
    return ascii_json(orjson.dumps(told))


def _status(batch: Row) -> str:
    if is_ended(batch):
        return "ended"
    cancels = batch["state"] == BatchState.CANCELLING or batch["cancelling_at"] is not None
    return "canceling" if cancels else "in_progress"


def _counts(batch: Row, *, ended: bool) -> dict[str, int]:
    # Until a batch has ended as a whole its requests all count as being processed.
    counts = {
        "processing": 0,
        "succeeded": batch["completed"],
        "errored": batch["failed"],
        "canceled": batch["cancelled"],
        "expired": batch["expired"],
    }
    return counts if ended else {**dict.fromkeys(counts, 0), "processing": batch["total"]}
