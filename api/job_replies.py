"""How a job is answered: the object with its headers, conditional, after a wait if one was asked for."""

import asyncio
from hashlib import blake2b
from typing import Any

import orjson
import structlog
from starlette.requests import Request
from starlette.responses import Response

from api.waiting import RECHECK_S, until_ended
from shared.clock import now_ms
from shared.database import Row
from shared.errors import Gone, NotFound
from shared.jobs.reader import FullJob
from shared.jobs.transitions import FINAL, JobState
from shared.jobs.view import Place, public_job
from shared.resources import Resources

OK, ACCEPTED, NOT_MODIFIED = 200, 202, 304
SOONEST_S, LATEST_S = 1, 60
NEAR_THE_FRONT = 64


def is_final(full: FullJob) -> bool:
    """Tell whether the job has ended."""
    return JobState(full.job["state"]) in FINAL


async def load(request: Request, tenant_id: str, job_id: str) -> FullJob:
    """Return a job of the tenant.

    Raises:
        NotFound: the tenant has no such job, whoever else may have it.
        Gone: it was deleted.
    """
    full: FullJob | None = await request.state.reader.get(tenant_id, job_id)
    if full is None:
        detail = f"There is no job `{job_id[:64]}`."
        raise NotFound(detail, param="job_id")
    if full.job["deleted_at"] is not None:
        detail = f"The job `{job_id}` was deleted."
        raise Gone(detail, param="job_id")
    structlog.contextvars.bind_contextvars(job_id=full.job["id"])
    return full


async def load_when_ended(request: Request, tenant_id: str, job_id: str, wait_s: float) -> FullJob:
    """Return a job once it has ended, or as it is after `wait_s` seconds."""
    full = await load(request, tenant_id, job_id)
    if wait_s <= 0 or is_final(full):
        return full
    return await wait_and_load(request, tenant_id, job_id, wait_s, look_first=True)


async def wait_and_load(
    request: Request, tenant_id: str, job_id: str, wait_s: float, *, look_first: bool = False
) -> FullJob:
    """Return a job that was not over a moment ago once it has ended, or after `wait_s` seconds."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + wait_s
    with request.state.waiting.watch(job_id) as watch:
        # Who saw the job before the watch began may have missed its end.
        if look_first and is_final(full := await load(request, tenant_id, job_id)):
            return full
        while True:
            await until_ended(watch, min(max(0.0, deadline - clock()), RECHECK_S))
            full = await load(request, tenant_id, job_id)
            if is_final(full) or watch.leaving or clock() >= deadline:
                return full


async def job_reply(
    request: Request, full: FullJob, *, status: int = OK, headers: dict[str, str] | None = None
) -> Response:
    """Answer with the job; 304 when the client has this very state of it."""
    resources: Resources = request.state.resources
    place = None
    if full.job["state"] == JobState.QUEUED:
        place = await request.state.pace.place(full.job)
    body = public_job(full.job, attempts=full.attempts, result=await _result(full, resources))
    tag = etag(body)
    headers = {**(headers or {}), "ETag": tag, "Vary": "Prefer, Authorization"}
    if not is_final(full):
        headers["Retry-After"] = str(retry_after_s(full.job, place))
    if status == OK and request.method in {"GET", "HEAD"} and _has(request, tag):
        return Response(status_code=NOT_MODIFIED, headers=headers)
    body["queue"] = place and {"position": place.position, "eta_s": place.eta_s}
    return Response(orjson.dumps(body), status, headers, "application/json")


def etag(body: dict[str, Any]) -> str:
    """Return a weak tag of a job; its place in the queue is left out, or no poll would ever hit."""
    return f'W/"{blake2b(orjson.dumps(body), digest_size=12).hexdigest()}"'


def retry_after_s(job: Row, place: Place | None) -> int:
    """Return when polling again makes sense, within the range that every client honours."""
    # On a quiet service the measured rate says little: whoever stands near the front is soon served.
    far = place is not None and place.position > NEAR_THE_FRONT
    seconds = place.eta_s or 0 if place is not None and far else 0
    if job["not_before"] is not None:
        seconds = max(seconds, (job["not_before"] - now_ms()) / 1000)
    return max(SOONEST_S, min(LATEST_S, round(seconds)))


def _has(request: Request, tag: str) -> bool:
    # By the weak comparison: caches and proxies add and remove the `W/`.
    tags = {each.strip() for each in request.headers.get("if-none-match", "").split(",")}
    return "*" in tags or not tags.isdisjoint({tag, tag.removeprefix("W/")})


async def _result(full: FullJob, resources: Resources) -> dict[str, Any] | None:
    if full.result is None:
        return None
    raw = await result_bytes(full, resources)
    return {"status_code": full.result["status_code"], "body": orjson.Fragment(raw)}


async def result_bytes(full: FullJob, resources: Resources) -> bytes:
    """Return the result's JSON as it was stored, from the row or its blob."""
    if full.result is None:
        return b"null"
    if full.result["blob"] is not None:
        return await resources.blobs.get(full.result["blob"])
    return bytes(full.result["body"])
