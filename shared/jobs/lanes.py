"""The limiter's lane of a target: what the operator allows one credential of one deployment."""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from shared.auth.standings import COMMON, Standing
from shared.errors import Unprocessable
from shared.inference.dialect import Operation
from shared.jobs.endpoints import Endpoint
from shared.limiter.buckets import Bucket, Cost, Lane
from shared.limiter.estimate import never_fits
from shared.routing.facts import facts_of
from shared.routing.model import Route, Target
from shared.routing.select import order
from shared.settings import Settings

SECONDS_PER_MINUTE = 60
EVEN = 0.5
DEFAULT_OUTPUT_TOKENS = 1024
"""What an answer is taken to need when the request sets no limit; settling corrects it."""
REQUEST_BURST_S = 10
"""A minute's requests are not let go at once: at most those of ten seconds."""
SLOT_LEASES = 2.0
"""A slot's lease is renewed with the job's, and is twice as long: Redis may be away for a while."""


def lane_of(target: Target) -> Lane:
    """Build the lane: buckets for `rpm` and `tpm`, leases for `concurrency`."""
    its = target.deployment
    return _lane(target.lane_key, its.rpm, its.tpm, its.concurrency)


@lru_cache(maxsize=4096)
def _lane(key: str, rpm: int | None, tpm: int | None, concurrency: int) -> Lane:
    buckets = []
    if rpm is not None:
        burst = max(1, math.ceil(rpm * REQUEST_BURST_S / SECONDS_PER_MINUTE))
        buckets.append(Bucket("requests", burst, rpm / SECONDS_PER_MINUTE))
    if tpm is not None:
        # One request may need a whole minute's tokens, so the bucket holds them.
        buckets.append(Bucket("tokens", tpm, tpm / SECONDS_PER_MINUTE))
    return Lane(key, tuple(buckets), concurrency)


def slot_ttl_s(settings: Settings) -> float:
    """Return for how many seconds a call's slot is leased at a time."""
    return settings.lease_s * SLOT_LEASES


def ways_of(
    route: Route,
    endpoint: Endpoint,
    body: Mapping[str, Any],
    *,
    input_tokens: int,
    standing: Standing = COMMON,
) -> tuple[Target, ...]:
    """Return the targets that a request may go to when nothing is busy; the first one is its home.

    Raises:
        NothingFits: no deployment of the route meets its needs, or its tenant's.
    """
    counts = endpoint.operation is Operation.COUNT
    facts = facts_of(
        endpoint.dialect,
        body,
        # Counting takes what no model reads.
        input_tokens=0 if counts else input_tokens,
        regions=standing.regions,
        tier=standing.tier,
        difficulty=route.difficulty,
    )
    return order(route, facts, {}, turn=0, chance=EVEN)


def refuse_what_never_fits(model: str, ways: Sequence[Target], cost: Cost) -> None:
    """Check at submit that some target could ever admit the request.

    Raises:
        Unprocessable: it needs more than every bucket of all these can hold.
    """
    reasons = [never_fits(lane_of(target), cost) for target in ways]
    if all(reason is not None for reason in reasons):
        total = cost.input_tokens + cost.output_tokens
        detail = (
            f"The request needs about {total} tokens, more than the limit of {reasons[0]} of every"
            f" deployment of `{model}` can ever admit. Shorten it or lower its max_tokens."
        )
        raise Unprocessable(detail, code="request_too_large_for_limit", param="body")
