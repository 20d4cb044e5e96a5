"""A response as it is kept: the job that it is, what was asked, and whether it may still be seen."""

from dataclasses import dataclass
from typing import Any

import orjson
import structlog
from starlette.requests import Request

from api.job_replies import is_final, result_bytes
from shared.clock import now_ms
from shared.dialects.responses.resource import resource
from shared.dialects.translator import Head
from shared.errors import NotFound
from shared.jobs import store
from shared.jobs.endpoints import Endpoint
from shared.jobs.failures import JobFailed, failure_of
from shared.jobs.reader import FullJob
from shared.jobs.transitions import JobState
from shared.resources import Resources

PREFIX, OF_JOB = "resp_", "job_"
POLLED_MS = 10 * 60 * 1000
"""One that is not to be stored can be polled for so long after its end, if it ran in the background."""
_STATUSES = {
    JobState.SCHEDULED: "queued",
    JobState.QUEUED: "queued",
    JobState.RUNNING: "in_progress",
    JobState.FAILED: "failed",
    JobState.EXPIRED: "failed",
    JobState.CANCELLED: "cancelled",
}
_LIMITED = frozenset({"rate_limited", "overloaded", "quota_exhausted"})
_BROKEN = 500
_CONFLICT = 409
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response's job and its request; `asked` has the items of earlier responses in it."""

    full: FullJob
    asked: Json

    @property
    def head(self) -> Head:
        """What it is called."""
        job = self.full.job
        return Head(job["id"].removeprefix(OF_JOB), job["model"], job["created_at"] // 1000)

    @property
    def in_background(self) -> bool:
        """Tell whether it goes on when its caller leaves."""
        return self.asked.get("background") is True

    @property
    def completed(self) -> bool:
        """Tell whether there is an answer."""
        return bool(self.full.job["state"] == JobState.COMPLETED)


async def load_response(
    request: Request, tenant_id: str, identity: str, *, param: str = "response_id"
) -> StoredResponse:
    """Return a response of the tenant.

    Raises:
        NotFound: there is none of this name, it was deleted, or it was not to be stored.
    """
    resources: Resources = request.state.resources
    full: FullJob | None = None
    if identity.startswith(PREFIX):
        full = await request.state.reader.get(tenant_id, OF_JOB + identity.removeprefix(PREFIX))
    if full is None or full.job["endpoint"] != Endpoint.RESPONSES or full.job["deleted_at"]:
        raise _unknown(identity, param)
    asked = await _asked(full, resources)
    if asked is None or not _is_kept(full, asked):
        raise _unknown(identity, param)
    structlog.contextvars.bind_contextvars(job_id=full.job["id"])
    return StoredResponse(full, asked)


async def whole_response(stored: StoredResponse, resources: Resources) -> Json:
    """Return the response object as it stands now."""
    full = stored.full
    raw = await result_bytes(full, resources)
    if stored.completed:
        whole: Json = orjson.loads(raw)
        finished_at = full.job["finished_at"]
        return stamped(whole, finished_at and finished_at // 1000)
    failure = failure_of(full.job, raw) if is_final(full) else None
    return unanswered(stored, _STATUSES[JobState(full.job["state"])], failure)


def unanswered(stored: StoredResponse, status: str, failure: JobFailed | None = None) -> Json:
    """Return the object of a response that has no answer, yet or for good."""
    error = response_error(failure) if failure and status == "failed" else None
    return resource(stored.asked, stored.head, status=status, error=error)


def stamped(whole: Json, completed_at: int | None) -> Json:
    """Return a response with the time of its end, in seconds, where it does not say."""
    if whole.get("completed_at") is None and whole.get("status") == "completed":
        return {**whole, "completed_at": completed_at}
    return whole


def response_error(failure: JobFailed) -> Json:
    """Spell the end of a job as a response's error: its codes are few."""
    code = "server_error"
    if failure.code in _LIMITED:
        code = "rate_limit_exceeded"
    elif failure.status < _BROKEN and failure.status != _CONFLICT:
        code = "invalid_prompt"
    return {"code": code, "message": failure.detail}


async def _asked(full: FullJob, resources: Resources) -> Json | None:
    async with resources.database.looking() as db:
        row = await store.request_of(db, full.job["id"])
    if row is None:
        return None
    try:
        raw = row["body"] if row["blob"] is None else await resources.blobs.get(row["blob"])
    except FileNotFoundError:
        return None
    asked: Json = orjson.loads(raw)
    return asked


def _is_kept(full: FullJob, asked: Json) -> bool:
    if asked.get("store") is not False:
        return True
    if asked.get("background") is not True:
        return False
    finished_at = full.job["finished_at"]
    return finished_at is None or bool(now_ms() - finished_at <= POLLED_MS)


def _unknown(identity: str, param: str) -> NotFound:
    detail = (
        f"There is no response `{identity[:64]}`: it was never made, was deleted, or was asked for"
        " with `store: false`."
    )
    return NotFound(detail, param=param, code="response_not_found")
