"""Lines that ended where nobody counts them: beside a worker of an older version, during a deployment."""

import structlog

from shared.batches import recount_store, tally, tally_store
from shared.jobs.transitions import JobState
from shared.resources import Resources

log = structlog.get_logger()

AT_ONCE = 500


async def recount(resources: Resources) -> bool:
    """Count some of them, if there are any; True when there may be more."""
    async with resources.database.reading() as db:
        if not await recount_store.any_uncounted(db):
            return False
    async with resources.database.transaction() as db:
        lines = await recount_store.uncounted(db, limit=AT_ONCE)
        # What they cost is summed up below: an earlier try may have been counted.
        ended = [
            tally.Contribution(each["id"], each["batch_id"], JobState(each["state"]))
            for each in lines
        ]
        if ended:
            await tally_store.number(db, await tally.add(db, ended))
        for batch_id in sorted({each.batch_id for each in ended}):
            await recount_store.sum_up(db, batch_id)
    if lines:
        log.warning("batch.recounted", lines=len(lines))
    return len(lines) == AT_ONCE
