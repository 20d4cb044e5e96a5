"""The nouns of the limiter: what is limited, what a call costs, how it ended. Pure."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

MICRO = 1_000_000
LARGEST = 4_000_000_000  # units; in micro-units still exact in the double that Lua counts with

Unit = Literal["requests", "tokens", "input_tokens", "output_tokens"]


class Outcome(StrEnum):
    """How a call ended, as far as the provider's load is concerned.

    `overloaded`: it said that we ask too much. `strained`: it failed as one may that is asked too
    much; a few of these say nothing, many of them do.
    """

    OK = "ok"
    OVERLOADED = "overloaded"
    STRAINED = "strained"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Cost:
    """What one call takes, estimated or actual, in requests and tokens."""

    requests: int
    input_tokens: int
    output_tokens: int

    def of(self, unit: Unit) -> int:
        """Return the part of this cost that a bucket of that unit holds."""
        match unit:
            case "requests":
                return self.requests
            case "input_tokens":
                return self.input_tokens
            case "output_tokens":
                return self.output_tokens
            case "tokens":
                return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket: at most `capacity` units at once, refilled by `per_second` units a second."""

    unit: Unit
    capacity: int
    per_second: float

    def __post_init__(self) -> None:
        if not 1 <= self.capacity <= LARGEST:
            raise ValueError(f"a bucket holds 1 to {LARGEST} units, not {self.capacity}")
        if not 1 / MICRO <= self.per_second <= LARGEST:
            raise ValueError(f"a bucket refills by 0.000001 to {LARGEST} a second")

    @property
    def micro_per_second(self) -> int:
        """The refill in whole micro-units a second, rounded down: never above what was set."""
        return int(self.per_second * MICRO)


@dataclass(frozen=True, slots=True)
class Lane:
    """What one provider credential may carry: its buckets and the ceiling of calls at a time.

    `tag` starts every Redis key of the lane, so that all lie in one cluster slot; `arguments` is
    the lane as the scripts read it. Both are derived once, because a lane serves many calls.
    """

    key: str
    buckets: tuple[Bucket, ...]
    max_concurrency: int
    tag: str = field(init=False, repr=False, compare=False)
    arguments: tuple[str | int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.key or set(self.key) & {"{", "}"}:
            raise ValueError(f"a lane needs a key without braces, not {self.key!r}")
        if self.max_concurrency < 1:
            raise ValueError(
                f"a lane carries at least 1 call at a time, not {self.max_concurrency}"
            )
        object.__setattr__(self, "tag", f"{{rl:{self.key}}}")
        object.__setattr__(self, "arguments", self._spell())

    def _spell(self) -> tuple[str | int, ...]:
        spelled: list[str | int] = [self.max_concurrency, len(self.buckets)]
        seen: dict[str, int] = {}
        for bucket in self.buckets:
            # A second bucket of a unit (a minute's and a day's requests) has a level of its own.
            nth = seen[bucket.unit] = seen.get(bucket.unit, 0) + 1
            name = bucket.unit if nth == 1 else f"{bucket.unit}.{nth}"
            spelled += (name, bucket.unit, bucket.capacity * MICRO, bucket.micro_per_second)
        return tuple(spelled)
