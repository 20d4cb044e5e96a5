"""Who may call a provider now: one atomic decision in Redis, shared by every worker."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from redis.asyncio import Redis

from shared.clock import now_ms
from shared.inference.response import LimitFeedback
from shared.limiter.buckets import LARGEST, Cost, Lane, Outcome
from shared.limiter.feedback import highest_levels
from shared.limiter.round_trips import Call, RedisDownError, Reply, RoundTrips
from shared.limiter.scripts import Script, load_scripts

HOUR_MS = 3_600_000
SETTLED_MS = 600_000  # how long a settled operation is known: a late reply or replay is sooner
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 300.0
LEASES_AT_ONCE = 500
NOT_REBUILT = [3]
ADMITTED = (1, 2)
REASONS = {-1: "pause", -2: "concurrency"}
NOTHING = Cost(0, 0, 0)

UnderWay = Callable[[Lane], Awaitable[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Reservation:
    """What an operation holds until it is settled or released."""

    op_id: str
    lane: Lane
    estimate: Cost


@dataclass(frozen=True, slots=True)
class Denied:
    """Not now: come back at `retry_at` (ms, by Redis's clock), which is `delay_ms` from now.

    `bucket` is what was short, or `concurrency`, `pause` or `redis`.
    """

    retry_at: int
    bucket: str
    delay_ms: int = field(default=0, compare=False)


class Limiter:
    """Reserves requests, tokens and a slot for each call, or nothing; settles each once.

    An operation id names one call and is never used for another. `under_way` tells which
    operations of a lane have a call now: where it is given, a lane that Redis does not know is
    rebuilt from it before anything is admitted, and so is every lane after
    `losses`, the number of connections that were lost, has grown. `clock` (µs) is for tests: in production Redis's
    own clock decides. `freed` hears the key of a lane each time that
    a call of this process has left its slot. One limiter belongs to one event loop.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        timeout_s: float = 5.0,
        most_owed: int = 10_000,
        under_way: UnderWay | None = None,
        losses: Callable[[], int] = lambda: 0,
        clock: Callable[[], int] | None = None,
        freed: Callable[[str], None] = lambda _lane: None,
    ) -> None:
        self._freed = freed
        self._scripts = load_scripts()
        self._under_way = under_way
        self._losses = losses
        self._rebuilding: dict[str, asyncio.Task[None]] = {}
        self._rebuilt_after: dict[str, int] = {}
        self._trips = RoundTrips(redis, timeout_s=timeout_s, most_owed=most_owed, clock=clock)

    @property
    def owed(self) -> int:
        """How many settlements wait in memory for Redis."""
        return self._trips.owed

    @property
    def dropped(self) -> int:
        """How many settlements were given up: their tokens stay spent, their leases run out."""
        return self._trips.dropped

    async def acquire(
        self, lane: Lane, op_id: str, estimate: Cost, *, lease_ttl_s: float, kept: float = 0.0
    ) -> Reservation | Denied:
        """Reserve the estimate and a slot for `lease_ttl_s` seconds, or nothing at all.

        Asked again with the same `op_id` it answers with the same reservation and charges nothing.
        An estimate larger than a bucket is denied for ever: ask `never_fits` first. While Redis
        is down every call is denied, by `redis`. `kept` is the share of the slots and of each
        bucket that this call must leave to others.
        """
        try:
            reply = await self._reserve(lane, op_id, estimate, lease_ttl_s, kept)
            if reply == NOT_REBUILT or self._may_have_been_set_back(lane):
                if reply[0] in ADMITTED:
                    # By books that may lack the calls of others.
                    await self.release(Reservation(op_id, lane, estimate))
                await self._rebuild(lane, lease_ttl_s)
                reply = await self._reserve(lane, op_id, estimate, lease_ttl_s, kept)
        except RedisDownError:
            reply = NOT_REBUILT
        if reply == NOT_REBUILT:
            delay_ms = random.randint(750, 1250)  # noqa: S311 - spreads retries
            return Denied(now_ms() + delay_ms, "redis", delay_ms)
        return _decision(reply, lane, op_id, estimate)

    async def settle(
        self, reservation: Reservation, actual: Cost | None, *, outcome: Outcome
    ) -> None:
        """Free the slot and correct the reservation: refund, or debt. Only the first time counts.

        `actual` None means that nobody knows what the call used: the estimate stays spent. While
        Redis is down it is kept in memory and sent when Redis is back.
        """
        await self.settle_soon(reservation, actual, outcome=outcome)

    def settle_soon(
        self, reservation: Reservation, actual: Cost | None, *, outcome: Outcome
    ) -> asyncio.Future[Reply]:
        """Like `settle`, but return at once: what comes back is done when it has happened.

        Whoever asks for a slot from now on is answered by who knows of this one.
        """
        how = "unknown" if actual is None else "exact"
        done = self._trips.owe_soon(self._settlement(reservation, how, actual or NOTHING, outcome))
        self._freed(reservation.lane.key)
        return done

    async def release(self, reservation: Reservation) -> None:
        """Give everything back: the call never happened, and the same id may be tried again."""
        await self._trips.owe(self._settlement(reservation, "release", NOTHING, Outcome.OK))
        self._freed(reservation.lane.key)

    async def renew(self, reservations: Sequence[Reservation], *, lease_ttl_s: float) -> None:
        """Extend the leases of calls under way; one that was lost or ran out is leased again.

        A settled operation is left alone. While Redis is down nothing happens.
        """
        lanes = {held.lane.tag: held.lane for held in reservations}
        held_in: dict[str, list[str]] = {tag: [] for tag in lanes}
        for held in reservations:
            held_in[held.lane.tag].append(held.op_id)
        with suppress(RedisDownError):
            for tag, op_ids in held_in.items():
                await self._lease_all(lanes[tag], op_ids, "GT", lease_ttl_s)

    async def restore(self, lane: Lane, op_ids: Sequence[str], *, lease_ttl_s: float) -> None:
        """Lease slots to calls that the database knows to be under way, after Redis lost data.

        Operations that are leased already, or were settled, are left alone.

        Raises:
            RedisDownError: nothing is restored, or not all; try again.
        """
        await self._lease_all(lane, op_ids, "NX", lease_ttl_s)

    async def pause(self, lane: Lane, *, seconds: float) -> None:
        """Close the lane, by the provider's wish, for 0.1 to 300 s; then let one probe through.

        Up to a tenth is added, so that lanes do not wake together, and never taken away: earlier
        than the provider said is too early. While Redis is down nothing happens.
        """
        seconds = min(max(seconds, SHORTEST_PAUSE_S), LONGEST_PAUSE_S)
        seconds *= random.uniform(1.0, 1.1)  # noqa: S311 - spreads lanes
        with suppress(RedisDownError):
            await self._trips.ask(self._call(self._scripts.pause, lane, None, int(seconds * 1e6)))

    async def observe(self, lane: Lane, feedback: LimitFeedback) -> None:
        """Lower the buckets to what the provider says is left. It never raises one."""
        levels = highest_levels(lane, feedback)
        if any(level != "" for level in levels):
            with suppress(RedisDownError):
                await self._trips.ask(self._call(self._scripts.observe, lane, None, *levels))

    async def headroom(self, lane: Lane, *, horizon_s: float) -> int:
        """Count the calls that could start within the horizon; 0 while Redis is down.

        By requests and free slots: an empty token bucket counts as 0, a paused lane as its probe.
        """
        call = self._call(self._scripts.headroom, lane, None, int(horizon_s * 1e6))
        try:
            return (await self._trips.ask(call))[0]
        except RedisDownError:
            return 0

    async def flush(self) -> int:
        """Send what is owed from a time when Redis was down; return how much still waits.

        Call it every second or so, and once before exit; any other call that gets through sends
        it too.
        """
        return await self._trips.flush()

    async def _reserve(
        self, lane: Lane, op_id: str, estimate: Cost, lease_ttl_s: float, kept: float
    ) -> Reply:
        strict = "1" if self._under_way else ""
        own = (*_lease(lease_ttl_s), *_amounts(estimate), strict, int(kept * 1000))
        call = self._call(self._scripts.acquire, lane, op_id, *own)
        try:
            return await self._trips.ask(call)
        except asyncio.CancelledError:
            held = Reservation(op_id, lane, estimate)
            self._trips.abandon(call, undo=self._settlement(held, "release", NOTHING, Outcome.OK))
            raise

    def _may_have_been_set_back(self, lane: Lane) -> bool:
        # After a failover Redis may know the lane and not its last calls, and say nothing of it.
        lost = self._losses()
        return self._under_way is not None and self._rebuilt_after.get(lane.tag, 0) != lost

    async def _rebuild(self, lane: Lane, lease_ttl_s: float) -> None:
        """Restore a lane's leases, once for all who ask at the same time."""
        task = self._rebuilding.get(lane.tag)
        if task is None:
            task = asyncio.create_task(self._restore_all(lane, lease_ttl_s))
            self._rebuilding[lane.tag] = task
            task.add_done_callback(lambda _: self._rebuilding.pop(lane.tag))
        await asyncio.shield(task)

    async def _restore_all(self, lane: Lane, lease_ttl_s: float) -> None:
        lost = self._losses()
        op_ids = await self._under_way(lane) if self._under_way else ()
        await self.restore(lane, op_ids, lease_ttl_s=lease_ttl_s)
        self._rebuilt_after[lane.tag] = lost

    def _call(self, script: Script, lane: Lane, op_id: str | None, *arguments: str | int) -> Call:
        tag = lane.tag
        if op_id is None:
            return Call(script, (f"{tag}:lane", f"{tag}:leases"), lane.arguments + arguments)
        keys = (f"{tag}:lane", f"{tag}:leases", f"{tag}:op:{op_id}")
        return Call(script, keys, (*lane.arguments, op_id, *arguments))

    def _settlement(
        self, reservation: Reservation, how: str, actual: Cost, outcome: Outcome
    ) -> Call:
        return self._call(
            self._scripts.settle,
            reservation.lane,
            reservation.op_id,
            how,
            *_amounts(actual),
            outcome.value,
            SETTLED_MS,
        )

    async def _lease_all(
        self, lane: Lane, op_ids: Sequence[str], mode: str, lease_ttl_s: float
    ) -> None:
        restores = mode == "NX"
        for start in range(0, max(len(op_ids), int(restores)), LEASES_AT_ONCE):
            some = op_ids[start : start + LEASES_AT_ONCE]
            rebuilt = "1" if restores and start + LEASES_AT_ONCE >= len(op_ids) else ""
            own: tuple[str | int, ...] = (mode, *_lease(lease_ttl_s), rebuilt, *some)
            call = self._call(self._scripts.lease, lane, None, *own)
            call.keys += tuple(f"{lane.tag}:op:{op_id}" for op_id in some)
            await self._trips.ask(call)


def _lease(ttl_s: float) -> tuple[int, int]:
    """Spell a lease for the scripts: its length in µs, its operation's record's in ms."""
    return int(ttl_s * 1_000_000), int(ttl_s * 1_000) + HOUR_MS


def _amounts(cost: Cost) -> tuple[int, int, int]:
    # What a provider reports is not ours to trust: nonsense must not overflow the books.
    return (
        min(max(cost.requests, 0), LARGEST),
        min(max(cost.input_tokens, 0), LARGEST),
        min(max(cost.output_tokens, 0), LARGEST),
    )


def _decision(reply: Reply, lane: Lane, op_id: str, estimate: Cost) -> Reservation | Denied:
    if reply[0] == 1:
        return Reservation(op_id, lane, estimate)
    if reply[0] == 2:  # noqa: PLR2004 - admitted before: at the price of that time
        return Reservation(op_id, lane, Cost(*reply[1:]))
    _, retry_at, why, delay_ms = reply
    return Denied(retry_at, REASONS.get(why) or lane.buckets[why - 1].unit, delay_ms)
