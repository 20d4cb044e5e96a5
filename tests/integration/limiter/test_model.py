"""The scripts against the exact model, operation by operation, on a real Redis."""

import asyncio
import copy
import random
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import ClassVar

import pytest
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
    buckets=st.lists(buckets, max_size=3).map(tuple),
    max_concurrency=st.integers(1, 7),
)
costs = st.builds(Cost, st.integers(0, 2), st.integers(0, 9), st.integers(0, 9))
op_ids = st.integers(0, 9).map(lambda n: f"op{n}")


LANES = (
    Lane("model", (Bucket("requests", 12, 2.0), Bucket("tokens", 90, 7.3)), 4),
    Lane("model", (Bucket("input_tokens", 60, 11.7), Bucket("output_tokens", 40, 1 / 3)), 6),
    Lane("model", (Bucket("requests", 5, 3.0), Bucket("requests", 40, 0.7)), 3),
    Lane("model", (), 5),
)


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

    @initialize(lane=lanes, full_s=st.sampled_from([0, 60, 3_600]))
    def open(self, lane: Lane, full_s: int) -> None:
        self.model = ModelLane(lane)
        self._lose_data()
        self.headroom(0)
        self.wall += full_s * MICRO

    @rule(op_id=op_ids, outcome=st.sampled_from(Outcome), us=st.integers(1, 2 * MICRO))
    def make_a_call(self, op_id: str, outcome: Outcome, us: int) -> None:
        self.acquire(op_id, Cost(1, 0, 0))
        self.wall += us
        self.settle(op_id, Cost(1, 0, 0), outcome)

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

    @rule(op_id=op_ids)
    def forget_operation(self, op_id: str) -> None:
        """An operation's record expires long before its name comes up again."""

        async def delete() -> None:
            await self.redis.delete(f"{{rl:model}}:op:{op_id}")

        self.runner.run(delete())
        self.model.operations.pop(op_id, None)

    @rule()
    def lose_data(self) -> None:
        self._lose_data()
        self.model = ModelLane(self.model.lane)

    @invariant()
    def same_books(self) -> None:
        books, leases = self.runner.run(self._read())
        if "clock" not in books:
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
        assert int(books.get("strained", 0)) == exact.strained
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


@pytest.mark.parametrize("seed", range(8))
def test_scripts_agree_with_exact_model_on_a_long_walk(redis_url: str, seed: int) -> None:
    """A day in a lane's life: five hundred likely things one after the other, books compared."""
    machine = type("Machine", (LimiterMachine,), {"url": redis_url})()
    try:
        _walk(machine, random.Random(seed), LANES[seed % len(LANES)])
    finally:
        machine.teardown()


def _walk(machine: LimiterMachine, dice: random.Random, lane: Lane) -> None:
    def op_id() -> str:
        return f"op{dice.randrange(20)}"

    def some() -> list[str]:
        return [f"op{n}" for n in dice.sample(range(20), 3)]

    def cost() -> Cost:
        return Cost(dice.randint(0, 1), dice.randint(0, 9), dice.randint(0, 9))

    def outcome() -> Outcome:
        several = [Outcome.OK] * 4 + [Outcome.STRAINED] * 2
        return dice.choice([*several, Outcome.FAILED, Outcome.OVERLOADED])

    events: list[tuple[int, Callable[[], None]]] = [
        (30, lambda: machine.acquire(op_id(), cost())),
        (30, lambda: machine.settle(op_id(), dice.choice([None, cost()]), outcome())),
        (20, lambda: machine.wait(dice.choice([1, 400_000, 2 * MICRO]))),
        (6, lambda: machine.release(op_id())),
        (3, lambda: machine.renew(some(), 5)),
        (2, lambda: machine.restore(some())),
        (2, lambda: machine.pause(dice.uniform(0.2, 3), dice.randrange(99))),
        (2, lambda: machine.observe(dice.randint(1, 15), dice.randint(1, 90))),
        (4, lambda: machine.headroom(dice.randint(0, 3))),
        (3, lambda: machine.step_clock_back(dice.choice([1, 900_000, 9 * MICRO, 30 * MICRO]))),
        (2, lambda: machine.change_ceiling(dice.randint(1, 7))),
        (4, lambda: machine.forget_operation(op_id())),
    ]
    weights = [weight for weight, _ in events]
    machine.open(lane, 60)
    for _, event in dice.choices(events, weights, k=500):
        event()
        machine.same_books()
