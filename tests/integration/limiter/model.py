"""What the limiter must do, written a second time: exact fractions in Python, no Redis."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor

from shared.limiter.buckets import MICRO, Bucket, Cost, Lane, Outcome

STEP_BACK_US = 10 * MICRO
POLL_US = 250_000
FEWEST_JUDGED = 24

Verdict = tuple[str, int, str] | tuple[str, Cost]


@dataclass
class Operation:
    """An operation that was admitted once."""

    started: int
    cost: Cost
    settled: bool = False


@dataclass
class ModelLane:
    """One lane's books. Times are µs of lane time, levels are units as exact fractions."""

    lane: Lane
    clock: int | None = None
    offset: int = 0
    levels: list[Fraction] = field(default_factory=list)
    before: tuple[int | None, list[Fraction]] = (None, [])
    leases: dict[str, int] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    pause_until: int | None = None
    probe: str = ""
    limit: int | None = None
    successes: int = 0
    cut: int = 0
    judged: int = 0
    strained: int = 0

    def advance(self, wall: int) -> int:
        """Bring the books up to a reading of the clock; return lane time."""
        self.before = self.clock, self.levels
        changed = len(self.levels) < len(self.lane.buckets)
        now = wall + self.offset
        if self.clock is not None and now < self.clock:
            if self.clock - now > STEP_BACK_US:
                self.offset = self.clock - wall
                changed = True
            now = self.clock
        elapsed = now - (now if self.clock is None else self.clock)
        levels = [
            self.levels[index] + rate(bucket) * elapsed if index < len(self.levels) else Fraction(0)
            for index, bucket in enumerate(self.lane.buckets)
        ]
        self.levels = [
            min(level, Fraction(bucket.capacity))
            for level, bucket in zip(levels, self.lane.buckets, strict=True)
        ]
        self.clock = now
        if changed:
            self.before = self.clock, self.levels
        return now

    def forget(self) -> None:
        """Undo the last `advance`: what was only read leaves no mark, except a lane's opening."""
        self.clock, self.levels = self.before

    @property
    def allowed(self) -> int:
        """How many calls may run at a time now."""
        ceiling = self.lane.max_concurrency
        return ceiling if self.limit is None else min(self.limit, ceiling)

    def in_flight(self, now: int) -> int:
        """Count the leases that have not run out."""
        return sum(expiry > now for expiry in self.leases.values())

    def probing(self, now: int) -> bool:
        """Tell whether a probe is out."""
        return self.leases.get(self.probe, 0) > now

    def acquire(self, wall: int, op_id: str, cost: Cost, lease_us: int) -> Verdict:
        """Admit (with the price) or deny (with the time in ms, and the reason)."""
        now = self.advance(wall)
        known = self.operations.get(op_id)
        if known:
            self.forget()
            if not known.settled:
                self.leases[op_id] = max(self.leases.get(op_id, 0), now + lease_us)
            return "admitted", known.cost
        at, why = self._obstacle(now, cost)
        if why:
            self.forget()
            return "denied", ceil(Fraction(at - self.offset, 1000)), why
        for index, bucket in enumerate(self.lane.buckets):
            self.levels[index] -= cost.of(bucket.unit)
        if self.pause_until is not None:
            self.probe = op_id
        self.leases = {op: expiry for op, expiry in self.leases.items() if expiry > now}
        self.leases[op_id] = now + lease_us
        self.operations[op_id] = Operation(now, cost)
        return "admitted", cost

    def _obstacle(self, now: int, cost: Cost) -> tuple[int, str]:
        if self.pause_until is not None:
            if now < self.pause_until:
                return self.pause_until, "pause"
            if self.probing(now):
                return now + POLL_US, "pause"
        at, why = 0, ""
        if self.in_flight(now) >= self.allowed:
            at, why = now + POLL_US, "concurrency"
        for index, bucket in enumerate(self.lane.buckets):
            short = cost.of(bucket.unit) - self.levels[index]
            if short > 0 and now + ceil(short / rate(bucket)) > at:
                at, why = now + ceil(short / rate(bucket)), bucket.unit
        return at, why

    def settle(self, wall: int, op_id: str, actual: Cost | None, outcome: Outcome) -> None:
        """End an operation and learn from it."""
        operation = self._end(op_id)
        if operation is None:
            return
        now = self.advance(wall)
        if actual is not None:
            self._correct(operation.cost, actual)
        if operation.started > self.cut:
            self._learn(now, outcome)
        if self.limit is not None and self.limit >= self.lane.max_concurrency:
            self.limit, self.successes = None, 0
        if self.probe == op_id:
            self.probe = ""
            if outcome is Outcome.OK and self.pause_until is not None and now >= self.pause_until:
                self.pause_until = None
        operation.settled = True

    def release(self, wall: int, op_id: str) -> None:
        """Undo an operation."""
        operation = self._end(op_id)
        if operation is None:
            return
        self.advance(wall)
        self._correct(operation.cost, Cost(0, 0, 0))
        if self.limit is not None and self.limit >= self.lane.max_concurrency:
            self.limit, self.successes = None, 0
        if self.probe == op_id:
            self.probe = ""
        del self.operations[op_id]

    def _end(self, op_id: str) -> Operation | None:
        self.leases.pop(op_id, None)
        operation = self.operations.get(op_id)
        return None if operation is None or operation.settled else operation

    def _correct(self, charged: Cost, actual: Cost) -> None:
        for index, bucket in enumerate(self.lane.buckets):
            level = self.levels[index] + charged.of(bucket.unit) - actual.of(bucket.unit)
            self.levels[index] = min(level, Fraction(bucket.capacity))

    def _learn(self, now: int, outcome: Outcome) -> None:
        if outcome is Outcome.OVERLOADED:
            self.limit = max(1, floor(Fraction(7, 10) * self.allowed))
            self._cut(now)
        elif outcome is Outcome.STRAINED:
            self._judge(now, 1)
        elif outcome is Outcome.OK:
            if self.limit is not None:
                self.successes += 1
                if self.successes >= self.allowed:
                    self.limit, self.successes = self.allowed + 1, 0
            self._judge(now, 0)

    def _cut(self, now: int) -> None:
        self.cut, self.successes, self.judged, self.strained = now, 0, 0, 0

    def _judge(self, now: int, strain: int) -> None:
        self.judged += 1
        self.strained += strain
        if self.judged < max(FEWEST_JUDGED, 2 * self.in_flight(now)):
            return
        share = Fraction(self.strained, self.judged)
        self.judged = self.strained = 0
        if share >= Fraction(1, 3):
            well = floor((1 - share) * 100)
            self.limit = max(1, floor(Fraction(max(50, min(70, well)), 100) * self.allowed))
            self._cut(now)

    def lease(self, wall: int, op_ids: Sequence[str], lease_us: int, *, renewing: bool) -> None:
        """Renew or restore the leases of operations that are not settled."""
        now = self.advance(wall)
        for op_id in op_ids:
            known = self.operations.get(op_id)
            if known and known.settled:
                continue
            if renewing:
                self.leases[op_id] = max(self.leases.get(op_id, 0), now + lease_us)
            else:
                self.leases.setdefault(op_id, now + lease_us)
        self.forget()

    def pause(self, wall: int, length_us: int) -> None:
        """Close the lane."""
        now = self.advance(wall)
        self.pause_until = max(self.pause_until or 0, now + length_us)

    def observe(self, wall: int, left: Mapping[str, int]) -> None:
        """Lower levels to what a provider says is left (more than nothing) of a unit."""
        if all(left[bucket.unit] >= bucket.capacity for bucket in self.lane.buckets):
            return
        self.advance(wall)
        lowered = False
        for index, bucket in enumerate(self.lane.buckets):
            if left[bucket.unit] * MICRO < floor(self.levels[index] * MICRO):
                self.levels[index] = Fraction(left[bucket.unit])
                lowered = True
        if not lowered:
            self.forget()

    def headroom(self, wall: int, horizon_us: int) -> int:
        """Count the calls that could start within the horizon."""
        now = self.advance(wall)
        levels = self.levels
        self.forget()
        calls = self.allowed - self.in_flight(now)
        if self.pause_until is not None:
            if self.pause_until > now + horizon_us or self.probing(now):
                return 0
            calls = min(calls, 1)
        for index, bucket in enumerate(self.lane.buckets):
            level = levels[index] + rate(bucket) * horizon_us
            if bucket.unit == "requests":
                calls = min(calls, floor(level))
            elif floor(level * MICRO) <= 0:
                calls = 0
        return max(0, calls)


def rate(bucket: Bucket) -> Fraction:
    """Return the refill in units a microsecond."""
    return Fraction(bucket.micro_per_second, MICRO * MICRO)
