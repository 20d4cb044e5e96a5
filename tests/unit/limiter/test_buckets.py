"""Lanes and buckets: what may be configured, and how it is told to the scripts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.inference.response import LimitFeedback
from shared.limiter.buckets import LARGEST, MICRO, Bucket, Cost, Lane
from shared.limiter.feedback import highest_levels
from shared.limiter.scripts import load_scripts

counts = st.none() | st.integers(-5, 10**7)
seconds = st.none() | st.floats(-10, 1e6)


@pytest.mark.parametrize(
    ("capacity", "per_second"), [(0, 1), (-1, 1), (LARGEST + 1, 1), (1, 0), (1, -1), (1, 1e-9)]
)
def test_impossible_bucket_is_refused(capacity: int, per_second: float) -> None:
    """A bucket that never fills, or that the books cannot count exactly."""
    with pytest.raises(ValueError, match="a bucket"):
        Bucket("requests", capacity, per_second)


@pytest.mark.parametrize(("key", "calls"), [("", 1), ("a{b", 1), ("a}b", 1), ("a", 0)])
def test_impossible_lane_is_refused(key: str, calls: int) -> None:
    """A key that would break the hash tag, or a lane that carries nothing."""
    with pytest.raises(ValueError, match="a lane"):
        Lane(key, (), calls)


@given(st.floats(1 / MICRO, LARGEST))
def test_refill_is_never_above_what_was_set(per_second: float) -> None:
    """Rounding is down, by less than a micro-unit."""
    exact = Bucket("tokens", 1, per_second).micro_per_second

    assert exact / MICRO <= per_second * (1 + 1e-15)
    assert exact + 1 > per_second * MICRO * (1 - 1e-15)


def test_cost_by_unit() -> None:
    """The part of a cost that each kind of bucket holds."""
    cost = Cost(1, 20, 300)

    assert cost.of("requests") == 1
    assert cost.of("input_tokens") == 20
    assert cost.of("output_tokens") == 300
    assert cost.of("tokens") == 320


def test_lanes_with_the_same_limits_are_equal() -> None:
    """What is derived from a lane is no part of its identity."""
    bucket = Bucket("requests", 5, 1.0)

    assert Lane("k", (bucket,), 2) == Lane("k", (Bucket("requests", 5, 1.0),), 2)
    assert Lane("k", (bucket,), 2).tag == "{rl:k}"


def test_every_script_has_its_own_digest() -> None:
    """Six scripts, each with the shared part before its own."""
    scripts = load_scripts()
    digests = {getattr(scripts, name).sha for name in scripts.__dataclass_fields__}

    assert len(digests) == len(scripts.__dataclass_fields__) == 6


@given(st.builds(LimitFeedback, counts, seconds, counts, seconds, counts, counts))
def test_feedback_is_never_above_capacity(feedback: LimitFeedback) -> None:
    """Whatever a provider's headers say, they allow less than a full bucket or say nothing."""
    lane = Lane("k", (Bucket("requests", 50, 1.0), Bucket("output_tokens", 9_000, 150.0)), 1)

    levels = highest_levels(lane, feedback)

    for bucket, level in zip(lane.buckets, levels, strict=True):
        assert level == "" or -301 * bucket.micro_per_second <= int(level) < bucket.capacity * MICRO


@pytest.mark.parametrize(
    ("feedback", "expected"),
    [
        (LimitFeedback(), ""),
        (LimitFeedback(remaining_requests=100), ""),
        (LimitFeedback(remaining_requests=7), 7 * MICRO),
        (LimitFeedback(remaining_requests=0), 0),
        (LimitFeedback(remaining_requests=0, reset_requests_s=5), -9 * MICRO),
        (LimitFeedback(remaining_requests=0, reset_requests_s=500, limit_requests=100), -9 * MICRO),
        (LimitFeedback(remaining_requests=0, reset_requests_s=50, limit_requests=100), 0),
        (LimitFeedback(remaining_requests=0, reset_requests_s=1e9), -599 * MICRO),
    ],
)
def test_exhausted_provider_is_waited_for(feedback: LimitFeedback, expected: int | str) -> None:
    """At nothing left we stop until the provider has its next unit, however slow it is."""
    assert highest_levels(Lane("k", (Bucket("requests", 100, 2.0),), 1), feedback) == (expected,)
