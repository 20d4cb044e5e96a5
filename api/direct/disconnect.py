"""A caller that goes away before its answer is there: what becomes of the job."""

import asyncio
from enum import StrEnum

import structlog
from starlette.requests import Request

from api.cancelling import cancel_job
from shared.errors import BadRequest
from shared.resources import Resources
from shared.telemetry.metrics import ApiMetrics

HEADER = "Penstock-On-Disconnect"
log = structlog.get_logger()


class OnDisconnect(StrEnum):
    """Whether a job is cancelled or goes on when nobody waits for it any more."""

    CANCEL = "cancel"
    CONTINUE = "continue"


def policy(request: Request, otherwise: str) -> OnDisconnect:
    """Return what the header asks for; else `continue` for a request that can be repeated safely.

    Raises:
        BadRequest: the header has another value.
    """
    asked = request.headers.get(HEADER)
    if asked is None:
        # The same key brings its caller back to the same job: it must not find it cancelled.
        keyed = "idempotency-key" in request.headers
        return OnDisconnect.CONTINUE if keyed else OnDisconnect(otherwise)
    try:
        return OnDisconnect(asked.strip().lower())
    except ValueError as error:
        detail = f"`{HEADER}` must be `cancel` or `continue`."
        raise BadRequest(detail, param=HEADER) from error


class Canceller:
    """Cancels jobs that nobody waits for; one per API process, for it outlives the requests."""

    def __init__(self, resources: Resources, metrics: ApiMetrics) -> None:
        self._resources = resources
        self._metrics = metrics
        self._tasks: set[asyncio.Task[None]] = set()

    def cancel_soon(self, tenant_id: str, job_id: str) -> None:
        """Cancel a job in the background."""
        task = asyncio.create_task(self._cancel(tenant_id, job_id), name=f"cancel-{job_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Finish what was begun."""
        await asyncio.gather(*self._tasks)

    async def _cancel(self, tenant_id: str, job_id: str) -> None:
        try:
            await cancel_job(self._resources, self._metrics, tenant_id, job_id)
        except Exception as error:  # noqa: BLE001  nobody waits; the job's deadline ends it instead
            log.warning("disconnect.not_cancelled", job_id=job_id, error=str(error)[:500])
