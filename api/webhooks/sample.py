"""A sample event: in everything like a real one, of a job or a batch that there never was."""

from typing import Any

import orjson

from shared.batches.model import Batch, BatchState
from shared.batches.view import public_batch
from shared.clock import now_ms
from shared.database import Row
from shared.events.event import (
    EventType,
    envelope,
    is_final_event,
    is_job_event,
    is_response_event,
)
from shared.ids import new_id
from shared.jobs.endpoints import Endpoint
from shared.jobs.model import Job
from shared.jobs.transitions import JobState, Priority, Reason
from shared.jobs.view import event_data
from shared.webhooks.replay_store import TEST_EVENT

_STATES = {EventType.STARTED: JobState.RUNNING, EventType.WAITING: JobState.QUEUED}
_LIFE_MS = 24 * 3600 * 1000


def sample_delivery(endpoint: Row, event_type: EventType) -> dict[str, Any]:
    """Return the row of a delivery to this endpoint; its body says `"test": true`."""
    event_id = new_id(TEST_EVENT)
    of_job = is_job_event(event_type) or is_response_event(event_type)
    data = _data(event_type)
    body = envelope(event_type, event_id, now_ms(), data)
    return {
        "id": new_id("dlv"),
        "tenant_id": endpoint["tenant_id"],
        "endpoint_id": endpoint["id"],
        "target": endpoint["id"],
        "url": endpoint["url"],
        "event_id": event_id,
        "event_type": event_type.value,
        "job_id": data["id"].replace("resp_", "job_", 1) if of_job else None,
        "batch_id": None if of_job else data["id"],
        "body": orjson.dumps({**body, "test": True}),
    }


def _data(event_type: EventType) -> dict[str, Any]:
    if is_response_event(event_type):
        return {"id": new_id("resp")}
    if is_job_event(event_type):
        return event_data(_job(event_type))
    return public_batch(_batch(event_type))


def _job(event_type: EventType) -> Row:
    now = now_ms()
    state = _STATES.get(event_type) or JobState(event_type.removeprefix("job."))
    row = _empty(Job) | {
        "id": new_id("job"),
        "endpoint": Endpoint.CHAT,
        "model": "sandbox/echo",
        "state": state,
        "priority": Priority.STANDARD.rank,
        "metadata": {},
        "created_at": now,
        "complete_by": now + _LIFE_MS,
    }
    if is_final_event(event_type):
        row["finished_at"] = now
    if event_type is EventType.WAITING:
        row |= {"reason": Reason.RATE_LIMITED, "not_before": now}
    if event_type is EventType.FAILED:
        error = {"code": "bad_request", "message": "This is a sample."}
        row |= {"reason": Reason.REJECTED, "error": error}
    return row


def _batch(event_type: EventType) -> Row:
    now = now_ms()
    under_way = event_type is EventType.BATCH_PROGRESS
    name = "in_progress" if under_way else event_type.removeprefix("batch.")
    return _empty(Batch) | {
        "id": new_id("batch"),
        "endpoint": Endpoint.CHAT,
        "model": "sandbox/echo",
        "state": BatchState(name),
        "completion_window": "24h",
        "metadata": {},
        "created_at": now,
        "in_progress_at": now,
        "complete_by": now + _LIFE_MS,
        "finished_at": None if under_way else now,
        "total": 2,
        "completed": 1,
    }


def _empty(table: type[Job | Batch]) -> dict[str, Any]:
    return {
        column.name: getattr(column.default, "arg", None)
        for column in table.__table__.columns  # type: ignore[union-attr]
    }
