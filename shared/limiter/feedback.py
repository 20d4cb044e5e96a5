"""What a provider's rate-limit headers allow us to keep in our buckets. Pure."""

import math

from shared.inference.response import LimitFeedback
from shared.limiter.buckets import MICRO, Bucket, Lane

LONGEST_WAIT_S = 300.0


def highest_levels(lane: Lane, feedback: LimitFeedback) -> tuple[int | str, ...]:
    """Return, for each bucket of the lane, the highest level (micro-units) it may keep.

    An empty string: the provider says nothing that would lower it. One number of tokens is taken
    for input and output alike: a provider reports the tighter of the two.
    """
    return tuple(_highest(bucket, feedback) for bucket in lane.buckets)


def _highest(bucket: Bucket, feedback: LimitFeedback) -> int | str:
    if bucket.unit == "requests":
        remaining, limit = feedback.remaining_requests, feedback.limit_requests
        reset_s = feedback.reset_requests_s
    else:
        remaining, limit = feedback.remaining_tokens, feedback.limit_tokens
        reset_s = feedback.reset_tokens_s
    if remaining is None or remaining >= bucket.capacity:
        return ""
    if remaining > 0:
        return remaining * MICRO
    return min(0, MICRO - math.ceil(_next_unit_s(reset_s, limit) * bucket.micro_per_second))


def _next_unit_s(reset_s: float | None, limit: int | None) -> float:
    """How long until an exhausted provider has one unit again.

    `reset_s` tells when it will be full; with a known limit the first unit comes much earlier.
    """
    if reset_s is None:
        return 0.0
    wait_s = reset_s / limit if limit else reset_s
    return min(max(wait_s, 0.0), LONGEST_WAIT_S)
