"""`/v1/jobs`: submit, get, list, look up, result, cancel, retry, delete."""

from typing import Any

import orjson
import structlog
from pydantic import JsonValue
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.auth import principal
from api.body import read_model
from api.cancelling import cancel_job
from api.drafts import Direct, draft_job
from api.job_filters import of_batch, read_filters
from api.job_replies import (
    ACCEPTED,
    OK,
    is_final,
    job_reply,
    load,
    load_when_ended,
    result_bytes,
    wait_and_load,
)
from api.job_request import JobLookup, JobSubmit
from api.openai.responses.conversation import continued
from api.pagination import find_page, list_page
from api.prefer import LONGEST_WAIT_S, preference
from shared.auth.permissions import Permission
from shared.errors import BadRequest, Conflict, PenstockError
from shared.failpoints import failpoint
from shared.jobs import change_store, store
from shared.jobs.draft import JobDraft
from shared.jobs.endpoints import Endpoint
from shared.jobs.options import JobOptions
from shared.jobs.reader import FullJob
from shared.jobs.submit import STORE_UNAVAILABLE, Submission
from shared.jobs.transitions import JobState
from shared.jobs.view import public_job
from shared.resources import Resources

MAX_LOOKUP_BYTES = 128 * 1024
BAD_REQUEST = 400


async def create(request: Request) -> Response:
    """Store a job, then answer 202; with `Prefer: wait=n` stay for its end."""
    who = await principal(request, Permission.JOBS_WRITE)
    settings = request.state.resources.settings
    asked, _ = await read_model(request, JobSubmit, max_bytes=settings.max_body_bytes)
    body = asked.body
    if asked.endpoint is Endpoint.RESPONSES:
        body = await continued(request, who.tenant_id, body)
    return await submit(request, who.tenant_id, asked.endpoint, body, asked)


async def submit(
    request: Request,
    tenant_id: str,
    endpoint: Endpoint,
    body: dict[str, JsonValue],
    options: JobOptions,
    *,
    identity: str | None = None,
    direct: Direct | None = None,
) -> Response:
    """Draft, store and answer: what every way of submitting a single job has in common.

    `identity` stands for the file in the idempotency fingerprint where each upload has a new id.
    """
    draft = await draft_job(
        request, tenant_id, endpoint, body, options, identity=identity, direct=direct
    )
    submission = await store_draft(request, draft)
    job = submission.job
    headers = {"Location": f"/v1/jobs/{job['id']}"}
    if submission.replayed:
        headers["Idempotent-Replayed"] = "true"
    prefer = preference(request)
    if prefer.applied:
        headers["Preference-Applied"] = prefer.applied
    if prefer.wait_s or submission.replayed:
        load_then = load_when_ended if submission.replayed else wait_and_load
        full = await load_then(request, tenant_id, job["id"], prefer.wait_s)
        status = OK if is_final(full) else ACCEPTED
        return await job_reply(request, full, status=status, headers=headers)
    # The place in the queue is a query of its own: who wants it asks for the job.
    headers["Retry-After"] = "1"
    return Response(orjson.dumps(public_job(job)), ACCEPTED, headers, "application/json")


async def store_draft(request: Request, draft: JobDraft) -> Submission:
    """Store a draft; its blob goes again where the job that it was for is not stored."""
    blobs = request.state.resources.blobs
    try:
        submission: Submission = await request.state.submitter.submit(draft)
    except PenstockError as error:
        # Where the store did not answer, the commit may have happened: the blob must stay.
        if draft.blob and error.code != STORE_UNAVAILABLE:
            await blobs.delete(draft.blob)
        raise
    failpoint("after_job_commit")
    if submission.replayed and draft.blob:
        await blobs.delete(draft.blob)
    structlog.contextvars.bind_contextvars(job_id=submission.job["id"])
    return submission


async def get(request: Request) -> Response:
    """Return a job; `?wait=` stays until it has ended, at most 60 seconds."""
    who = await principal(request, Permission.JOBS_READ)
    full = await load_when_ended(
        request, who.tenant_id, request.path_params["job_id"], wait_seconds(request)
    )
    return await job_reply(request, full)


async def result(request: Request) -> Response:
    """Return the raw answer with the provider's own status; 202 and the job while there is none."""
    who = await principal(request, Permission.JOBS_READ)
    resources: Resources = request.state.resources
    full = await load_when_ended(
        request, who.tenant_id, request.path_params["job_id"], wait_seconds(request)
    )
    if not is_final(full):
        return await job_reply(request, full, status=ACCEPTED)
    if full.result is None:
        state, error = full.job["state"], full.job["error"] or {}
        detail = f"The job has no result: it {_ENDED[JobState(state)]}. {error.get('message', '')}"
        raise Conflict(
            detail.strip(),
            code=f"job_{state}",
            extra={"reason": full.job["reason"], "job_error": error or None},
        )
    body, status = await result_bytes(full, resources), full.result["status_code"]
    # It is stored: a client that repeats 429 or 503 by itself would get the same for ever.
    headers = {"x-should-retry": "false"} if status >= BAD_REQUEST else {}
    return Response(body, status, headers, "application/json")


_ENDED = {
    JobState.COMPLETED: "completed",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "was cancelled",
    JobState.EXPIRED: "expired",
}


