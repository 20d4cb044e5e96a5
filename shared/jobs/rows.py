"""The rows of a job that is new, made of its draft."""

from typing import Any

from shared.jobs.draft import JobDraft
from shared.jobs.model import Job
from shared.jobs.transitions import JobState


def job_row(job_id: str, draft: JobDraft) -> dict[str, Any]:
    """Return the hot row, with every column: so it reads like one that was fetched."""
    later = draft.scheduled_at is not None and draft.scheduled_at > draft.created_at
    return {
        **_EMPTY_ROW,
        "id": job_id,
        "tenant_id": draft.tenant_id,
        "endpoint": draft.endpoint,
        "model": draft.model,
        "state": JobState.SCHEDULED if later else JobState.QUEUED,
        "priority": draft.priority.rank,
        "max_attempts": draft.max_attempts,
        "on_unknown": draft.on_unknown,
        "created_at": draft.created_at,
        "scheduled_at": draft.scheduled_at,
        "not_before": draft.scheduled_at if later else None,
        "complete_by": draft.complete_by,
        "wakeup_at": None if later else draft.created_at,
        "request_bytes": draft.request_bytes,
        "lane": draft.lane,
        "tokens": draft.tokens,
        "background": draft.background,
        "custom_id": draft.custom_id,
        "metadata": draft.tags,
        "webhook": draft.webhook,
    }


def request_row(job_id: str, draft: JobDraft) -> dict[str, Any]:
    """Return the row of what is to be sent."""
    return {"job_id": job_id, "body": draft.body, "blob": draft.blob}


_EMPTY_ROW: dict[str, Any] = {
    column.name: getattr(column.default, "arg", None)
    for column in Job.__table__.columns  # type: ignore[attr-defined]
}
