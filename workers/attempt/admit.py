"""Asking the limiter: the first target that has room for the call, or how long to wait for one."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic

from shared.jobs.lanes import DEFAULT_OUTPUT_TOKENS, lane_of, slot_ttl_s
from shared.jobs.transitions import Reason
from shared.limiter.buckets import Cost
from shared.limiter.estimate import estimate
from shared.limiter.limiter import Denied, Reservation
from shared.routing.model import Target, targets
from workers.attempt.hold import Hold
from workers.attempt.prepare import Work
from workers.resources import WorkerResources

PATIENCE_S = 0.25
"""How long a job in hand waits for a slot, before it goes back to the queue."""


class MustWait(Exception):
    """No target admits the call now: the job goes back to the queue, nothing was used up."""

    def __init__(self, reason: Reason, delay_ms: int, lane: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.delay_ms = delay_ms
        self.lane = lane


@dataclass(frozen=True, slots=True)
class Admission:
    """A call that the limiter has let through; `number` counts the calls of this claim."""

    number: int
    target: Target
    reservation: Reservation
    waited_ms: int


async def admit(hold: Hold, work: Work, resources: WorkerResources) -> Admission:
    """Reserve what the call needs, of one target; wait a moment where a slot is about to be free.

    Raises:
        MustWait: none has room.
        NotConfigured: a deployment cannot be called as the operator wrote it.
    """
    began = monotonic()
    job, slots = hold.job, resources.slots
    cost = estimate(
        work.body, default_output_tokens=DEFAULT_OUTPUT_TOKENS, operation=work.operation
    )
    ways = targets(resources.catalog.resolve(job.model))
    number, arrival, polled = hold.next_number(), slots.arrive(), False
    # Nobody overtakes those who wait already, but what is urgent.
    lane = ways[0].lane_key if job.priority and slots.crowded(ways[0].lane_key) else None
    while True:
        if lane is not None:
            left_s = PATIENCE_S - (monotonic() - began)
            turn = slots.turn(lane, job.tenant_id, job.priority, arrival, patience_s=left_s)
            polled = await turn
        answer = await _ask(hold, number, ways, cost, resources)
        if isinstance(answer, tuple):
            if lane is not None and polled:
                # Where one place was found there may be more.
                slots.freed(lane, polled=True)
            target, reservation = answer
            waited_ms = round((monotonic() - began) * 1000)
            return Admission(number, target, reservation, waited_ms)
        waits = _soonest(answer)
        if waits.reason is not Reason.CONCURRENCY or monotonic() - began >= PATIENCE_S:
            for denied, target in answer:
                resources.metrics.denied(target.deployment, denied.bucket)
            raise waits
        lane = waits.lane


async def _ask(
    hold: Hold, number: int, ways: Sequence[Target], cost: Cost, resources: WorkerResources
) -> tuple[Target, Reservation] | list[tuple[Denied, Target]]:
    job = hold.job
    kept = resources.settings.interactive_reserve if job.priority else 0.0
    denials: list[tuple[Denied, Target]] = []
    for target in ways:
        hold.lane = target.lane_key
        # A deployment that cannot be called as it is written says so before anything is reserved.
        resources.providers.get(target)
        answer = await resources.limiter.acquire(
            lane_of(target),
            f"{job.id}:{job.claim_number}:{number}",
            cost,
            lease_ttl_s=slot_ttl_s(resources.settings),
            kept=kept,
        )
        if isinstance(answer, Reservation):
            return target, answer
        denials.append((answer, target))
    return denials


def _soonest(denials: Sequence[tuple[Denied, Target]]) -> MustWait:
    denied, target = min(denials, key=lambda pair: pair[0].delay_ms)
    reason = {
        "pause": Reason.PROVIDER_PAUSED,
        "concurrency": Reason.CONCURRENCY,
        "redis": Reason.LIMITER_UNAVAILABLE,
    }.get(denied.bucket, Reason.RATE_LIMITED)
    return MustWait(reason, max(1, denied.delay_ms), target.lane_key)
