"""A request whose caller stays for the answer: stored like any job, then waited for."""

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue
from starlette.requests import Request
from starlette.responses import Response

from api.direct.disconnect import OnDisconnect, policy
from api.direct.rate_limits import Limits
from api.drafts import Direct, draft_job
from api.errors import problem_response
from api.jobs import store_draft
from api.surfaces import Surface, surface_of
from shared.database import Row
from shared.errors import PenstockError
from shared.jobs.endpoints import Endpoint
from shared.jobs.options import JobOptions
from shared.jobs.reader import FullJob
from shared.jobs.transitions import JobState, Priority
from shared.resources import Resources

READ_TIMEOUTS = ("x-stainless-read-timeout", "x-server-timeout")
"""How OpenAI's and Anthropic's clients, and Google's, say how many seconds they wait."""
SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Call:
    """A stored request and its caller's terms.

    `began` and `deadline` are times of the event loop; `read_timeout_s` is how long the client
    waits for the next byte, if it says so.
    """

    request: Request
    tenant_id: str
    job: Row
    replayed: bool
    on_disconnect: OnDisconnect
    began: float
    deadline: float
    read_timeout_s: float | None
    limits: Limits

    @property
    def job_id(self) -> str:
        """The job that the request became."""
        return str(self.job["id"])

    def completed(self, version: int, status: int, body: bytes) -> FullJob:
        """Return the job as it stands in the database now that its answer was sent along."""
        job = {**self.job, "state": JobState.COMPLETED, "version": version}
        return FullJob(job, (), {"status_code": status, "body": body, "blob": None})

    def abandon(self) -> None:
        """Leave the job to what was asked for: nobody waits for it here any more."""
        if self.on_disconnect is OnDisconnect.CANCEL:
            self.request.state.canceller.cancel_soon(self.tenant_id, self.job_id)

    def headers(self) -> dict[str, str]:
        """Return what every answer to the call carries, in the words of the caller's clients."""
        surface = surface_of(self.request.scope)
        headers = {"Penstock-Job-Id": self.job_id}
        if surface is Surface.OPENAI:
            elapsed_ms = round((asyncio.get_running_loop().time() - self.began) * 1000)
            headers["openai-processing-ms"] = str(elapsed_ms)
        if self.replayed and self.request.method == "POST":
            headers["Idempotent-Replayed"] = "true"
        return headers | self.limits.headers(surface)


async def open_call(
    request: Request,
    tenant_id: str,
    endpoint: Endpoint,
    body: dict[str, JsonValue],
    *,
    stay_s: float | None = None,
) -> Call:
    """Store a request whose caller waits; with `stay_s` only so long, and the job goes on then.

    Raises:
        PenstockError: it was refused, and nothing was stored.
    """
    began = asyncio.get_running_loop().time()
    resources: Resources = request.state.resources
    settings = resources.settings
    read_timeout_s = _read_timeout_s(request)
    wait_s = settings.sync_timeout_s
    if read_timeout_s is not None and body.get("stream") is not True:
        # A stream is kept alive in the meantime; a client that waits in silence would leave first.
        wait_s = min(wait_s, max(read_timeout_s - 1, read_timeout_s / 2))
    left = policy(request, settings.on_disconnect)
    if stay_s is not None:
        wait_s, left = stay_s, OnDisconnect.CONTINUE
    lifetime_s = wait_s if left is OnDisconnect.CANCEL else None
    direct = Direct(Priority.INTERACTIVE, lifetime_s)
    draft = await draft_job(request, tenant_id, endpoint, body, JobOptions(), direct=direct)
    submission = await store_draft(request, draft)
    return Call(
        request=request,
        tenant_id=tenant_id,
        job=submission.job,
        replayed=submission.replayed,
        # What another request began is not this one's to end.
        on_disconnect=OnDisconnect.CONTINUE if submission.replayed else left,
        began=began,
        deadline=began + wait_s,
        read_timeout_s=read_timeout_s,
        limits=Limits(request.state.levels, resources.catalog, draft.model, draft.lane),
    )


def failure_response(
    call: Call, error: PenstockError, headers: Mapping[str, str] | None = None
) -> Response:
    """Tell of an error after the submit; what we have repeated in vain is not to be repeated."""
    more = {**(headers or {}), **call.headers()}
    if error.status >= SERVER_ERROR and error.retry_after_s is None:
        more["x-should-retry"] = "false"
    return problem_response(error, call.request.scope, more)


def _read_timeout_s(request: Request) -> float | None:
    said = (request.headers.get(name) for name in READ_TIMEOUTS)
    try:
        seconds = float(next(filter(None, said), "nan"))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None
