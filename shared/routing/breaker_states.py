"""The nouns of the breakers: their states, and reading all of them at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from time import monotonic
from typing import Any, cast

from redis.asyncio import Redis

from shared.routing.model import BreakerRule

STATES_KEY = "{breaker}:states"
WINDOW_KEY = "{breaker}:window:"
LONGEST = 8
"""So many times the first cool-down is the longest."""


def spell(rule: BreakerRule) -> tuple[int, ...]:
    """Spell a rule as the script reads it: the cool-down doubles with each probe that fails."""
    return (
        round(rule.window_s * 1000),
        rule.min_calls,
        round(rule.failure_rate * 1000),
        round(rule.cool_down_s * 1000),
        round(rule.cool_down_s * 1000 * LONGEST),
    )


class BreakerState(StrEnum):
    """`half_open`: the cool-down is over, and one call shows whether the deployment is well."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Verdict(StrEnum):
    """What a call says of its deployment; `NONE`: nothing, it was refused, limited or never sent."""

    GOOD = "good"
    BAD = "bad"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Standing:
    """A breaker that is not closed: `trips` in a row; times are of this process's monotonic clock."""

    trips: int
    probe_at: float
    probe_out_until: float = 0.0

    def state(self, at: float) -> BreakerState:
        """Return the state at a time."""
        return BreakerState.OPEN if at < self.probe_at else BreakerState.HALF_OPEN

    def shut_s(self, at: float) -> float:
        """Return for how many seconds no call may go; 0 where a probe is due."""
        return max(0.0, self.probe_at - at, self.probe_out_until - at)


async def read_standings(redis: Redis) -> dict[str, Standing]:
    """Return every breaker that is not closed, by the deployment's name, in one round trip.

    Raises:
        RedisError: Redis is away.
    """
    pipe = redis.pipeline(transaction=False)
    pipe.execute_command("TIME")
    pipe.execute_command("HGETALL", STATES_KEY)
    (seconds, micros), stored = await pipe.execute()
    clock_ms = int(seconds) * 1000 + int(micros) // 1000
    return standings(cast("Mapping[Any, Any]", stored), clock_ms=clock_ms, at=monotonic())


def standings(stored: Mapping[Any, Any], *, clock_ms: int, at: float) -> dict[str, Standing]:
    """Make standings of what Redis stores; `clock_ms` is its time, `at` ours."""
    found = {}
    for name, text in stored.items():
        trips, pause, until, probe_until, *_ = _text(text).split(" ")
        left_ms = int(until) - clock_ms
        found[_text(name)] = Standing(
            trips=int(trips),
            # As in the script: a clock that was set back must not keep it open.
            probe_at=at + (left_ms if left_ms <= int(pause) else 0) / 1000,
            probe_out_until=at + (int(probe_until) - clock_ms) / 1000,
        )
    return found


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
