"""Asking breakers and limiter: the first target that may be called, or how long to wait for one."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic

import structlog

from shared.clock import now_ms
from shared.jobs.lanes import lane_of, slot_ttl_s
from shared.jobs.transitions import Reason
from shared.limiter.limiter import Denied, Reservation
from shared.providers.registry import NotConfigured
from shared.routing.breaker import Pass, Shut
from shared.routing.breaker_states import Verdict
from shared.routing.model import Target
from workers.attempt.hold import Hold
from workers.attempt.road import Road
from workers.places import left_to_others, places
from workers.resources import WorkerResources

PATIENCE_S = 0.25
"""How long a job in hand waits for a slot, before it goes back to the queue."""
log = structlog.get_logger()
POLL_MS = 250
"""When to ask again for a place that may be free at any time."""
BREAKER = "breaker"
OF_THE_KEY = frozenset({"pause", "requests", "tokens", "input_tokens", "output_tokens"})
"""What a key is short of for longer than a moment."""


class MustWait(Exception):
    """No target admits the call now: the job goes back to the queue, nothing was used up."""

    def __init__(self, reason: Reason, delay_ms: int, lane: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.delay_ms = delay_ms
        self.lane = lane


@dataclass(frozen=True, slots=True)
class Admission:
    """A call that breaker and limiter have let through; `number` counts the calls of this claim."""

    number: int
    target: Target
    reservation: Reservation
    waited_ms: int
    passed: Pass


Denials = list[tuple[Denied, Target]]


async def admit(hold: Hold, road: Road, resources: WorkerResources) -> Admission:
    """Reserve what the call needs, of one target; wait a moment where a slot is about to be free.

    Raises:
        MustWait: none has room.
        NotConfigured: a deployment cannot be called as the operator wrote it.
    """
    began = monotonic()
    job, slots, ways = hold.job, resources.slots, road.open
    number, arrival, polled = hold.next_number(), slots.arrive(), False
    # Nobody overtakes those who wait already, but what is more urgent.
    crowded = job.priority and all(slots.crowded(each.lane_key, job.priority) for each in ways)
    lane = ways[0].lane_key if crowded else None
    while True:
        if lane is not None:
            left_s = PATIENCE_S - (monotonic() - began)
            turn = slots.turn(lane, job.tenant_id, job.priority, arrival, patience_s=left_s)
            polled = await turn
        answer = await _ask(hold, number, road, resources)
        if isinstance(answer, Admission):
            if lane is not None and polled:
                # Where one place was found there may be more.
                slots.freed(lane, polled=True)
            waited_ms = round((monotonic() - began) * 1000)
            return Admission(number, answer.target, answer.reservation, waited_ms, answer.passed)
        waits = _soonest(answer)
        if waits.reason is not Reason.CONCURRENCY or monotonic() - began >= PATIENCE_S:
            _note(answer, road, resources)
            raise waits
        lane = waits.lane


async def admit_now(hold: Hold, road: Road, resources: WorkerResources) -> Admission | None:
    """Reserve what one more call needs, without waiting; None where there is no room."""
    if not road.open:
        return None
    answer = await _ask(hold, hold.next_number(), road, resources)
    return answer if isinstance(answer, Admission) else None


async def _ask(
    hold: Hold, number: int, road: Road, resources: WorkerResources
) -> Admission | Denials:
    denials: Denials = []
    for target in road.open:
        if denials and not _goes_on(denials[-1], target, road):
            break
        hold.lane = target.lane_key
        if not _can_be_called(target, road, resources):
            continue
        answer = await _enter(hold, number, target, road, resources)
        if isinstance(answer, Admission):
            return answer
        denials.append((answer, target))
    return denials


def _can_be_called(target: Target, road: Road, resources: WorkerResources) -> bool:
    """Tell whether a deployment can be called as it is written, before anything is reserved."""
    try:
        resources.providers.get(target)
    except NotConfigured as error:
        if not road.passes_by(target):
            raise
        log.warning("call.not_configured", deployment=target.deployment.name, error=str(error))
        return False
    return True


def _goes_on(last: tuple[Denied, Target], target: Target, road: Road) -> bool:
    denied, before = last
    if denied.bucket == "redis":
        return False
    if target.deployment.name == before.deployment.name:
        return denied.bucket != BREAKER
    if denied.bucket == BREAKER:
        return road.elsewhere_when_open
    return road.elsewhere_when_limited


async def _enter(
    hold: Hold, number: int, target: Target, road: Road, resources: WorkerResources
) -> Admission | Denied:
    most = places(resources.settings, interactive=not hold.job.priority)
    if resources.loads.crowds_out(target, most=most):
        return Denied(now_ms() + POLL_MS, "concurrency", POLL_MS)
    with resources.loads.entering(target):
        return await _reserve(hold, number, target, road, resources)


async def _reserve(
    hold: Hold, number: int, target: Target, road: Road, resources: WorkerResources
) -> Admission | Denied:
    job, name = hold.job, target.deployment.name
    operation = f"{job.id}:{job.claim_number}:{number}"
    passed = await resources.breakers.enter(name, road.route.breaker, operation)
    if isinstance(passed, Shut):
        delay_ms = max(1, round(passed.delay_s * 1000))
        return Denied(now_ms() + delay_ms, BREAKER, delay_ms)
    admitted = False
    try:
        answer = await resources.limiter.acquire(
            lane_of(target),
            operation,
            road.cost,
            lease_ttl_s=slot_ttl_s(resources.settings),
            kept=left_to_others(resources.settings.interactive_reserve, job.priority),
        )
        if not isinstance(answer, Reservation):
            return answer
        admitted = True
        return Admission(number, target, answer, 0, passed)
    finally:
        if not admitted:
            # A probe that does not go leaves its turn to another.
            resources.breakers.left(passed, Verdict.NONE)


def _note(denials: Denials, road: Road, resources: WorkerResources) -> None:
    for denied, target in denials:
        resources.metrics.denied(target.deployment, denied.bucket)
        if denied.bucket in OF_THE_KEY and road.elsewhere_when_limited:
            resources.loads.limited(target, seconds=denied.delay_ms / 1000)


def _soonest(denials: Sequence[tuple[Denied, Target]]) -> MustWait:
    denied, target = min(denials, key=lambda pair: pair[0].delay_ms)
    reason = {
        "pause": Reason.PROVIDER_PAUSED,
        "concurrency": Reason.CONCURRENCY,
        "redis": Reason.LIMITER_UNAVAILABLE,
        BREAKER: Reason.PROVIDER_DOWN,
    }.get(denied.bucket, Reason.RATE_LIMITED)
    return MustWait(reason, max(1, denied.delay_ms), target.lane_key)
