"""Cancelling a job: its owner asked for it, or went away and wanted it no longer."""

from shared.events.notices import Channel, notify
from shared.jobs import change_store
from shared.jobs.transitions import JobState
from shared.resources import Resources
from shared.telemetry.metrics import ApiMetrics


async def cancel_job(
    resources: Resources, metrics: ApiMetrics, tenant_id: str, job_id: str
) -> JobState | None:
    """Cancel a waiting job at once and have a running one's call closed.

    Returns the state that it is in now; None when the tenant has no such job.
    """
    async with resources.database.transaction() as db:
        state, change = await change_store.cancel(db, tenant_id, job_id)
        if change is not None:
            await resources.announcer.announce(db, [change])
    if state is JobState.RUNNING:
        await notify(resources.redis, Channel.CANCEL, [job_id])
    elif change is not None:
        metrics.cancelled()
    return state
