"""Asking the limiter: the first target that has room for the call, or how long to wait for one."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic

from shared.jobs.lanes import DEFAULT_OUTPUT_TOKENS, lane_of, slot_ttl_s
from shared.jobs.transitions import Reason
from shared.limiter.estimate import estimate
from shared.limiter.limiter import Denied, Reservation
from shared.routing.model import Target, targets
from workers.attempt.hold import Hold
from workers.attempt.prepare import Work
from workers.resources import WorkerResources


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
    """Reserve what the call needs, of one target.

    Raises:
        MustWait: none has room.
        NotConfigured: a deployment cannot be called as the operator wrote it.
    """
    began = monotonic()
    job = hold.job
    cost = estimate(work.body, default_output_tokens=DEFAULT_OUTPUT_TOKENS)
    number = hold.next_number()
    denials: list[tuple[Denied, Target]] = []
    for target in targets(resources.catalog.resolve(job.model)):
        hold.lane = target.lane_key
        # A deployment that cannot be called as it is written says so before anything is reserved.
        resources.providers.get(target)
        answer = await resources.limiter.acquire(
            lane_of(target),
            f"{job.id}:{job.claim_number}:{number}",
            cost,
            lease_ttl_s=slot_ttl_s(resources.settings),
        )
        if isinstance(answer, Reservation):
            return Admission(number, target, answer, round((monotonic() - began) * 1000))
        resources.metrics.denied(target.deployment, answer.bucket)
        denials.append((answer, target))
    raise _soonest(denials)


def _soonest(denials: Sequence[tuple[Denied, Target]]) -> MustWait:
    denied, target = min(denials, key=lambda pair: pair[0].delay_ms)
    reason = {
        "pause": Reason.PROVIDER_PAUSED,
        "concurrency": Reason.CONCURRENCY,
        "redis": Reason.LIMITER_UNAVAILABLE,
    }.get(denied.bucket, Reason.RATE_LIMITED)
    return MustWait(reason, max(1, denied.delay_ms), target.lane_key)
