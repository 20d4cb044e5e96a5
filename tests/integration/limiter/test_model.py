"""The scripts against the exact model, operation by operation, on a real Redis."""

import asyncio
import copy
import random
from collections.abc import Mapping
from fractions import Fraction
from typing import ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from redis.asyncio import Redis
from typing_extensions import override

from shared.inference.response import LimitFeedback
from shared.limiter.buckets import MICRO, Bucket, Cost, Lane, Outcome
from shared.limiter.limiter import Denied, Limiter, Reservation
from tests.integration.limiter.model import ModelLane, Verdict

START_US = 1_800_000_000 * MICRO
LEASE_S = 8.0
UNITS = ("requests", "tokens", "input_tokens", "output_tokens")

buckets = st.builds(
    Bucket,
    unit=st.sampled_from(UNITS),
    capacity=st.integers(1, 60),
    per_second=st.one_of(st.integers(1, 20), st.fractions(min_value="1/50", max_value=9)).map(
        float
    ),
)
lanes = st.builds(
    Lane,
    key=st.just("model"),
    buckets=st.lists(buckets, max_size=4).map(tuple),
    max_concurrency=st.integers(1, 7),
)
costs = st.builds(Cost, st.integers(0, 3), st.integers(0, 20), st.integers(0, 20))
op_ids = st.integers(0, 14).map(lambda n: f"op{n}")


class LimiterMachine(RuleBasedStateMachine):
    """Does the same to Redis and to the model, and compares every answer and every level."""

    url: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.wall = START_US
        self.runner = asyncio.Runner()
        self.redis = Redis.from_url(self.url, decode_responses=True)
        self.limiter = Limiter(self.redis, clock=lambda: self.wall)
        self.model: ModelLane

    @initialize(lane=lanes)
    def open(self, lane: Lane) -> None:
        self.model = ModelLane(lane)
        self._lose_data()

    def _lose_data(self) -> None:
        async def delete() -> None:
            keys = await self.redis.keys("{rl:model}*")
            if keys:
                await self.redis.delete(*keys)

        self.runner.run(delete())

    @rule(us=st.integers(0, 3 * MICRO))
    def wait(self, us: int) -> None:
        self.wall += us

    @rule(us=st.integers(1, 40 * MICRO))
    def step_clock_back(self, us: int) -> None:
        self.wall -= us

    @rule(op_id=op_ids, cost=costs)
    def acquire(self, op_id: str, cost: Cost) -> None:
        answer = self.runner.run(
            self.limiter.acquire(self.model.lane, op_id, cost, lease_ttl_s=LEASE_S)
        )

        expected = self.model.acquire(self.wall, op_id, cost, int(LEASE_S * MICRO))
        assert _verdict(answer) == expected

    @rule(op_id=op_ids, actual=st.none() | costs, outcome=st.sampled_from(Outcome))
    def settle(self, op_id: str, actual: Cost | None, outcome: Outcome) -> None:
        self.runner.run(self.limiter.settle(self._held(op_id), actual, outcome=outcome))

        self.model.settle(self.wall, op_id, actual, outcome)

    @rule(op_id=op_ids)
    def release(self, op_id: str) -> None:
        self.runner.run(self.limiter.release(self._held(op_id)))

        self.model.release(self.wall, op_id)

    @rule(some=st.lists(op_ids, max_size=3, unique=True), seconds=st.integers(1, 12))
    def renew(self, some: list[str], seconds: int) -> None:
        held = [self._held(op_id) for op_id in some]
        self.runner.run(self.limiter.renew(held, lease_ttl_s=seconds))

        if some:
            self.model.lease(self.wall, some, seconds * MICRO, renewing=True)

    @rule(some=st.lists(op_ids, min_size=1, max_size=3, unique=True))
    def restore(self, some: list[str]) -> None:
        self.runner.run(self.limiter.restore(self.model.lane, some, lease_ttl_s=LEASE_S))

        self.model.lease(self.wall, some, int(LEASE_S * MICRO), renewing=False)

    @rule(seconds=st.floats(0.2, 6), seed=st.integers(0, 9))
    def pause(self, seconds: float, seed: int) -> None:
        random.seed(seed)
        self.runner.run(self.limiter.pause(self.model.lane, seconds=seconds))

        longer = random.Random(seed).uniform(1.0, 1.1)
        self.model.pause(self.wall, int(seconds * longer * MICRO))

    @rule(requests=st.integers(1, 60), tokens=st.integers(1, 60))
    def observe(self, requests: int, tokens: int) -> None:
        feedback = LimitFeedback(remaining_requests=requests, remaining_tokens=tokens)
        self.runner.run(self.limiter.observe(self.model.lane, feedback))

        left = dict.fromkeys(UNITS, tokens) | {"requests": requests}
        self.model.observe(self.wall, left)

    @rule(horizon_s=st.integers(0, 5))
    def headroom(self, horizon_s: int) -> None:
        calls = self.runner.run(self.limiter.headroom(self.model.lane, horizon_s=horizon_s))

        assert calls == self.model.headroom(self.wall, horizon_s * MICRO)

    @rule(ceiling=st.integers(1, 9))
    def change_ceiling(self, ceiling: int) -> None:
        lane = self.model.lane
        self.model.lane = Lane(lane.key, lane.buckets, ceiling)

    @rule()
    def lose_data(self) -> None:
        self._lose_data()
        self.model = ModelLane(self.model.lane)

    @invariant()
    def same_books(self) -> None:
        books, leases = self.runner.run(self._read())
        if not books:
            return
        stale = ModelLane(self.model.lane, clock=int(books["clock"]), offset=int(books["offset"]))
        names = stale.lane.arguments[2::4]
        stale.levels = [
            (int(books[f"{name}"]) + Fraction(int(books[f"{name}:carry"]), MICRO)) / MICRO
            for name in names
        ]
        exact = copy.copy(self.model)
        stale.advance(self.wall)
        exact.advance(self.wall)
        assert stale.levels == exact.levels
        assert stale.clock == exact.clock
        assert books["pause"] == str(exact.pause_until or "")
        assert books["limit"] == str(exact.limit or "")
        assert _live(leases, exact.clock) == _live(exact.leases, exact.clock)

    async def _read(self) -> tuple[dict[str, str], dict[str, int]]:
        books = await self.redis.hgetall("{rl:model}:lane")
        op_ids = await self.redis.zrange("{rl:model}:leases", 0, -1)
        leases = {
            str(op_id): int(await self.redis.zscore("{rl:model}:leases", str(op_id)) or 0)
            for op_id in op_ids
        }
        return {str(name): str(value) for name, value in books.items()}, leases

    def _held(self, op_id: str) -> Reservation:
        return Reservation(op_id, self.model.lane, Cost(1, 1, 1))

    @override
    def teardown(self) -> None:
        self.runner.run(self.redis.aclose())
        self.runner.close()


def _live(leases: Mapping[str, int], now: int | None) -> dict[str, int]:
    return {op_id: expiry for op_id, expiry in leases.items() if expiry > (now or 0)}


def _verdict(answer: Reservation | Denied) -> Verdict:
    if isinstance(answer, Denied):
        return "denied", answer.retry_at, answer.bucket
    return "admitted", answer.estimate


def test_scripts_agree_with_exact_model(redis_url: str) -> None:
    """Every answer, and every level to the last micro-unit, is what exact fractions give."""
    run_state_machine_as_test(
        type("Machine", (LimiterMachine,), {"url": redis_url}),
        settings=settings(
            max_examples=120,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
