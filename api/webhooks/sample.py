"""A sample event: in everything like a real one, of a job that there never was."""

from typing import Any

import orjson

from shared.clock import now_ms
from shared.database import Row
from shared.events.event import EventType, envelope, is_final_event
from shared.ids import new_id
from shared.jobs.draft import Endpoint
from shared.jobs.model import Job
from shared.jobs.transitions import JobState, Priority, Reason
from shared.jobs.view import event_data
from shared.webhooks.replay_store import TEST_EVENT

_STATES = {EventType.STARTED: JobState.RUNNING, EventType.WAITING: JobState.QUEUED}
_LIFE_MS = 24 * 3600 * 1000


def sample_delivery(endpoint: Row, event_type: EventType) -> dict[str, Any]:
    """Return the row of a delivery to this endpoint; its body says `"test": true`."""
    event_id, job = new_id(TEST_EVENT), _job(event_type)
    body = envelope(event_type, event_id, now_ms(), event_data(job))
    return {
        "id": new_id("dlv"),
        "tenant_id": endpoint["tenant_id"],
        "endpoint_id": endpoint["id"],
        "target": endpoint["id"],
        "url": endpoint["url"],
        "event_id": event_id,
        "event_type": event_type.value,
        "job_id": job["id"],
        "body": orjson.dumps({**body, "test": True}),
    }


def _job(event_type: EventType) -> Row:
    now = now_ms()
    state = _STATES.get(event_type) or JobState(event_type.removeprefix("job."))
    row: dict[str, Any] = {
        column.name: getattr(column.default, "arg", None)
        for column in Job.__table__.columns  # type: ignore[attr-defined]
    }
    row |= {
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