async def index(request: Request) -> Response:
    """List jobs, newest first; without their results, which `links.result` has."""
    who = await principal(request, Permission.JOBS_READ)
    resources: Resources = request.state.resources
    filters = read_filters(request)
    if filters.batch_id is not None:
        filters = await of_batch(resources.database, who.tenant_id, filters)

    async def find(job_id: str) -> tuple[int, str] | None:
        full: FullJob | None = await request.state.reader.get(who.tenant_id, job_id)
        return None if full is None else (full.job["created_at"], full.job["id"])

    page = await find_page(request, find)
    async with resources.database.reading() as db:
        rows = await store.page(
            db,
            who.tenant_id,
            filters,
            after=page.after,
            ascending=page.ascending,
            limit=page.limit + 1,
        )
        ids = [row["id"] for row in rows[: page.limit]]
        attempts = await store.attempts_of(db, ids) if ids else ()
    shown = [
        public_job(row, attempts=[each for each in attempts if each["job_id"] == row["id"]])
        for row in rows[: page.limit]
    ]
    return Response(orjson.dumps(list_page(rows, shown, page)), media_type="application/json")


async def lookup(request: Request) -> Response:
    """Return many jobs by id, with their results; `missing` names the ids that are not there."""
    who = await principal(request, Permission.JOBS_READ)
    asked, _ = await read_model(request, JobLookup, max_bytes=MAX_LOOKUP_BYTES)
    resources: Resources = request.state.resources
    found = await request.state.reader.many(who.tenant_id, asked.ids)
    there = [full for full in found if full.job["deleted_at"] is None]
    data = [await _whole(full, resources) for full in there]
    known = {full.job["id"] for full in there}
    missing = [each for each in dict.fromkeys(asked.ids) if each not in known]
    body = {"object": "list", "data": data, "missing": missing}
    return Response(orjson.dumps(body), media_type="application/json")


async def _whole(full: FullJob, resources: Resources) -> dict[str, Any]:
    shown = None
    if full.result is not None:
        raw = orjson.Fragment(await result_bytes(full, resources))
        shown = {"status_code": full.result["status_code"], "body": raw}
    return public_job(full.job, attempts=full.attempts, result=shown)


async def cancel(request: Request) -> Response:
    """Cancel a waiting job at once; close the call of a running one; an ended one stays as it is."""
    who = await principal(request, Permission.JOBS_WRITE)
    resources: Resources = request.state.resources
    job_id = request.path_params["job_id"]
    await load(request, who.tenant_id, job_id)
    await cancel_job(resources, request.state.metrics, who.tenant_id, job_id)
    full = await load(request, who.tenant_id, job_id)
    return await job_reply(request, full, status=OK if is_final(full) else ACCEPTED)


async def retry(request: Request) -> Response:
    """Open a new generation of a job that failed, expired or was cancelled."""
    who = await principal(request, Permission.JOBS_WRITE)
    resources: Resources = request.state.resources
    job_id = request.path_params["job_id"]
    full = await load(request, who.tenant_id, job_id)
    _refuse_line(full, f"POST /v1/batches/{full.job['batch_id']}/retry, for all that failed")
    if full.job["background"]:
        detail = "The end of a response is final: create it again."
        raise Conflict(detail, code="not_retryable")
    lifetime_ms = round(resources.settings.default_lifetime_s * 1000)
    async with resources.database.transaction() as db:
        opened = await change_store.retry(db, who.tenant_id, job_id, lifetime_ms=lifetime_ms)
        if opened is not None:
            await resources.announcer.announce(db, [opened])
    if opened is None:
        detail = (
            f"The job is {full.job['state']}: only a job that failed, expired or was cancelled can"
            " be retried."
        )
        raise Conflict(detail, code="not_retryable")
    full = await load(request, who.tenant_id, job_id)
    return await job_reply(
        request, full, status=ACCEPTED, headers={"Location": f"/v1/jobs/{job_id}"}
    )


async def delete(request: Request) -> Response:
    """Remove a finished job's bodies at once; a tombstone keeps its counts and cost."""
    who = await principal(request, Permission.JOBS_WRITE)
    resources: Resources = request.state.resources
    job_id = request.path_params["job_id"]
    full = await load(request, who.tenant_id, job_id)
    _refuse_line(full, f"DELETE /v1/batches/{full.job['batch_id']}, when it has ended")
    async with resources.database.transaction() as db:
        blobs = await change_store.erase(db, who.tenant_id, job_id)
    if blobs is None:
        detail = (
            f"The job is {full.job['state']}: cancel it and wait for its end before deleting it."
        )
        raise Conflict(detail, code="not_finished")
    for key in blobs:
        await resources.blobs.delete(key)
    body = {"id": job_id, "object": "job", "deleted": True}
    return Response(orjson.dumps(body), media_type="application/json")


def _refuse_line(full: FullJob, instead: str) -> None:
    # Its batch's counts and files are of all lines together.
    batch_id = full.job["batch_id"]
    if batch_id is not None:
        detail = f"The job is a line of the batch `{batch_id}`: use {instead}."
        raise Conflict(detail, code="line_of_batch", extra={"batch_id": batch_id})


def wait_seconds(request: Request) -> float:
    """Read `?wait=`: 0 to 60 seconds.

    Raises:
        BadRequest: it is not such a number.
    """
    text = request.query_params.get("wait", "0")
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= LONGEST_WAIT_S:
        detail = f"`wait` must be a number of seconds from 0 to {LONGEST_WAIT_S:g}."
        raise BadRequest(detail, param="wait")
    return seconds


routes = [
    Route("/v1/jobs", create, methods=["POST"]),
    Route("/v1/jobs", index, methods=["GET"]),
    Route("/v1/jobs/lookup", lookup, methods=["POST"]),
    Route("/v1/jobs/{job_id}", get, methods=["GET"]),
    Route("/v1/jobs/{job_id}", delete, methods=["DELETE"]),
    Route("/v1/jobs/{job_id}/result", result, methods=["GET"]),
    Route("/v1/jobs/{job_id}/cancel", cancel, methods=["POST"]),
    Route("/v1/jobs/{job_id}/retry", retry, methods=["POST"]),
]
