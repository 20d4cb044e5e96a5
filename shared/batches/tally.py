"""The counters of batches: changed in the very transaction that ends a line, and nowhere else.

Each ended line gets the next number of its batch. The batch's row stays locked until the commit,
so the numbers become visible in their order and without gaps: who has read up to one of them
will never find a smaller one later. Jobs are locked before batches, and batches by id.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from shared.batches import tally_store
from shared.inference.usage import Usage
from shared.jobs.changes import Change
from shared.jobs.transitions import JobState


@dataclass(frozen=True, slots=True)
class Contribution:
    """What a line adds to its batch: its end (`state` None while there is none), usage and cost."""

    job_id: str
    batch_id: str
    state: JobState | None = None
    usage: Sequence[Usage] = ()
    cost_nanousd: int | None = None


async def add(db: AsyncConnection, contributions: Sequence[Contribution]) -> Mapping[str, int]:
    """Count them; return the outcome number of each line that ended, by job id."""
    numbers: dict[str, int] = {}
    by_batch: dict[str, list[Contribution]] = defaultdict(list)
    for each in contributions:
        by_batch[each.batch_id].append(each)
    for batch_id, its in sorted(by_batch.items()):
        ended = [each.job_id for each in its if each.state is not None]
        last = await tally_store.add(db, batch_id, _sums(its))
        numbers.update(zip(ended, range(last - len(ended) + 1, last + 1), strict=True))
    return numbers


async def end_lines(db: AsyncConnection, changes: Sequence[Change]) -> None:
    """Count lines that ended without a worker, and note their outcome numbers in their rows."""
    ended = [
        Contribution(change.job_id, change.batch_id, change.state)
        for change in changes
        if change.batch_id is not None and change.is_final
    ]
    if ended:
        await tally_store.number(db, await add(db, ended))


def _sums(contributions: Sequence[Contribution]) -> tally_store.Sums:
    states = [each.state for each in contributions]
    usages = [usage for each in contributions for usage in each.usage]
    costs = [each.cost_nanousd for each in contributions if each.cost_nanousd is not None]
    return tally_store.Sums(
        completed=states.count(JobState.COMPLETED),
        failed=states.count(JobState.FAILED),
        cancelled=states.count(JobState.CANCELLED),
        expired=states.count(JobState.EXPIRED),
        input_tokens=sum(usage.input_tokens for usage in usages) if usages else None,
        output_tokens=sum(usage.output_tokens for usage in usages) if usages else None,
        cached_tokens=sum(usage.cached_tokens for usage in usages) if usages else None,
        cost_nanousd=sum(costs) if costs else None,
    )
